from __future__ import annotations

import struct
import zlib
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from comfystub.media import png

RED, GREEN, BLUE, WHITE = b"\xff\x00\x00", b"\x00\xff\x00", b"\x00\x00\xff", b"\xff\xff\xff"
CHECKERS = [[RED, GREEN], [BLUE, WHITE]]
SIZES = [
    (1, 1), (1, 2), (2, 1), (3, 3), (7, 5), (8, 8), (9, 8), (64, 48), (64, 64), (33, 34), (509, 333),
    (512, 512), (1024, 1024), (2048, 64), (64, 2048), (1, 700), (700, 1), (12_000, 3), (3, 9_000),
]  # fmt: skip
TEXTS = [
    ("prompt", '{"3": {"class_type": "KSampler"}}'),
    ("workflow", ""),
    ("Größe", "naïve café ÿ"),
    ("poem", "狐 jumps\nover — “the” dog 🦊"),
    ("long", "x" * 200_000),
]


def grid(columns: int, rows: int) -> list[list[bytes]]:
    """Cells that all differ."""
    return [[bytes((16 * x, 16 * y, 255 - x - y)) for x in range(columns)] for y in range(rows)]


def painted(colors: png.Colors, width: int, height: int) -> Image.Image:
    """The picture of a grid of cells, painted cell by cell."""
    image = Image.new("RGB", (width, height))
    for y, row in enumerate(colors):
        for x, color in enumerate(row):
            box = (
                width * x // len(row),
                height * y // len(colors),
                width * (x + 1) // len(row),
                height * (y + 1) // len(colors),
            )
            if box[0] < box[2] and box[1] < box[3]:
                image.paste((color[0], color[1], color[2]), box)
    return image


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """All chunks of a PNG file, each with its length and its CRC checked."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    found, at = [], 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        (crc,) = struct.unpack_from(">I", data, at + 8 + length)
        assert crc == zlib.crc32(kind + body), kind
        found.append((kind, body))
        at += 12 + length
    assert at == len(data)
    return found


def inflated(stream: bytes) -> bytes:
    """What a zlib stream holds; its checksum has to be right and nothing may follow it."""
    inflate = zlib.decompressobj()
    raw = inflate.decompress(stream) + inflate.flush()
    assert inflate.eof
    assert inflate.unused_data == b""
    return raw


def opened(data: bytes) -> PngImagePlugin.PngImageFile:
    image = Image.open(BytesIO(data))
    assert isinstance(image, PngImagePlugin.PngImageFile)
    image.load()
    return image


def pillow_png(image: Image.Image, info: PngImagePlugin.PngInfo | None = None) -> bytes:
    file = BytesIO()
    image.save(file, "PNG", pnginfo=info)
    return file.getvalue()


class TestMosaic:
    @pytest.mark.parametrize("cells", [(1, 1), (2, 3), (8, 8), (16, 5)], ids=str)
    @pytest.mark.parametrize("size", SIZES, ids=str)
    def test_shows_every_cell_where_it_belongs(self, size: tuple[int, int], cells: tuple[int, int]) -> None:
        colors = grid(*cells)
        image = opened(png.mosaic(colors, *size))
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", size)
        assert image.tobytes() == painted(colors, *size).tobytes()

    @pytest.mark.parametrize("size", SIZES, ids=str)
    def test_is_right_to_the_last_checksum(self, size: tuple[int, int]) -> None:
        width, height = size
        found = chunks(png.mosaic(grid(8, 8), width, height))
        assert [kind for kind, _ in found] == [b"IHDR", b"IDAT", b"IEND"]
        assert found[0][1] == struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        raw = inflated(found[1][1])
        assert len(raw) == height * (1 + 3 * width)
        assert set(raw[:: 1 + 3 * width]) <= {0, 2}

    @given(
        colors=st.lists(
            st.lists(st.binary(min_size=3, max_size=3), min_size=1, max_size=9), min_size=1, max_size=9
        ),
        width=st.integers(1, 150),
        height=st.integers(1, 150),
    )
    @settings(deadline=None)
    def test_any_grid_at_any_size(self, colors: list[list[bytes]], width: int, height: int) -> None:
        data = png.mosaic(colors, width, height)
        inflated(dict(chunks(data))[b"IDAT"])
        expected = painted(colors, width, height).tobytes()
        assert opened(data).tobytes() == expected
        assert png.raster(colors, width, height) == expected

    def test_rows_of_cells_may_differ_in_length(self) -> None:
        colors = [[RED], [GREEN, BLUE, WHITE], [BLUE, RED]]
        assert opened(png.mosaic(colors, 100, 100)).tobytes() == painted(colors, 100, 100).tobytes()

    def test_is_the_same_whatever_was_written_before(self) -> None:
        first = png.mosaic(grid(8, 8), 320, 240)
        for width in range(1, 200):
            png.mosaic(CHECKERS, width, 200)
        assert png.mosaic(grid(8, 8), 320, 240) == first

    def test_is_small(self) -> None:
        assert len(png.mosaic(grid(8, 8), 1024, 1024)) < 3 * 1024 * 1024 / 400

    @pytest.mark.parametrize("size", [(0, 1), (1, 0), (-4, 4), (0, 0)], ids=str)
    def test_refuses_a_picture_without_pixels(self, size: tuple[int, int]) -> None:
        with pytest.raises(ValueError, match="at least one pixel"):
            png.mosaic(CHECKERS, *size)

    @pytest.mark.parametrize(
        "colors", [[], [[]], [[RED], []], [[b"\0\0"]], [[b"\0\0\0\0"]], [[RED, b""]]], ids=str
    )
    def test_refuses_a_grid_without_cells_or_with_odd_colours(self, colors: list[list[bytes]]) -> None:
        with pytest.raises(ValueError, match=r"a mosaic has|a row of cells"):
            png.mosaic(colors, 16, 16)

    def test_carries_texts(self) -> None:
        data = png.mosaic(CHECKERS, 20, 20, TEXTS)
        assert opened(data).text == dict(TEXTS)
        assert [kind for kind, _ in chunks(data)] == [
            b"IHDR", b"tEXt", b"tEXt", b"tEXt", b"iTXt", b"tEXt", b"IDAT", b"IEND",
        ]  # fmt: skip


class TestTexts:
    @pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16"])
    def test_any_png_can_carry_them(self, mode: str) -> None:
        plain = pillow_png(Image.new(mode, (30, 20)))
        data = png.with_texts(plain, TEXTS)
        image = opened(data)
        assert image.text == dict(TEXTS)
        assert image.tobytes() == opened(plain).tobytes()
        assert [part for part in chunks(data) if part[0] not in (b"tEXt", b"iTXt")] == chunks(plain)

    @given(
        st.lists(
            st.tuples(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1), st.text())
        )
    )
    def test_any_text_is_read_back(self, texts: list[tuple[str, str]]) -> None:
        assert opened(png.mosaic(CHECKERS, 2, 2, texts)).text == dict(texts)

    def test_are_written_as_pillow_writes_them(self) -> None:
        info = PngImagePlugin.PngInfo()
        for keyword, text in TEXTS:
            info.add_text(keyword, text)
        by_pillow = [
            part for part in chunks(pillow_png(Image.new("L", (1, 1)), info)) if part[0] in (b"tEXt", b"iTXt")
        ]
        assert chunks(png.mosaic(CHECKERS, 1, 1, TEXTS))[1:-2] == by_pillow

    def test_may_come_from_an_iterator(self) -> None:
        data = png.with_texts(png.mosaic(CHECKERS, 2, 2, [("a", "old")]), iter([("a", "1"), ("b", "2")]))
        assert opened(data).text == {"a": "1", "b": "2"}

    def test_replace_what_stands_under_the_same_keyword(self) -> None:
        info = PngImagePlugin.PngInfo()
        info.add_text("prompt", "old")
        info.add_text("prompt", "older", zip=True)
        info.add_itxt("prompt", "oldest")
        info.add_text("author", "me", zip=True)
        data = png.with_texts(pillow_png(Image.new("RGB", (5, 5)), info), [("prompt", "new"), ("seed", "7")])
        assert opened(data).text == {"prompt": "new", "seed": "7", "author": "me"}
        assert sum(b"prompt\0" in body for _, body in chunks(data)) == 1

    def test_none_leave_the_file_as_it_was(self) -> None:
        data = png.mosaic(CHECKERS, 5, 5, TEXTS)
        assert png.with_texts(data, ()) == data

    def test_can_be_taken_out(self) -> None:
        info = PngImagePlugin.PngInfo()
        info.add_text("zipped", "x" * 99, zip=True)
        picture = Image.new("P", (5, 5))
        assert png.without_texts(png.with_texts(pillow_png(picture, info), TEXTS)) == pillow_png(picture)

    def test_leave_what_follows_the_end_of_the_picture(self) -> None:
        data = png.mosaic(CHECKERS, 5, 5) + b"trailing bytes"
        assert png.with_texts(data, [("a", "b")]).endswith(b"IEND\xaeB`\x82trailing bytes")
        assert png.without_texts(data) == data

    def test_need_a_latin_1_keyword(self) -> None:
        with pytest.raises(ValueError, match="latin-1"):
            png.mosaic(CHECKERS, 2, 2, [("狐", "fox")])
        with pytest.raises(ValueError, match="latin-1"):
            png.with_texts(png.mosaic(CHECKERS, 2, 2), [("狐", "fox")])


NO_PNGS = [
    b"",
    b"\x89PNG",
    b"\xff\xd8\xff\xe0" + bytes(60),
    b"\x89PNG\r\n\x1a\n" + bytes(60),
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
]


@pytest.mark.parametrize("data", NO_PNGS, ids=str)
def test_refuses_what_is_no_png(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a PNG"):
        png.size_of(data)
    with pytest.raises(ValueError, match="not a PNG"):
        png.with_texts(data, [("a", "b")])
    with pytest.raises(ValueError, match="not a PNG"):
        png.without_texts(data)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_reads_the_size(size: tuple[int, int]) -> None:
    assert png.size_of(png.mosaic(CHECKERS, *size, TEXTS)) == size
    assert png.size_of(pillow_png(Image.new("L", size))) == size
