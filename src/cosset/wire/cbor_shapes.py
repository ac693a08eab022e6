"""CBOR bodies: compiled readers and writers per shape, for rpc-v2-cbor. As json_shapes.py, but for simple values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cosset.wire.cbor import EpochSeconds
from cosset.wire.json_shapes import JsonReader, JsonReaders, JsonWriter, JsonWriters, mismatch
from cosset.wire.timestamps import UNIX, write_epoch

if TYPE_CHECKING:
    from botocore.model import Shape


class CborReaders(JsonReaders):
    """Blobs are bytes; numbers, texts and points in time are as in JSON."""

    def scalar(self, kind: str) -> JsonReader:
        return _read_blob if kind == "blob" else super().scalar(kind)


class CborWriters(JsonWriters):
    """To what `dump_cbor` takes."""

    def __init__(self) -> None:
        super().__init__(UNIX)

    def scalar(self, shape: Shape) -> JsonWriter:
        return _WRITERS.get(shape.type_name, _as_is)


def _read_blob(value: Any) -> bytes:
    if value.__class__ is bytes:
        return bytes(value)
    raise mismatch(value, "Blob")


def _as_is(value: Any) -> Any:
    return value


_WRITERS: dict[str, JsonWriter] = {
    "float": float,
    "double": float,
    "boolean": bool,
    "timestamp": lambda value: EpochSeconds(write_epoch(value)),
}
