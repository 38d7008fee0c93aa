"""PNG files without Pillow.

A generated picture is a grid of coloured cells, and such a picture is almost nothing but repetition:
within a row of cells every line of pixels equals the one above it.  Here that is used instead of being
discovered.  Only the first line of each row of cells goes through zlib; the lines below it are written
the way PNG's "Up" filter sees them, as zeros, and the compressed zeros are kept and used again.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from operator import mul

Colors = Sequence[Sequence[bytes]]
"""Rows of cells from top to bottom, each a sequence of 3-byte RGB colours from left to right."""

Texts = Iterable[tuple[str, str]]
"""Keyword and text of each text chunk, in the order in which they are written."""

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER_END = 33  # a PNG starts with the signature and an IHDR chunk of 25 bytes
_TEXT_KINDS = frozenset((b"tEXt", b"zTXt", b"iTXt"))

_UNFILTERED, _UP = b"\0", b"\2"  # how a line was filtered: the byte before it
_SMALL = 16_384  # bytes of pixels up to which zlib is quicker without help
_BLOCK_LINES = 32
_ADLER_MODULUS = 65521


def mosaic(colors: Colors, width: int, height: int, texts: Texts = ()) -> bytes:
    """Return a PNG file, 8-bit RGB, that shows a grid of coloured cells.

    The edges of the cells are at `size * i // cells`; a side with fewer pixels than cells hides some.

    Args:
        colors: the rows of cells; each row may have its own number of them.
        width: in pixels, at least 1.
        height: in pixels, at least 1.
        texts: what the text chunks say, see `with_texts`.

    Raises:
        ValueError: a side is below 1, there is no cell, a colour is not 3 bytes long, or a keyword is
            not Latin-1.
    """
    lines, heights = _lines(colors, width, height)
    return b"".join(
        (
            SIGNATURE,
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
            _text_chunks(texts),
            _chunk(b"IDAT", _compressed(lines, heights)),
            _chunk(b"IEND", b""),
        )
    )


def raster(colors: Colors, width: int, height: int) -> bytes:
    """Return the pixels of the picture that `mosaic` writes, line by line, 3 bytes each.

    Takes the same arguments and raises the same errors.
    """
    return b"".join(map(mul, *_lines(colors, width, height)))


def with_texts(data: bytes, texts: Texts) -> bytes:
    """Return a PNG file with text chunks put in right after its header; nothing is encoded anew.

    A text becomes a tEXt chunk when it is Latin-1 and an iTXt chunk when not: what Pillow does, and so
    ComfyUI.  A text that stands in the file already under one of the keywords is replaced, others stay.

    Args:
        data: a PNG file.
        texts: keywords, which have to be Latin-1, and texts.

    Raises:
        ValueError: `data` is no PNG, or a keyword is not Latin-1.
    """
    texts = tuple(texts)
    keywords = {keyword.encode("latin-1") for keyword, _ in texts}
    data = _drop_texts(data, keywords.__contains__)
    return data[:_HEADER_END] + _text_chunks(texts) + data[_HEADER_END:]


def without_texts(data: bytes) -> bytes:
    """Return a PNG file without its text chunks; nothing is encoded anew.

    Raises:
        ValueError: `data` is no PNG.
    """
    return _drop_texts(data, lambda keyword: True)


def size_of(data: bytes) -> tuple[int, int]:
    """Return the width and height of a PNG file in pixels, as its header gives them.

    Raises:
        ValueError: `data` is no PNG.
    """
    if len(data) < _HEADER_END or not data.startswith(SIGNATURE) or data[12:16] != b"IHDR":
        raise ValueError("not a PNG file")
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


# Cells and lines


def _lines(colors: Colors, width: int, height: int) -> tuple[list[bytes], tuple[int, ...]]:
    """Return the line of pixels that each row of cells repeats, and how often it does."""
    if width < 1 or height < 1:
        raise ValueError(f"a picture has at least one pixel, not {width}x{height}")
    if not colors:
        raise ValueError("a mosaic has at least one cell")
    lines = [b"".join(map(mul, row, spans(width, len(row)))) for row in colors]
    if any(len(line) != 3 * width for line in lines):
        raise ValueError("a row of cells is one or more colours of 3 bytes each")
    return lines, spans(height, len(colors))


@lru_cache(maxsize=128)
def spans(size: int, cells: int) -> tuple[int, ...]:
    """Return how many of `size` pixels, or of anything else in a line, each cell gets."""
    return tuple(size * (i + 1) // cells - size * i // cells for i in range(cells))


# Compression


def _compressed(lines: list[bytes], heights: tuple[int, ...]) -> bytes:
    """Return the zlib stream of a picture that repeats each of `lines` as often as `heights` says."""
    stride = 1 + len(lines[0])
    if stride * sum(heights) <= _SMALL:
        return zlib.compress(
            b"".join([(_UNFILTERED + line) * height for line, height in zip(lines, heights)]), 1
        )
    # A full flush ends a block on a byte, and the next block knows nothing of it: so blocks that never
    # saw each other can stand in between.  It also clears a table, which is why zlib gets little memory.
    deflate = zlib.compressobj(1, zlib.DEFLATED, -15, 2)
    adler = 1
    parts = [b"\x78\x01"]
    for line, height in zip(lines, heights):
        if height:
            first = _UNFILTERED + line
            parts += deflate.compress(first), deflate.flush(zlib.Z_FULL_FLUSH), _still(height - 1, stride)
            adler = _adler_of_still(height - 1, stride, zlib.adler32(first, adler))
    parts += b"\x03\x00", adler.to_bytes(4, "big")  # an empty last block, the checksum
    return b"".join(parts)


@lru_cache(maxsize=64)
def _still(lines: int, stride: int) -> bytes:
    """Return deflate blocks, ending on a byte, of lines that equal the line above them."""
    if lines > _BLOCK_LINES:  # what knows nothing of its surroundings can simply be repeated
        blocks, rest = divmod(lines, _BLOCK_LINES)
        return _still(_BLOCK_LINES, stride) * blocks + _still(rest, stride)
    deflate = zlib.compressobj(1, zlib.DEFLATED, -15, 8, zlib.Z_RLE)
    return deflate.compress((_UP + bytes(stride - 1)) * lines) + deflate.flush(zlib.Z_FULL_FLUSH)


def _adler_of_still(lines: int, stride: int, adler: int) -> int:
    """Return the Adler-32 of data with checksum `adler` and such lines after it, without the lines.

    The low half of the checksum is the sum of all bytes, the high half is the sum of what the low half
    was after each byte.  Only the first byte of a line, a 2, changes the low half.
    """
    low, high = adler & 0xFFFF, adler >> 16
    high += stride * lines * (low + lines + 1)
    low += 2 * lines
    return high % _ADLER_MODULUS << 16 | low % _ADLER_MODULUS


# Chunks


def _chunk(kind: bytes, body: bytes) -> bytes:
    named = kind + body
    return struct.pack(">I", len(body)) + named + struct.pack(">I", zlib.crc32(named))


def _text_chunks(texts: Texts) -> bytes:
    return b"".join([_text_chunk(keyword.encode("latin-1"), text) for keyword, text in texts])


def _text_chunk(keyword: bytes, text: str) -> bytes:
    try:
        return _chunk(b"tEXt", keyword + b"\0" + text.encode("latin-1"))
    except UnicodeEncodeError:
        # not compressed, in no language in particular, the keyword not translated
        return _chunk(b"iTXt", keyword + b"\0\0\0\0\0" + text.encode())


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind of each chunk behind the header, where it starts and where it ends."""
    size_of(data)  # raises when there is no header
    start = _HEADER_END
    while start < len(data):
        end = start + 12 + int.from_bytes(data[start : start + 4], "big")
        yield data[start + 4 : start + 8], start, end
        start = end


def _drop_texts(data: bytes, unwanted: Callable[[bytes], bool]) -> bytes:
    """Return a PNG file without those text chunks whose keyword is `unwanted`."""
    kept = []
    begin = 0
    for kind, start, end in _chunks(data):
        if kind in _TEXT_KINDS and unwanted(data[start + 8 : end - 4].partition(b"\0")[0]):
            kept.append(data[begin:start])
            begin = end
    return b"".join((*kept, data[begin:]))
