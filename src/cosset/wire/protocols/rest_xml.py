"""rest-xml: bodies and errors are XML documents (S3, CloudFront, Route 53)."""

from collections.abc import Callable, Mapping
from typing import Any

from cosset.wire.errors import SerializationError, ServiceError
from cosset.wire.eventstream import EventStreamWriter
from cosset.wire.host_ids import host_id
from cosset.wire.http_bindings import OutputBindings
from cosset.wire.message import Response
from cosset.wire.models import WireService
from cosset.wire.protocols.base import error_members, error_status, is_senders_fault, message_element
from cosset.wire.protocols.rest import RestProtocol
from cosset.wire.timestamps import EXACT, ISO8601
from cosset.wire.xml_shapes import XmlReaders, XmlWriter, XmlWriters, escape, load_xml, namespace_text, root_name

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


class RestXml(RestProtocol):
    name = "rest-xml"
    content_type = "application/xml"
    request_id_header = "x-amz-request-id"

    def compile_members_reader(self, shape: Any, members: Mapping[str, Any]) -> Callable[[bytes], dict[str, Any]]:
        read = XmlReaders().members(members)
        return lambda body: read(load_xml(body))

    def compile_value_reader(self, shape: Any) -> Callable[[bytes], Any]:
        read = XmlReaders().reader(shape)
        if not shape.serialization.get("checksRoot"):
            return lambda body: read(load_xml(body))
        name = shape.serialization.get("name", shape.name)

        def read_named(body: bytes) -> Any:
            element = load_xml(body)
            if element.tag != name:
                raise SerializationError(f"The document is no {name}")
            return read(element)

        return read_named

    def compile_members_writer(self, shape: Any, members: Mapping[str, Any]) -> Callable[[Any], bytes]:
        content, attributes = _writers(shape).members(shape, members)
        tag = shape.serialization.get("name", shape.name)
        declared = shape.serialization.get("xmlNamespace")
        namespace = namespace_text(declared) if declared else ""
        is_bare = bool(shape.serialization.get("isBare"))

        def write(value: Any) -> bytes:
            out = [f"{_DECLARATION}<{tag}{namespace}"]
            attributes(value, out)
            out.append(">")
            if is_bare:
                out += [escape(str(text)) for text in value.values() if text is not None]
            else:
                content(value, out)
            out.append(f"</{tag}>")
            return "".join(out).encode()

        return write

    def compile_value_writer(self, shape: Any, member: str) -> Callable[[Any], bytes]:
        write = _writers(shape).element(shape, shape.serialization.get("root") or root_name(shape, member))
        return lambda value: _document(write, value)

    def compile_events(self, shape: Any) -> EventStreamWriter:
        return EventStreamWriter.xml(shape)

    def serialize_error(
        self, service: WireService, operation: str | None, error: ServiceError, request_id: str
    ) -> Response:
        shape: Any = service.error_shape(error.code)
        status = error_status(service, error, shape)
        headers = [(self.request_id_header, request_id), ("Content-Type", self.content_type), *error.headers.items()]
        if status in (204, 304):
            return Response(status, [header for header in headers if header[0] != "Content-Type"])
        bare = service.overlay.bare_errors
        fault = "" if bare else f"<Type>{'Sender' if is_senders_fault(status) else 'Receiver'}</Type>"
        code = (shape.error_code or shape.name) if shape is not None else error.code
        message = message_element(error.message) or ("<Message></Message>" if bare else "")
        out = [f"<Error>{fault}<Code>{escape(code)}</Code>{message}"]
        self._write_fields(service, error, shape, headers, out)
        identity = f"<RequestId>{escape(request_id)}</RequestId>"
        if bare:
            text = "".join([*out, identity, f"<HostId>{host_id(request_id)}</HostId></Error>"])
        else:
            namespace = namespace_text(service.xml_namespace) if service.xml_namespace else ""
            text = f"<ErrorResponse{namespace}>{''.join(out)}</Error>{identity}</ErrorResponse>"
        return Response(status, headers, (_DECLARATION + text).encode())

    @staticmethod
    def _write_fields(
        service: WireService, error: ServiceError, shape: Any, headers: list[tuple[str, str]], out: list[str]
    ) -> None:
        modelled = shape.members if shape is not None else ()
        # S3 models few of its errors, and few fields of those, yet answers with them (BucketName, Key, AccountId ...).
        for name, value in error.fields.items():
            if name not in modelled:
                out.append(f"<{name}>{escape(str(value))}</{name}>")
        if not modelled:
            return
        members = error_members(service, error, shape)
        bindings, write = service.attached(f"rest-xml error {shape.name}", lambda _: _compile_error(shape))
        bindings.write(members, headers)
        body = {name: members[name] for name in members if name in bindings.body_members}
        write({name: value for name, value in body.items() if name.lower() not in ("type", "code", "message")}, out)


def _writers(shape: Any) -> XmlWriters:
    return XmlWriters(EXACT if shape.serialization.get("exactTimes") else ISO8601)


def _compile_error(shape: Any) -> tuple[OutputBindings, XmlWriter]:
    bindings = OutputBindings(shape)
    return bindings, XmlWriters().members(shape, bindings.body_members)[0]


def _document(write: XmlWriter, value: Any) -> bytes:
    out = [_DECLARATION]
    write(value, out)
    return "".join(out).encode()
