"""CRCs in plain Python, for where AWS's runtime library is not installed: of bytes, and of a whole from its parts'.

Refuses nothing and keeps nothing of an object. Many strips of a piece are counted side by side, as planes of bytes that
`translate` and integers of any length work on at once: some 50 MB/s, eight times a loop over bytes.
Read next: checksums.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

_ROWS = 256
"""The length of a strip."""
_WORTH_BYTES = 16 * 1024
"""Below this the loop is as fast."""
_WIDEST = 4_096
"""Strips at once."""


@dataclass(frozen=True, slots=True)
class Polynomial:
    """Reflected, as all of S3's are; the register begins and ends inverted."""

    reflected: int
    size: int

    @property
    def ones(self) -> int:
        return (1 << 8 * self.size) - 1


POLYNOMIALS = {
    "CRC32": Polynomial(0xEDB88320, 4),
    "CRC32C": Polynomial(0x82F63B78, 4),
    "CRC64NVME": Polynomial(0x9A6C9329AC4BC9B5, 8),
}


def step(polynomial: Polynomial, data: bytes, before: int) -> int:
    """The CRC of what `before` is the CRC of, and `data` behind it."""
    register = before ^ polynomial.ones
    start = 0
    while len(data) - start >= _WORTH_BYTES:
        width = min((len(data) - start) // _ROWS, _WIDEST)
        register = _strips(polynomial, data[start : start + width * _ROWS], width, register)
        start += width * _ROWS
    table = _table(polynomial)
    for byte in data[start:]:
        register = table[(register ^ byte) & 0xFF] ^ register >> 8
    return register ^ polynomial.ones


def joined(polynomial: Polynomial, first: int, second: int, second_bytes: int) -> int:
    """The CRC of two pieces behind each other, of which those of each are known."""
    power = 0
    while second_bytes:
        if second_bytes & 1:
            first = _times(_zeros(polynomial, power), first)
        second_bytes >>= 1
        power += 1
    return first ^ second


def _strips(polynomial: Polynomial, data: bytes, width: int, register: int) -> int:
    """Strips of `_ROWS` bytes side by side; plane n of `planes` has byte n of each strip's register."""
    bits = 8 * width
    mask, tables = (1 << bits) - 1, _planes(polynomial)
    first = register.to_bytes(polynomial.size, "little")
    planes = int.from_bytes(b"".join(bytes([byte]) + bytes(width - 1) for byte in first), "little")
    for row in range(_ROWS):
        index = (planes ^ int.from_bytes(data[row::_ROWS], "little")) & mask
        looked_up = index.to_bytes(width, "little")
        found = b"".join([looked_up.translate(table) for table in tables])
        planes = planes >> bits ^ int.from_bytes(found, "little")
    counted = planes.to_bytes(width * polynomial.size, "little")
    registers = [int.from_bytes(counted[strip::width], "little") for strip in range(width)]
    return _fold(polynomial, registers)


def _fold(polynomial: Polynomial, registers: Sequence[int]) -> int:
    """Those of strips, to that of all of them behind each other."""
    behind = _behind_a_strip(polynomial)
    whole = 0
    for register in registers:
        moved = register
        for table, byte in zip(behind, whole.to_bytes(polynomial.size, "little"), strict=True):
            moved ^= table[byte]
        whole = moved
    return whole


@cache
def _table(polynomial: Polynomial) -> tuple[int, ...]:
    """What a byte does to the register."""
    found = []
    for byte in range(256):
        register = byte
        for _ in range(8):
            register = register >> 1 ^ (polynomial.reflected if register & 1 else 0)
        found.append(register)
    return tuple(found)


@cache
def _planes(polynomial: Polynomial) -> tuple[bytes, ...]:
    """The same, a table for each byte of the register."""
    rows = [entry.to_bytes(polynomial.size, "little") for entry in _table(polynomial)]
    return tuple(bytes(row[plane] for row in rows) for plane in range(polynomial.size))


@cache
def _behind_a_strip(polynomial: Polynomial) -> tuple[tuple[int, ...], ...]:
    """What a register becomes by a strip of zeros behind it, a table for each of its bytes."""
    matrix = _zeros(polynomial, _ROWS.bit_length() - 1)
    return tuple(tuple(_times(matrix, byte << 8 * place) for byte in range(256)) for place in range(polynomial.size))


@cache
def _zeros(polynomial: Polynomial, power: int) -> tuple[int, ...]:
    """What 2 ** `power` bytes of zeros do to each bit of the register."""
    if power:
        half = _zeros(polynomial, power - 1)
        return tuple(_times(half, column) for column in half)
    table = _table(polynomial)
    bits = (1 << bit for bit in range(8 * polynomial.size))
    return tuple(table[bit & 0xFF] ^ bit >> 8 for bit in bits)


def _times(matrix: Sequence[int], vector: int) -> int:
    found = 0
    for column in matrix:
        if not vector:
            break
        if vector & 1:
            found ^= column
        vector >>= 1
    return found
