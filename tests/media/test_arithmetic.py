"""The arithmetic coders, read back as the specifications of VP9 and AV1 have it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from comfystub.media.arithmetic import Bit, BitCoder, Symbol, SymbolCoder


class Reader:
    """The bits of some bytes, with zeros behind them."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def take(self, count: int) -> int:
        value = 0
        for _ in range(count):
            byte, bit = divmod(self.place, 8)
            value = value << 1 | (self.data[byte] >> 7 - bit & 1 if byte < len(self.data) else 0)
            self.place += 1
        return value


def bits_of(data: bytes, probabilities: list[int]) -> list[int]:
    reader = Reader(data)
    value, size = reader.take(8), 255
    read = []
    for probability in (128, *probabilities):
        split = 1 + ((size - 1) * probability >> 8)
        if value < split:
            size = split
            read.append(0)
        else:
            value -= split
            size -= split
            read.append(1)
        while size < 128:
            size *= 2
            value = value << 1 | reader.take(1)
    assert read[0] == 0
    return read[1:]


def symbols_of(data: bytes, cdfs: list[tuple[int, ...]]) -> list[int]:
    reader = Reader(data)
    value, size = 0x7FFF ^ reader.take(15), 1 << 15
    read = []
    for cdf in cdfs:
        full = (*cdf, 0x8000)
        symbol, now = -1, size
        while symbol < 0 or value < now:
            symbol += 1
            before = now
            now = ((size >> 8) * (0x8000 - full[symbol] >> 6) >> 1) + 4 * (len(full) - symbol - 1)
        value, size = value - now, before - now
        read.append(symbol)
        shift = 16 - size.bit_length()
        size <<= shift
        value = reader.take(shift) ^ ((value + 1 << shift) - 1)
    return read


BITS = st.lists(st.tuples(st.integers(0, 1), st.integers(1, 255)), max_size=600)


@given(BITS, st.integers(1, 20))
def test_bits_come_back(bits: list[Bit], times: int) -> None:
    bits = bits * times
    coder = BitCoder()
    for place in range(0, len(bits), 7):
        coder.write(bits[place : place + 7])
    data = coder.finish()
    assert bits_of(data, [probability for _, probability in bits]) == [bit for bit, _ in bits]
    assert data[-1] == 0


@st.composite
def a_symbol(draw: st.DrawFn) -> Symbol:
    cdf = draw(st.lists(st.integers(64, 0x8000 - 64), min_size=1, max_size=15, unique=True).map(sorted))
    return tuple(cdf), draw(st.integers(0, len(cdf)))


@given(st.lists(a_symbol(), max_size=100), st.integers(1, 20))
def test_symbols_come_back(symbols: list[Symbol], times: int) -> None:
    symbols = symbols * times
    coder = SymbolCoder()
    for place in range(0, len(symbols), 7):
        coder.write(symbols[place : place + 7])
    data = coder.finish()
    assert symbols_of(data, [cdf for cdf, _ in symbols]) == [symbol for _, symbol in symbols]


@given(st.lists(a_symbol(), max_size=100))
def test_a_one_and_zeros_end_the_symbols(symbols: list[Symbol]) -> None:
    coder = SymbolCoder()
    coder.write(symbols)
    data = coder.finish()
    assert data[-1] != 0


def test_a_likely_bit_takes_little_room() -> None:
    coder = BitCoder()
    coder.write([(0, 255)] * 8000)
    assert len(coder.finish()) < 20
