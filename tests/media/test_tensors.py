"""Tensors in files, read by a small parser of the format's own description."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comfystub.media.tensors import latent, read_header, safetensors

METADATA = {"prompt": '{"3": {"text": "狐 \\"jumps\\""}}', "workflow": ""}
WEIGHTS = {"up.weight": ("F16", (4, 2)), "down.weight": ("BF16", (2, 4)), "alpha": ("F32", ())}


def parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and the data of a file; the data has no holes."""
    (size,) = struct.unpack_from("<Q", data)
    assert size % 8 == 0 and data[8:9] == b"{"
    header, content = json.loads(data[8 : 8 + size]), data[8 + size :]
    end = 0
    for name, entry in header.items():
        if name != "__metadata__":
            assert set(entry) == {"dtype", "shape", "data_offsets"}
            assert entry["data_offsets"][0] == end
            end = entry["data_offsets"][1]
    assert end == len(content)
    return header, content


class TestSafetensors:
    def test_holds_tensors_of_zeros(self) -> None:
        header, content = parts(safetensors(WEIGHTS, METADATA))
        assert header["__metadata__"] == METADATA
        assert {name: entry["data_offsets"] for name, entry in header.items() if name in WEIGHTS} == {
            "up.weight": [0, 16],
            "down.weight": [16, 32],
            "alpha": [32, 36],
        }
        assert content == bytes(36)

    @pytest.mark.parametrize(("kind", "size"), [("U8", 1), ("BOOL", 1), ("F16", 2), ("F32", 4), ("I64", 8)])
    def test_has_room_for_its_numbers(self, kind: str, size: int) -> None:
        assert len(parts(safetensors({"a": (kind, (3, 5))}, {}))[1]) == 15 * size

    def test_begins_with_the_values_it_is_given(self) -> None:
        _, content = parts(safetensors({"a": ("U8", (3,)), "b": ("U8", (2,))}, {}, b"abcd"))
        assert content == b"abcd\0"

    def test_may_have_neither_metadata_nor_tensors(self) -> None:
        assert parts(safetensors({}, {})) == ({}, b"")

    def test_may_be_large(self) -> None:
        shape = (16, 16, 128, 128)
        _, content = parts(safetensors({"a": ("F32", shape)}, {}))
        assert content == bytes(4 * math.prod(shape))

    def test_refuses_a_type_it_does_not_know(self) -> None:
        with pytest.raises(ValueError, match="'float32'; there are "):
            safetensors({"a": ("float32", (1,))}, {})

    def test_refuses_more_values_than_there_is_room_for(self) -> None:
        with pytest.raises(ValueError, match="4 bytes of values for tensors of 3 bytes"):
            safetensors({"a": ("U8", (3,))}, {}, b"abcd")


class TestLatent:
    def test_is_the_file_of_save_latent(self) -> None:
        header, content = parts(latent(b"a red fox", [2, 4, 64, 48], METADATA))
        assert header == {
            "__metadata__": METADATA,
            "latent_format_version_0": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]},
            "latent_tensor": {
                "dtype": "F32",
                "shape": [2, 4, 64, 48],
                "data_offsets": [0, 4 * 2 * 4 * 64 * 48],
            },
        }
        values = struct.unpack(f"<{len(content) // 4}f", content)
        assert all(-2 < value < 2 and value for value in values)

    def test_tells_digests_apart(self) -> None:
        files = [latent(b"%d" % number, (1, 4, 2, 2), {}) for number in range(100)]
        assert len(set(files)) == 100
        assert files == [latent(b"%d" % number, (1, 4, 2, 2), {}) for number in range(100)]

    @pytest.mark.parametrize("shape", [(1, 4, 1, 1), (1, 16, 3, 5), (1, 64, 33)], ids=str)
    def test_may_have_any_shape(self, shape: tuple[int, ...]) -> None:
        assert len(parts(latent(b"", shape, {}))[1]) == 4 * math.prod(shape)


def with_header(header: object) -> bytes:
    written = json.dumps(header).encode()
    return struct.pack("<Q", len(written)) + written


NO_HEADERS = {
    "nothing": b"",
    "seven bytes": bytes(7),
    "no JSON": struct.pack("<Q", 4) + b"abcd",
    "no UTF-8": struct.pack("<Q", 4) + b'"\xff"}',
    "a header longer than the file": struct.pack("<Q", 2**63) + b"{}",
    "a list": with_header([]),
    "nested without end": struct.pack("<Q", 100_000) + b"[" * 100_000,
    "metadata that is a text": with_header({"__metadata__": "prompt"}),
    "metadata that is no text": with_header({"__metadata__": {"steps": 20}}),
    "a tensor that is a number": with_header({"a": 1}),
    "a tensor without a shape": with_header({"a": {"dtype": "F32"}}),
    "a shape of texts": with_header({"a": {"dtype": "F32", "shape": ["1"]}}),
    "a type that is a number": with_header({"a": {"dtype": 32, "shape": [1]}}),
    "a PNG": b"\x89PNG\r\n\x1a\n" + bytes(100),
}


class TestHeader:
    def test_is_read_back(self) -> None:
        assert read_header(safetensors(WEIGHTS, METADATA)) == (WEIGHTS, METADATA)
        assert read_header(safetensors({}, {})) == ({}, {})

    def test_is_enough(self) -> None:
        data = latent(b"", (1, 4, 8, 8), METADATA)
        (size,) = struct.unpack_from("<Q", data)
        assert read_header(data[: 8 + size]) == read_header(data)
        assert read_header(data[: 7 + size]) is None

    @pytest.mark.parametrize("data", NO_HEADERS.values(), ids=NO_HEADERS)
    def test_is_not_found_in_other_files(self, data: bytes) -> None:
        assert read_header(data) is None

    @given(st.binary())
    def test_never_fails(self, data: bytes) -> None:
        read_header(data)
        read_header(struct.pack("<Q", len(data)) + data)

    @given(
        st.dictionaries(
            st.text().filter(lambda name: name != "__metadata__"),
            st.tuples(st.sampled_from(["F32", "U8"]), st.lists(st.integers(0, 3), max_size=4).map(tuple)),
        ),
        st.dictionaries(st.text(), st.text()),
    )
    def test_any_names_and_texts(
        self, tensors: dict[str, tuple[str, tuple[int, ...]]], metadata: dict[str, str]
    ) -> None:
        assert read_header(safetensors(tensors, metadata)) == (tensors, metadata)
