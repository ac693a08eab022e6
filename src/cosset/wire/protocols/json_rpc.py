"""The json protocols 1.0 and 1.1: X-Amz-Target names the operation, one JSON object goes in, one comes out."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from cosset.wire.errors import ServiceError
from cosset.wire.eventstream import EventStreamWriter
from cosset.wire.json_shapes import JsonReader, JsonReaders, JsonWriter, JsonWriters, dump_json, load_json
from cosset.wire.message import Request, Response
from cosset.wire.models import WireOperation, WireService
from cosset.wire.protocols.base import Protocol, RoutedOperation, body_bytes
from cosset.wire.protocols.rpc_errors import describe_error


class _Codec(NamedTuple):
    read: JsonReader
    write: JsonWriter
    event_stream: tuple[str, EventStreamWriter] | None
    may_be_compressed: bool


def _compile(operation: WireOperation) -> _Codec:
    model = operation.model
    read: Callable[[Any], Any] = lambda value: {}  # noqa: E731
    write: Callable[[Any], Any] = lambda value: {}  # noqa: E731
    if model.input_shape is not None:
        read = JsonReaders().reader(model.input_shape)
    compressed = bool(model.request_compression)
    if model.output_shape is None:
        return _Codec(read, write, None, compressed)
    writers = JsonWriters()
    if not operation.event_stream_out:
        return _Codec(read, writers.writer(model.output_shape), None, compressed)
    shape: Any = model.output_shape
    name = shape.event_stream_name
    others = {member: value for member, value in shape.members.items() if member != name}
    events = (name, EventStreamWriter.json(shape.members[name]))
    return _Codec(read, writers.members(shape, others), events, compressed)


class JsonRpc(Protocol):
    name = "json"

    def match(self, service: WireService, request: Request) -> RoutedOperation | None:
        target = request.headers.get("x-amz-target")
        if target is None or self.name not in service.protocols:
            return None
        prefix, _, operation = target.rpartition(".")
        if prefix != service.target_prefix or operation not in service.operation_names:
            raise ServiceError("UnknownOperationException", "")
        return RoutedOperation(self, service, operation)

    def parse(self, routed: RoutedOperation, request: Request) -> dict[str, Any]:
        codec = routed.service.compiled(self.name, routed.operation, _compile)
        body = body_bytes(request, may_be_compressed=codec.may_be_compressed)
        if not body:
            return {}
        value = load_json(body)
        if value is None:
            return {}
        try:
            params: dict[str, Any] = codec.read(value)
        except RecursionError:
            raise ServiceError("SerializationException", "") from None
        return params

    def serialize(self, service: WireService, operation: str, result: Mapping[str, Any], request_id: str) -> Response:
        codec = service.compiled(self.name, operation, _compile)
        headers = self._headers(service, request_id)
        if codec.event_stream is None:
            return Response(200, headers, dump_json(codec.write(result)))
        name, writer = codec.event_stream
        initial = dump_json(codec.write({key: value for key, value in result.items() if key != name}))
        headers[0] = ("Content-Type", "application/vnd.amazon.eventstream")
        return Response(200, headers, writer.frames(result[name], initial_response=initial))

    def serialize_error(
        self, service: WireService, operation: str | None, error: ServiceError, request_id: str
    ) -> Response:
        told = describe_error(service, error, _type_name(service, error), "json", JsonWriters)
        return Response(told.status, self._headers(service, request_id) + told.headers, dump_json(told.content))

    @staticmethod
    def _headers(service: WireService, request_id: str) -> list[tuple[str, str]]:
        return [
            ("Content-Type", f"application/x-amz-json-{service.json_version}"),
            ("x-amzn-RequestId", request_id),
        ]


def _type_name(service: WireService, error: ServiceError) -> str:
    """json 1.0 answers with the whole shape id, json 1.1 with its name; clients cut at the `#`."""
    shape: Any = service.error_shape(error.code)
    name = shape.name if shape is not None else error.code
    if service.json_version != "1.0":
        return str(name)
    space = "com.amazonaws." + service.endpoint_prefix if shape is not None else "com.amazon.coral.service"
    return f"{space}#{name}"
