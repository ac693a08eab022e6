"""rest-json: bodies and errors are JSON objects (Lambda, API Gateway, Scheduler ...)."""

from collections.abc import Callable, Mapping
from typing import Any

from cosset.wire.errors import ServiceError
from cosset.wire.eventstream import EventStreamWriter
from cosset.wire.http_bindings import OutputBindings
from cosset.wire.json_shapes import JsonReaders, JsonWriter, JsonWriters, dump_json, load_json
from cosset.wire.message import Response
from cosset.wire.models import WireService
from cosset.wire.protocols.base import error_members, error_status, with_message
from cosset.wire.protocols.rest import RestProtocol


class RestJson(RestProtocol):
    name = "rest-json"
    content_type = "application/json"
    request_id_header = "x-amzn-RequestId"
    empty_body = b"{}"

    def compile_members_reader(self, shape: Any, members: Mapping[str, Any]) -> Callable[[bytes], dict[str, Any]]:
        read = JsonReaders().members(shape, members)

        def read_body(body: bytes) -> dict[str, Any]:
            value = load_json(body)
            result: dict[str, Any] = {} if value is None else read(value)
            return result

        return read_body

    def compile_value_reader(self, shape: Any) -> Callable[[bytes], Any]:
        read = JsonReaders().reader(shape)
        return lambda body: read(load_json(body))

    def compile_members_writer(self, shape: Any, members: Mapping[str, Any]) -> Callable[[Any], bytes]:
        write = JsonWriters().members(shape, members)
        return lambda value: dump_json(write(value))

    def compile_value_writer(self, shape: Any, member: str) -> Callable[[Any], bytes]:
        write = JsonWriters().writer(shape)
        return lambda value: dump_json(write(value))

    def compile_events(self, shape: Any) -> EventStreamWriter:
        return EventStreamWriter.json(shape)

    def serialize_error(
        self, service: WireService, operation: str | None, error: ServiceError, request_id: str
    ) -> Response:
        shape: Any = service.error_shape(error.code)
        headers = [
            (self.request_id_header, request_id),
            ("Content-Type", self.content_type),
            ("x-amzn-ErrorType", shape.name if shape is not None else error.code),
        ]
        if shape is None:
            return Response(error.status, headers, dump_json(with_message({}, error)))
        members = error_members(service, error, shape)
        bindings, write = service.attached(f"rest-json error {shape.name}", lambda _: _compile_error(shape))
        bindings.write(members, headers)
        body = write({name: value for name, value in members.items() if name in bindings.body_members})
        return Response(error_status(service, error, shape), headers, dump_json(with_message(body, error)))


def _compile_error(shape: Any) -> tuple[OutputBindings, JsonWriter]:
    bindings = OutputBindings(shape)
    return bindings, JsonWriters().members(shape, bindings.body_members)
