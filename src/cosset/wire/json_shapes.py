"""JSON bodies: compiled readers and writers per shape, for the json and rest-json protocols.

Reading is as tolerant as AWS: null members are dropped, unknown members ignored; a wrong JSON type is a
SerializationException. Elements of lists and maps that are null stay, for validation.py to name them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cosset.wire import scalars
from cosset.wire.errors import SerializationError
from cosset.wire.timestamps import ISO8601, RFC822, UNIX, read_timestamp, write_epoch, write_timestamp

if TYPE_CHECKING:
    from botocore.model import Shape

JsonReader = Callable[[Any], Any]
JsonWriter = Callable[[Any], Any]

_LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_EXPECTED = {"structure": "Expected null", "map": "Expected map or null", "list": "Expected list or null"}
_JAVA_NAMES = {"integer": "Integer", "long": "Long", "float": "Float", "double": "Double", "boolean": "Boolean"}


def load_json(body: bytes) -> Any:
    """The value of a JSON body.

    Raises:
        SerializationError: no JSON, no UTF-8, nested too deep for the interpreter, or a bare NaN.
    """
    try:
        value = _DECODER.decode(body.decode("utf-8"))
        return _without_lone_surrogates(value) if _LONE_SURROGATE.search(body) else value
    except (ValueError, RecursionError):
        raise SerializationError from None


def dump_json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _without_lone_surrogates(value: Any) -> Any:
    """Half a surrogate pair is no character: nothing could store or send it, so it becomes U+FFFD here."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [_without_lone_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_lone_surrogates(key): _without_lone_surrogates(item) for key, item in value.items()}
    return value


def mismatch(value: Any, wanted: str) -> SerializationError:
    """The sentences of AWS's own deserializer, which names the token that it found (Lambda, SES, Athena, DynamoDB say
    the same; API Gateway still has an older wording, `class java.lang.Boolean can not be converted to an String`)."""
    if isinstance(value, dict):
        return SerializationError("Start of structure or map found where not expected.")
    if isinstance(value, list):
        return SerializationError("Start of list found where not expected")
    if wanted in _EXPECTED:
        return SerializationError(_EXPECTED[wanted])
    if isinstance(value, bool):
        token = "TRUE_VALUE" if value else "FALSE_VALUE"
    elif isinstance(value, str):
        token = "STRING_VALUE"
    else:
        token = "NUMBER_VALUE"
    article = "an" if wanted[0] in "AEIOU" else "a"
    return SerializationError(f"{token} can not be converted to {article} {wanted}")


class JsonReaders:
    """Compiles readers; shapes that refer to themselves share one reader by name."""

    def __init__(self) -> None:
        self._by_name: dict[str, JsonReader] = {}

    def reader(self, shape: Shape) -> JsonReader:
        kind = shape.type_name
        if kind in ("structure", "list", "map"):
            known = self._by_name.get(shape.name)
            if known is None:
                # A shape may contain itself: until its reader exists, references go through the table.
                name, table = shape.name, self._by_name
                table[name] = lambda value: table[name](value)
                known = table[name] = getattr(self, f"_{kind}")(shape)
            return known
        return self.scalar(kind)

    def scalar(self, kind: str) -> JsonReader:
        return _scalar_reader(kind)

    def _structure(self, shape: Any) -> JsonReader:
        if shape.is_document_type:
            return lambda value: value
        return self.members(shape, shape.members)

    def members(self, shape: Any, members: Any) -> JsonReader:
        """A reader of an object that holds `members` (a rest-json body holds only those bound nowhere else)."""
        table = {
            member.serialization.get("name", name): (name, self.reader(member)) for name, member in members.items()
        }
        find = table.get

        def read(value: Any) -> dict[str, Any]:
            if value.__class__ is not dict:
                raise mismatch(value, "structure")
            result = {}
            for key, item in value.items():
                if item is not None and (member := find(key)) is not None:
                    result[member[0]] = member[1](item)
            return result

        return read

    def _list(self, shape: Any) -> JsonReader:
        element = self.reader(shape.member)

        def read(value: Any) -> list[Any]:
            if value.__class__ is not list:
                raise mismatch(value, "list")
            return [None if item is None else element(item) for item in value]

        return read

    def _map(self, shape: Any) -> JsonReader:
        element = self.reader(shape.value)

        def read(value: Any) -> dict[str, Any]:
            if value.__class__ is not dict:
                raise mismatch(value, "map")
            return {key: None if item is None else element(item) for key, item in value.items()}

        return read


def _scalar_reader(kind: str) -> JsonReader:
    if kind in scalars.INTEGER_BITS:
        return _integer_reader(kind)
    return _SCALARS.get(kind, _read_string)


def _read_string(value: Any) -> Any:
    if value.__class__ is str:
        return value
    raise mismatch(value, "String")


def _integer_reader(kind: str) -> JsonReader:
    limit = 1 << (scalars.INTEGER_BITS[kind] - 1)
    wanted = _JAVA_NAMES[kind]

    def read(value: Any) -> int:
        # AWS's own number class truncates: 1.5 becomes 1.
        if value.__class__ is float and math.isfinite(value):
            value = int(value)
        if value.__class__ is int and -limit <= value < limit:
            return int(value)
        raise mismatch(value, wanted)

    return read


def _read_float(value: Any) -> float:
    if value.__class__ is float:
        return float(value)
    if value.__class__ is int:
        try:
            return float(value)
        except OverflowError:
            raise mismatch(value, "Double") from None
    if value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    raise mismatch(value, "Double")


def _read_boolean(value: Any) -> bool:
    if value is True or value is False:
        return bool(value)
    raise mismatch(value, "Boolean")


def _read_blob(value: Any) -> bytes:
    if value.__class__ is str:
        return scalars.read_base64(value)
    raise mismatch(value, "Blob")


def _read_moment(value: Any) -> Any:
    if value.__class__ in (str, int, float):
        return read_timestamp(value)
    raise mismatch(value, "Date")


_SCALARS: dict[str, JsonReader] = {
    "float": _read_float,
    "double": _read_float,
    "boolean": _read_boolean,
    "blob": _read_blob,
    "timestamp": _read_moment,
}


class JsonWriters:
    """Compiles writers: a handler's value to what `json.dumps` takes. None means unset and is omitted.

    A member that the shape does not have is a bug of the handler and raises ValueError: it must not vanish in silence.
    """

    def __init__(self, timestamp_format: str = UNIX) -> None:
        self._timestamp_format = timestamp_format
        self._by_name: dict[str, JsonWriter] = {}

    def writer(self, shape: Shape) -> JsonWriter:
        kind = shape.type_name
        if kind in ("structure", "list", "map"):
            known = self._by_name.get(shape.name)
            if known is None:
                name, table = shape.name, self._by_name
                table[name] = lambda value: table[name](value)
                known = table[name] = getattr(self, f"_{kind}")(shape)
            return known
        return self.scalar(shape)

    def _structure(self, shape: Any) -> JsonWriter:
        if shape.is_document_type:
            return lambda value: value
        return self.members(shape, shape.members)

    def members(self, shape: Any, members: Any) -> JsonWriter:
        table = {
            name: (member.serialization.get("name", name), self.writer(member)) for name, member in members.items()
        }

        def write(value: Any) -> dict[str, Any]:
            result = {}
            for name, item in value.items():
                if item is None:
                    continue
                member = table.get(name)
                if member is None:
                    raise ValueError(f"{shape.name} has no member {name}")
                result[member[0]] = member[1](item)
            return result

        return write

    def _list(self, shape: Any) -> JsonWriter:
        element = self.writer(shape.member)
        return lambda value: [None if item is None else element(item) for item in value]

    def _map(self, shape: Any) -> JsonWriter:
        element = self.writer(shape.value)
        return lambda value: {key: None if item is None else element(item) for key, item in value.items()}

    def scalar(self, shape: Shape) -> JsonWriter:
        kind = shape.type_name
        if kind == "blob":
            return scalars.write_base64
        if kind in ("float", "double"):
            return lambda value: value if math.isfinite(value) else scalars.write_float(float(value))
        if kind == "timestamp":
            chosen = shape.serialization.get("timestampFormat", self._timestamp_format)
            if chosen in (ISO8601, RFC822):
                return lambda value: write_timestamp(value, chosen)
            return write_epoch
        if kind == "boolean":
            return bool
        return _as_is


def _as_is(value: Any) -> Any:
    return value
