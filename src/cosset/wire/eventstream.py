"""`application/vnd.amazon.eventstream`: the frames in which AWS streams events, with their checksums.

Output only: no service that Cosset has takes an event stream in. Next: protocols/.
"""

import struct
import zlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from cosset.wire.errors import ServiceError
from cosset.wire.json_shapes import JsonWriters, dump_json
from cosset.wire.timestamps import write_epoch
from cosset.wire.xml_shapes import XmlWriters

HeaderValue = str | bytes | bool | int | datetime
CONTENT_TYPE = "application/vnd.amazon.eventstream"

# A frame's whole size is limited by the specification; a payload above it must be split by who made it.
MAX_PAYLOAD_BYTES = 16 * 1024 * 1024

_PRELUDE = struct.Struct("!II")
_CRC = struct.Struct("!I")


def encode_frame(headers: Sequence[tuple[str, HeaderValue]], payload: bytes) -> bytes:
    """One message: prelude, its CRC, headers, payload, CRC of it all."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"An event of {len(payload)} bytes does not fit a frame")
    encoded = b"".join(_encode_header(name, value) for name, value in headers)
    prelude = _PRELUDE.pack(len(encoded) + len(payload) + 16, len(encoded))
    head = prelude + _CRC.pack(zlib.crc32(prelude))
    body = head + encoded + payload
    return body + _CRC.pack(zlib.crc32(body))


def _encode_header(name: str, value: HeaderValue) -> bytes:
    label = name.encode()
    head = bytes([len(label)]) + label
    if isinstance(value, bool):
        return head + (b"\x00" if value else b"\x01")
    if isinstance(value, int):
        return head + (struct.pack("!bi", 4, value) if -(1 << 31) <= value < 1 << 31 else struct.pack("!bq", 5, value))
    if isinstance(value, datetime):
        return head + struct.pack("!bq", 8, round(write_epoch(value) * 1000))
    kind, data = (6, value) if isinstance(value, bytes) else (7, value.encode())
    return head + struct.pack("!bH", kind, len(data)) + data


class EventStreamWriter:
    """Writes the events of one modelled stream."""

    def __init__(
        self, shape: Any, body_type: str, body_of: Callable[[Any, Mapping[str, Any]], Callable[[Any], bytes]]
    ) -> None:
        self._events = {name: _Event(name, member, body_type, body_of) for name, member in shape.members.items()}
        self._exceptions = {
            member.name: name for name, member in shape.members.items() if member.metadata.get("exception")
        }

    @classmethod
    def json(cls, shape: Any) -> "EventStreamWriter":
        def body_of(event: Any, members: Mapping[str, Any]) -> Callable[[Any], bytes]:
            write = JsonWriters().members(event, members)
            return lambda value: dump_json(write(value))

        return cls(shape, "application/json", body_of)

    @classmethod
    def xml(cls, shape: Any) -> "EventStreamWriter":
        def body_of(event: Any, members: Mapping[str, Any]) -> Callable[[Any], bytes]:
            write = XmlWriters().members(event, members)[0]

            def to_bytes(value: Any) -> bytes:
                out = [f"<{event.name}>"]
                write(value, out)
                out.append(f"</{event.name}>")
                return "".join(out).encode()

            return to_bytes

        return cls(shape, "application/xml", body_of)

    def event(self, name: str, value: Mapping[str, Any]) -> bytes:
        event = self._events.get(name)
        if event is None:
            raise ValueError(f"The stream has no event {name}")
        return event.encode(value)

    def error(self, error: ServiceError) -> bytes:
        """A stream that breaks tells the client why: as the modelled exception, or by code and message."""
        name = self._exceptions.get(error.code) or (error.code if error.code in self._events else None)
        if name is None:
            headers = [(":message-type", "error"), (":error-code", error.code), (":error-message", error.message)]
            return encode_frame(headers, b"")
        return self._events[name].encode_exception(error)

    async def frames(
        self, events: AsyncIterator[Mapping[str, Any]], *, initial_response: bytes | None = None
    ) -> AsyncIterator[bytes]:
        """One frame an event, as they come. `initial_response`: the other members, which rpc protocols send first."""
        if initial_response is not None:
            headers = [
                (":message-type", "event"),
                (":event-type", "initial-response"),
                (":content-type", "application/json"),
            ]
            yield encode_frame(headers, initial_response)
        try:
            async for event in events:
                for name, value in event.items():
                    yield self.event(name, value)
        except ServiceError as error:
            yield self.error(error)


class _Event:
    """One member of the stream: which of its members are headers, which is the payload."""

    def __init__(self, name: str, shape: Any, body_type: str, body_of: Any) -> None:
        self._name = name
        self._shape = shape
        self._headers = [key for key, member in shape.members.items() if member.serialization.get("eventheader")]
        payload = [key for key, member in shape.members.items() if member.serialization.get("eventpayload")]
        self._payload = payload[0] if payload else None
        self._body_type = body_type
        rest = {key: member for key, member in shape.members.items() if key not in self._headers}
        if self._payload is None:
            self._body = body_of(shape, rest)
            self._has_body = bool(rest)
            return
        member: Any = shape.members[self._payload]
        self._has_body = True
        if member.type_name == "blob":
            self._body_type, self._body = "application/octet-stream", _raw
        elif member.type_name == "string":
            self._body_type, self._body = "text/plain", _raw
        else:
            self._body = body_of(member, member.members)

    def encode(self, value: Mapping[str, Any]) -> bytes:
        headers: list[tuple[str, HeaderValue]] = [(":message-type", "event"), (":event-type", self._name)]
        return self._encode(headers, value)

    def encode_exception(self, error: ServiceError) -> bytes:
        names = {name.lower(): name for name in self._shape.members}
        value = {name: item for name, item in error.fields.items() if name in self._shape.members}
        if "message" in names:
            value[names["message"]] = error.message
        return self._encode([(":message-type", "exception"), (":exception-type", self._name)], value)

    def _encode(self, headers: list[tuple[str, HeaderValue]], value: Mapping[str, Any]) -> bytes:
        headers += [(key, value[key]) for key in self._headers if value.get(key) is not None]
        if not self._has_body:
            return encode_frame(headers, b"")
        headers.append((":content-type", self._body_type))
        if self._payload is not None:
            content = value.get(self._payload)
            return encode_frame(headers, b"" if content is None else self._body(content))
        rest = {key: item for key, item in value.items() if key not in self._headers}
        return encode_frame(headers, self._body(rest))


def _raw(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else value
