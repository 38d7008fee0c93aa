"""Ogg files: those with Opus in them are written, those with Opus or Vorbis are read.

Opus has no note: it would take an encoder.  Its packets of silence are all the same.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from comfystub.media import comments, notes
from comfystub.media.png import Texts
from comfystub.media.sound import Sound

_RATE = 48000  # of what comes out of Opus, whatever went in
_SKIP = 312  # samples that a decoder is to throw away at the start
_CHANNELS = 8  # at most
_PACKET = 960  # samples
_PAGE = 50  # packets, together a second

_MONO = b"\xf8"  # begins a packet of 20 ms; two channels may be written as one when they are equal
_SILENCE = b"\xff\xfe"  # the rest of it: all that a decoder reads is that there is nothing to hear

_CONTINUED, _FIRST, _LAST = 1, 2, 4
_UNFINISHED = -1  # the position of a page on which no packet ends

Page = tuple[int, int, bytes, bytes]
"""What it is, the position at its end in samples, the lengths of its segments, and the segments."""


def encode(sound: Sound, quality: str, texts: Texts) -> bytes:
    """Return a sound as an Ogg Opus file, in which no quality is told."""
    channels = min(sound.channels, _CHANNELS)
    pages = (
        *_packet(_head(sound.sample_rate, channels), _FIRST),
        *_packet(b"OpusTags" + comments.block(notes.encoder(sound.digest), texts)),
        *_silence(_SKIP + round(sound.seconds * _RATE), channels),
    )
    return b"".join([_page(number, *page) for number, page in enumerate(pages)])


def read(data: bytes) -> tuple[int, int, int]:
    """Return how many samples each channel of an Ogg file has, its sample rate and its channels.

    Raises:
        ValueError: what is in the file is neither Opus nor Vorbis.
        struct.error: it breaks off in its first packet.
    """
    head = data[28:58]  # alone on the first page
    if head.startswith(b"OpusHead"):
        channels, skip = struct.unpack_from("<BH", head, 9)
        return _end(data) - skip, _RATE, channels
    if head.startswith(b"\1vorbis"):
        channels, rate = struct.unpack_from("<BI", head, 11)
        return _end(data), rate, channels
    raise ValueError("neither Opus nor Vorbis")


def _end(data: bytes) -> int:
    """Return the position at the end of the last page that is there to its end."""
    at = end = 0
    while data.startswith(b"OggS", at) and at + 27 <= len(data):
        position, segments = struct.unpack_from("<q12xB", data, at + 6)
        at += 27 + segments + sum(data[at + 27 : at + 27 + segments])
        if position >= 0 and at <= len(data):
            end = position
    return end


def _head(rate: int, channels: int) -> bytes:
    """Return the packet that says what the others hold; for `rate`, what they were made from."""
    # From three channels on, they lie in streams of their own, which are listed.
    streams = channels if channels > 2 else 0
    family = bytes((1, streams, 0, *range(streams))) if streams else b"\0"
    return struct.pack("<8sBBHI2x", b"OpusHead", 1, channels, _SKIP, rate) + family


def _silence(end: int, channels: int) -> Iterator[Page]:
    """Yield pages of silence up to a position."""
    streams = channels if channels > 2 else 1
    # All but the last stream tell how long they are.
    packet = (_MONO + bytes((len(_SILENCE),)) + _SILENCE) * (streams - 1) + _MONO + _SILENCE
    for start in range(0, end, _PAGE * _PACKET):
        packets = min(_PAGE, -((start - end) // _PACKET))
        position = start + packets * _PACKET
        kind = _LAST if position >= end else 0
        yield kind, min(position, end), bytes((len(packet),)) * packets, packet * packets


def _packet(packet: bytes, kind: int = 0) -> Iterator[Page]:
    """Yield the pages that one packet of a header takes."""
    lengths = b"\xff" * (len(packet) // 255) + bytes((len(packet) % 255,))
    for start in range(0, len(lengths), 255):
        end = start + 255
        position = 0 if end >= len(lengths) else _UNFINISHED
        yield kind, position, lengths[start:end], packet[255 * start : 255 * end]
        kind = _CONTINUED


def _page(number: int, kind: int, position: int, lengths: bytes, segments: bytes) -> bytes:
    before = struct.pack("<4sxBq4xI", b"OggS", kind, position, number)
    after = bytes((len(lengths),)) + lengths + segments
    return before + _crc(before + bytes(4) + after) + after


def _crc(data: bytes) -> bytes:
    """Return Ogg's checksum.

    It is zlib's with the bits of every byte the other way round, and begins with zeros instead of ones.
    """
    crc = zlib.crc32(data.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return crc.to_bytes(4, "big").translate(_REVERSED)


_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
