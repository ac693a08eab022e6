"""CBOR (RFC 8949), as much of it as rpc-v2-cbor uses: bytes to plain values and back.

Refuses what no AWS client sends: tags other than points in time and big numbers, keys that are no text, nesting beyond
a bound. Source: https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html. Next: cbor_shapes.py.
"""

import struct
from dataclasses import dataclass
from typing import Any

from cosset.wire.errors import SerializationError

MAX_DEPTH = 128
_INDEFINITE = 31
_BREAK = 0xFF
_EPOCH_SECONDS = 1
_UNSIGNED_BIG, _NEGATIVE_BIG = 2, 3
_FLOATS = {25: ">e", 26: ">f", 27: ">d"}
_WIDTHS = {24: 1, 25: 2, 26: 4, 27: 8}


@dataclass(frozen=True, slots=True)
class EpochSeconds:
    """A point in time: tag 1 around a number of seconds."""

    seconds: int | float


def load_cbor(body: bytes) -> Any:
    """The one value in the body. Points in time become their number of seconds, undefined becomes None.

    Raises:
        SerializationError: no CBOR, cut short, something after it, nested too deep, or a kind that is not read.
    """
    reader = _Reader(body)
    try:
        value = reader.value(0)
    except (IndexError, struct.error, UnicodeDecodeError):
        raise SerializationError("The body is no CBOR, or is cut short") from None
    if reader.at != len(body):
        raise SerializationError("The body holds more than one CBOR value")
    return value


class _Reader:
    __slots__ = ("at", "body")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.at = 0

    def value(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise SerializationError("The body is nested too deep")
        head = self.body[self.at]
        self.at += 1
        major, info = head >> 5, head & 31
        if major == 7:
            return self._simple(info)
        if info == _INDEFINITE:
            return self._indefinite(major, depth)
        number = self._number(info)
        if major == 0:
            return number
        if major == 1:
            return -1 - number
        if major == 2:
            return self._take(number)
        if major == 3:
            return self._take(number).decode()
        if major == 4:
            # Each element takes a byte at least: a length that the body cannot hold ends at its end.
            return [self.value(depth + 1) for _ in range(number)]
        if major == 5:
            return {self._key(depth): self.value(depth + 1) for _ in range(number)}
        return self._tagged(number, depth)

    def _number(self, info: int) -> int:
        if info < 24:
            return info
        width = _WIDTHS.get(info)
        if width is None:
            raise SerializationError("The body is no CBOR")
        return int.from_bytes(self._take(width), "big")

    def _take(self, length: int) -> bytes:
        end = self.at + length
        if end > len(self.body):
            raise IndexError
        taken = self.body[self.at : end]
        self.at = end
        return taken

    def _simple(self, info: int) -> Any:
        if info in (20, 21):
            return info == 21
        if info in (22, 23):
            return None
        form = _FLOATS.get(info)
        if form is None:
            raise SerializationError("The body is no CBOR that is understood")
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _indefinite(self, major: int, depth: int) -> Any:
        if major in (2, 3):
            return self._chunks(major)
        if major == 4:
            items = []
            while not self._at_break():
                items.append(self.value(depth + 1))
            return items
        if major == 5:
            entries = {}
            while not self._at_break():
                key = self._key(depth)
                entries[key] = self.value(depth + 1)
            return entries
        raise SerializationError("The body is no CBOR")

    def _chunks(self, major: int) -> Any:
        data = b""
        while not self._at_break():
            head = self.body[self.at]
            self.at += 1
            if head >> 5 != major or head & 31 == _INDEFINITE:
                raise SerializationError("The body is no CBOR")
            data += self._take(self._number(head & 31))
        return data.decode() if major == 3 else data

    def _at_break(self) -> bool:
        if self.body[self.at] != _BREAK:
            return False
        self.at += 1
        return True

    def _key(self, depth: int) -> str:
        key = self.value(depth + 1)
        if key.__class__ is not str:
            raise SerializationError("The keys of a map must be text")
        return str(key)

    def _tagged(self, tag: int, depth: int) -> Any:
        value = self.value(depth + 1)
        if tag == _EPOCH_SECONDS and value.__class__ in (int, float):
            return value
        if tag in (_UNSIGNED_BIG, _NEGATIVE_BIG) and value.__class__ is bytes and len(value) <= 32:
            number = int.from_bytes(value, "big")
            return number if tag == _UNSIGNED_BIG else -1 - number
        raise SerializationError(f"Tag {tag} is not understood")


def dump_cbor(value: Any) -> bytes:
    """Definite lengths, doubles for every float. Raises ValueError for a kind that has no place in CBOR."""
    out = bytearray()
    _write(value, out)
    return bytes(out)


def _write(value: Any, out: bytearray) -> None:
    kind = value.__class__
    if kind is str:
        data = value.encode("utf-8", "replace")
        out += _head(3, len(data)) + data
    elif kind is float:
        out += b"\xfb" + struct.pack(">d", value)
    elif kind is bool:
        out.append(0xF5 if value else 0xF4)
    elif kind is int:
        out += _head(0, value) if value >= 0 else _head(1, -1 - value)
    elif value is None:
        out.append(0xF6)
    elif kind is dict:
        out += _head(5, len(value))
        for key, item in value.items():
            _write(key, out)
            _write(item, out)
    elif kind is list:
        out += _head(4, len(value))
        for item in value:
            _write(item, out)
    elif kind is EpochSeconds:
        out += _head(6, _EPOCH_SECONDS)
        _write(value.seconds, out)
    elif isinstance(value, bytes | bytearray | memoryview):
        out += _head(2, len(value)) + bytes(value)
    else:
        raise ValueError(f"{kind.__name__} cannot be written as CBOR")


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes((major << 5 | number,))
    for info, width in _WIDTHS.items():
        if number < 1 << (8 * width):
            return bytes((major << 5 | info,)) + number.to_bytes(width, "big")
    raise ValueError("a number of more than 64 bits")
