"""Bits, as strings of zeros and ones: quick to join and to repeat, and turned into bytes in one go."""

from __future__ import annotations


def fixed(value: int, width: int) -> str:
    """Return a number of zero or more in so many bits."""
    return f"{value:0{width}b}"


def ue(value: int) -> str:
    """Return a number of zero or more in the Exp-Golomb code."""
    code = value + 1
    return "0" * (code.bit_length() - 1) + f"{code:b}"


def se(value: int) -> str:
    """Return a number that may be negative in the signed Exp-Golomb code."""
    return ue(2 * value - 1 if value > 0 else -2 * value)


def packed(bits: str) -> bytes:
    """Return the bytes that bits fill, with zeros behind them in the last one."""
    bits += "0" * (-len(bits) % 8)
    return int(bits or "0", 2).to_bytes(len(bits) // 8, "big")
