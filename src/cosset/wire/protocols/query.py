"""The query protocol: a form with Action and Version goes in, XML comes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from cosset.wire.errors import SerializationError, ServiceError
from cosset.wire.forms import FormReader, FormReaders, form_fields, form_tree
from cosset.wire.message import Request, Response
from cosset.wire.models import WireService
from cosset.wire.protocols.base import (
    Protocol,
    RoutedOperation,
    body_bytes,
    error_members,
    error_status,
    is_senders_fault,
    message_element,
    query_error_code,
)
from cosset.wire.xml_shapes import XmlWriter, XmlWriters, escape, namespace_text

if TYPE_CHECKING:
    from botocore.model import OperationModel


NO_OPERATION = "UnknownOperationException"


class _Codec(NamedTuple):
    read: FormReader
    write: XmlWriter


def _compile(model: OperationModel) -> _Codec:
    read: FormReader = FormReaders().reader(model.input_shape) if model.input_shape is not None else _nothing
    if model.output_shape is None:
        return _Codec(read, lambda result, out: None)
    shape: Any = model.output_shape
    # A service that gained query by an overlay has no wrapper in its model: it is always this one.
    wrapper = shape.serialization.get("resultWrapper", f"{model.name}Result")
    return _Codec(read, XmlWriters().element(shape, wrapper))


def _nothing(_: Any) -> dict[str, Any]:
    return {}


class Query(Protocol):
    name = "query"

    def match(self, service: WireService, request: Request) -> RoutedOperation | None:
        if self.name not in service.protocols:
            return None
        fields = self._fields(request)
        action = version = None
        for key, value in fields:
            if key == "Action":
                action = value
            elif key == "Version":
                version = value
        if action is None:
            if service.protocols[0] != self.name:
                return None
            raise ServiceError(NO_OPERATION, "", status=404)
        version = version or service.api_version
        is_there = action in service.operation_names and version == service.api_version
        if not is_there or not _belongs_here(service, action, request):
            sentence = service.overlay.unknown_action.format(action=action, version=version)
            raise ServiceError("InvalidAction", sentence)
        return RoutedOperation(self, service, action, fields=fields)

    @staticmethod
    def _fields(request: Request) -> list[tuple[str, str]]:
        """The form of a POST and the query string: AWS reads both, the form wins."""
        fields = form_fields(request.query) if request.query else []
        content_type = request.headers.get("content-type", "")
        if request.method == "POST" and (not content_type or "x-www-form-urlencoded" in str(content_type)):
            fields += form_fields(body_bytes(request, may_be_compressed=True).decode("utf-8", "replace"))
        return fields

    def parse(self, routed: RoutedOperation, request: Request) -> dict[str, Any]:
        codec = self._codec(routed.service, routed.operation)
        fields = routed.fields if routed.fields is not None else self._fields(request)
        try:
            params: dict[str, Any] = codec.read(form_tree(fields))
        except SerializationError as error:
            raise ServiceError("MalformedInput", error.message) from None
        member = routed.service.overlay.url_member
        if member is not None and member not in params and _names_resource(request):
            params[member] = f"{request.scheme}://{request.host}{request.path}"
        return params

    def _codec(self, service: WireService, operation: str) -> _Codec:
        return service.compiled(self.name, operation, lambda found: _compile(service.form_model(found.name)))

    def serialize(self, service: WireService, operation: str, result: Mapping[str, Any], request_id: str) -> Response:
        codec = self._codec(service, operation)
        out = [self._opening(service, f"{operation}Response")]
        codec.write(result, out)
        out.append(
            f"<ResponseMetadata><RequestId>{escape(request_id)}</RequestId></ResponseMetadata></{operation}Response>"
        )
        return Response(200, self._headers(request_id), "".join(out).encode())

    def serialize_error(
        self, service: WireService, operation: str | None, error: ServiceError, request_id: str
    ) -> Response:
        if error.code == NO_OPERATION and not error.message:
            # As AWS's query services answer a request without an Action: seen at SES and SQS.
            return Response(error.status, self._headers(request_id), b"<UnknownOperationException/>")
        shape: Any = service.error_shape(error.code)
        status = error_status(service, error, shape)
        fault = "Sender" if is_senders_fault(status) else "Receiver"
        code = query_error_code(service, shape, error)
        out = [
            f"{self._opening(service, 'ErrorResponse')}<Error><Type>{fault}</Type><Code>{escape(code)}</Code>"
            f"{message_element(sentence_of(service, error))}"
        ]
        if shape is not None:
            write: XmlWriter = service.attached(
                f"query error {shape.name}", lambda _: XmlWriters().members(shape, shape.members)[0]
            )
            members = error_members(service, error, shape)
            write({name: value for name, value in members.items() if name.lower() not in _IN_EVERY_ERROR}, out)
        if has_detail(service, operation):
            out.append("<Detail/>")
        out.append(f"</Error><RequestId>{escape(request_id)}</RequestId></ErrorResponse>")
        return Response(status, self._headers(request_id), "".join(out).encode())

    @staticmethod
    def _opening(service: WireService, root: str) -> str:
        declaration = '<?xml version="1.0"?>' if service.overlay.xml_declared else ""
        namespace = namespace_text(service.xml_namespace) if service.xml_namespace else ""
        return f"{declaration}<{root}{namespace}>"

    @staticmethod
    def _headers(request_id: str) -> list[tuple[str, str]]:
        return [("Content-Type", "text/xml"), ("x-amzn-RequestId", request_id)]


def sentence_of(service: WireService, error: ServiceError) -> str:
    return service.overlay.query_sentences.get(error.code, error.message)


def has_detail(service: WireService, operation: str | None) -> bool:
    """Whether errors of the operation have a detail, which is always empty."""
    bare = service.overlay.bare_query_errors
    return bare is not None and operation not in bare


def _names_resource(request: Request) -> bool:
    """Whether the URL is that of a resource (`/ACCOUNT/QUEUE`) and not of the whole service."""
    return request.path.strip("/").count("/") > 0


def _belongs_here(service: WireService, action: str, request: Request) -> bool:
    """At the URL of a resource there are only the actions on such a resource."""
    member = service.overlay.url_member
    if member is None or not _names_resource(request):
        return True
    shape: Any = service.operation(action).model.input_shape
    return shape is not None and member in shape.members


_IN_EVERY_ERROR = frozenset({"type", "code", "message"})
