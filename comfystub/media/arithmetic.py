"""The arithmetic coders of VP9 and AV1.

Both keep an interval of numbers.  Whatever is written down narrows it, to a part as large as that thing
is likely, and in the end a number from inside tells all that was written.
"""

from __future__ import annotations

from collections.abc import Iterable

Bit = tuple[int, int]
"""A bit, and how likely it is a zero, out of 256."""

Cdf = tuple[int, ...]
"""How likely each symbol or one before it is, out of 32768, for all symbols but the last."""

Symbol = tuple[Cdf, int]
"""How likely the symbols are, and which of them it is."""

_LONG, _SHORT = 1024, 64  # bits: when to put the upper ones away, and how many stay


class _Interval:
    """Where an interval begins, in ever more bits, and how large it is."""

    def __init__(self, size: int, length: int) -> None:
        self._size = size
        self._low, self._length = 0, length
        # A long number is slow to add to, so its upper bits wait here; at the end there may be a carry.
        self._upper, self._upper_length = 0, 0

    def _narrow(self, low: int, size: int, length: int) -> None:
        if length > _LONG:
            self._upper = (self._upper << length - _SHORT) + (low >> _SHORT)
            self._upper_length += length - _SHORT
            low, length = low & (1 << _SHORT) - 1, _SHORT
        self._low, self._size, self._length = low, size, length

    def _bytes(self, number: int, length: int) -> bytes:
        """Return the number that ends in so many bits, with zeros behind it in the last byte."""
        number += self._upper << length
        length += self._upper_length
        padding = -length % 8
        return (number << padding).to_bytes((length + padding) // 8, "big")


class BitCoder(_Interval):
    """VP9's: it writes bits, and begins with one that is always zero."""

    def __init__(self) -> None:
        super().__init__(255, 8)
        self.write(((0, 128),))

    def write(self, bits: Iterable[Bit]) -> None:
        """Write bits."""
        low, size, length = self._low, self._size, self._length
        for bit, probability in bits:
            split = 1 + ((size - 1) * probability >> 8)
            if bit:
                low += split
                size -= split
            else:
                size = split
            shift = 8 - size.bit_length()
            low <<= shift
            size <<= shift
            length += shift
        self._narrow(low, size, length)

    def finish(self) -> bytes:
        """Return all that was written, and a zero, for some last bytes would mean something else."""
        return self._bytes(self._low, self._length) + b"\0"


class SymbolCoder(_Interval):
    """AV1's: it writes symbols, of which there may be up to 16 of a kind."""

    def __init__(self) -> None:
        super().__init__(1 << 15, 15)

    def write(self, symbols: Iterable[Symbol]) -> None:
        """Write symbols."""
        low, size, length = self._low, self._size, self._length
        for cdf, symbol in symbols:
            rest = len(cdf) - symbol  # the number of symbols behind this one
            scale = size >> 8
            behind = (scale * (0x8000 - cdf[symbol] >> 6) >> 1) + 4 * rest if rest else 0
            if symbol:
                here = (scale * (0x8000 - cdf[symbol - 1] >> 6) >> 1) + 4 * (rest + 1)
                low += size - here
                size = here - behind
            else:
                size -= behind
            shift = 16 - size.bit_length()
            low <<= shift
            size <<= shift
            length += shift
        self._narrow(low, size, length)

    def finish(self) -> bytes:
        """Return all that was written: a number whose last one is the first bit that does not matter."""
        return self._bytes((self._low + 0x3FFF >> 14) | 1, self._length - 14)
