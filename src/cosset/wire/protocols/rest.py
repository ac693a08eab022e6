"""rest-json and rest-xml: method and path name the operation; headers, query string, labels and body carry it.

The two differ only in how a body and an error are written: `RestJson` and `RestXml` say that, the rest is shared.
"""

from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NamedTuple

from cosset.wire.errors import OperationNotImplementedError, SerializationError, ServiceError
from cosset.wire.eventstream import CONTENT_TYPE as EVENT_STREAM
from cosset.wire.eventstream import EventStreamWriter
from cosset.wire.http_bindings import InputBindings, OutputBindings, without_names
from cosset.wire.message import Body, Headers, Request, Response
from cosset.wire.models import WireOperation, WireService
from cosset.wire.protocols.base import Protocol, RoutedOperation, body_bytes
from cosset.wire.routing import RestRouter

BodyReader = Callable[[dict[str, Any], Request], None]
BodyWriter = Callable[[Mapping[str, Any]], tuple[Body, str | None]]


class _Codec(NamedTuple):
    bindings: InputBindings | None
    read_body: BodyReader | None
    output: OutputBindings | None
    write_body: BodyWriter
    status: int


class RestProtocol(Protocol):
    request_id_header: str

    @abstractmethod
    def compile_members_reader(self, shape: Any, members: Mapping[str, Any]) -> Callable[[bytes], dict[str, Any]]:
        """A reader of a body that holds `members`."""

    @abstractmethod
    def compile_value_reader(self, shape: Any) -> Callable[[bytes], Any]:
        """A reader of a body that is one value of `shape`: a structured payload."""

    @abstractmethod
    def compile_members_writer(self, shape: Any, members: Mapping[str, Any]) -> Callable[[Any], bytes]:
        """A writer of a body that holds `members`."""

    @abstractmethod
    def compile_value_writer(self, shape: Any, member: str) -> Callable[[Any], bytes]:
        """A writer of a body that is the one value of `member`."""

    @abstractmethod
    def compile_events(self, shape: Any) -> EventStreamWriter:
        """A writer of the events of a stream."""

    content_type: str
    empty_body: bytes = b""

    def match(self, service: WireService, request: Request) -> RoutedOperation | None:
        if self.name not in service.protocols:
            return None
        found = service.attached("rest router", RestRouter).find(request)
        if found is None:
            raise ServiceError("UnknownOperationException", "", status=404)
        return RoutedOperation(self, service, *found)

    def parse(self, routed: RoutedOperation, request: Request) -> dict[str, Any]:
        codec = routed.service.compiled(self.name, routed.operation, self._compile)
        params: dict[str, Any] = {}
        try:
            if codec.bindings is not None:
                self._read_bound(codec.bindings, params, routed, request)
            if codec.read_body is not None:
                codec.read_body(params, request)
        except SerializationError as error:
            if not routed.service.overlay.violation:
                raise
            raise routed.service.overlay.violation_of(routed.operation) from error
        except RecursionError:
            raise SerializationError from None
        return params

    def _read_bound(
        self, bindings: InputBindings, params: dict[str, Any], routed: RoutedOperation, request: Request
    ) -> None:
        """Raises: ServiceError."""
        try:
            bindings.read(params, request.headers, routed.labels, request.query)
        except SerializationError:
            if routed.service.overlay.unreadable is None:
                raise
            overlay = routed.service.overlay
            unreadable = bindings.unreadable(request.headers, request.query)
            for name, text in unreadable.items():
                if name not in overlay.ignores_unreadable:
                    raise overlay.unreadable_of(name, text) from None
            headers = Headers((name, value) for name, value in request.headers if name not in unreadable)
            bindings.read(params, headers, routed.labels, without_names(request.query, unreadable))

    def serialize(self, service: WireService, operation: str, result: Mapping[str, Any], request_id: str) -> Response:
        codec = service.compiled(self.name, operation, self._compile)
        headers = [(self.request_id_header, request_id)]
        if named := service.overlay.answer_headers.get(operation):
            headers += [(header, result[name]) for name, header in named.items() if result.get(name)]
            result = {name: value for name, value in result.items() if name not in named}
        body, content_type = codec.write_body(result)
        status = (codec.output.write(result, headers) if codec.output is not None else None) or codec.status
        status = service.overlay.statuses.get(operation, status)
        telling = service.overlay.telling_members.get(operation)
        if telling is not None and telling[0] in result:
            status = telling[1]
        if status in (204, 304):
            return Response(status, headers)
        if content_type is not None and not (codec.output and codec.output.wrote_content_type(result)):
            headers.append(("Content-Type", service.overlay.payload_types.get(operation, content_type)))
        return Response(status, headers, body)

    def _compile(self, operation: WireOperation) -> _Codec:
        model = operation.model
        bindings = InputBindings(model.input_shape) if model.input_shape is not None else None
        compressed = bool(model.request_compression)
        if model.has_event_stream_input:
            raise OperationNotImplementedError(model.service_model.service_name, operation.name)
        read_body = self._compile_input(model.input_shape, bindings, compressed) if bindings is not None else None
        output = OutputBindings(model.output_shape) if model.output_shape is not None else None
        write_body = self._compile_output(model.output_shape, output) if output is not None else _no_body
        return _Codec(bindings, read_body, output, write_body, int(model.http.get("responseCode", 200)))

    def _compile_input(self, shape: Any, bindings: InputBindings, compressed: bool) -> BodyReader | None:
        name = shape.serialization.get("payload")
        if name is not None:
            return self._compile_payload(name, shape.members[name], compressed)
        if not bindings.body_members:
            return None
        read = self.compile_members_reader(shape, bindings.body_members)

        def read_members(params: dict[str, Any], request: Request) -> None:
            body = body_bytes(request, may_be_compressed=compressed)
            if body:
                params.update(read(body))

        return read_members

    def _compile_payload(self, name: str, shape: Any, compressed: bool) -> BodyReader:
        if shape.serialization.get("streaming"):
            return lambda params, request: params.__setitem__(name, _stream(request.body))
        read: Callable[[bytes], Any]
        if shape.type_name == "blob":
            read = bytes
        elif shape.type_name == "string":
            read = _text
        else:
            read = self.compile_value_reader(shape)

        def read_payload(params: dict[str, Any], request: Request) -> None:
            body = body_bytes(request, may_be_compressed=compressed)
            if body:
                params[name] = read(body)

        return read_payload

    def _compile_output(self, shape: Any, output: OutputBindings) -> BodyWriter:
        name = shape.serialization.get("payload")
        if name is not None:
            return _only_known(shape, self._compile_payload_output(name, shape.members[name]))
        if not output.body_members:
            empty = (self.empty_body, self.content_type if self.empty_body else None)
            return _only_known(shape, lambda result: empty)
        write = self.compile_members_writer(shape, output.body_members)
        content_type = self.content_type

        def write_members(result: Mapping[str, Any]) -> tuple[Body, str | None]:
            return write({key: value for key, value in result.items() if not output.holds(key)}), content_type

        return write_members

    def _compile_payload_output(self, name: str, shape: Any) -> BodyWriter:
        if shape.serialization.get("eventstream"):
            events = self.compile_events(shape)
            return lambda result: (events.frames(result[name]), EVENT_STREAM)
        if shape.type_name == "blob":
            return lambda result: (_blob(result.get(name)), "application/octet-stream")
        if shape.type_name == "string":
            return lambda result: ((result.get(name) or "").encode(), "text/plain")
        write = self.compile_value_writer(shape, name)
        content_type = self.content_type

        def write_payload(result: Mapping[str, Any]) -> tuple[Body, str | None]:
            value = result.get(name)
            return (b"" if value is None else write(value)), content_type

        return write_payload


def _only_known(shape: Any, write: BodyWriter) -> BodyWriter:
    known = frozenset(shape.members)

    def write_known(result: Mapping[str, Any]) -> tuple[Body, str | None]:
        if not result.keys() <= known:
            raise ValueError(f"{shape.name} has no member {', '.join(sorted(result.keys() - known))}")
        return write(result)

    return write_known


def _no_body(_: Mapping[str, Any]) -> tuple[Body, str | None]:
    return b"", None


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise SerializationError("The body is not UTF-8") from None


def _blob(value: Any) -> Body:
    if value is None:
        return b""
    return value.encode() if isinstance(value, str) else value


def _stream(body: Body) -> AsyncIterator[bytes]:
    """A streaming blob is always an iterator to the handler, whichever way the gateway had the body."""
    return _chunks(body) if isinstance(body, bytes) else body


async def _chunks(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body
