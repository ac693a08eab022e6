"""What every protocol can do: find the operation, read the request, write the answer or the error.

Protocols hold no state; what they compile is kept with the service (models.py), once per operation.
"""

import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

from cosset.wire.errors import SerializationError, ServiceError
from cosset.wire.message import Request, Response
from cosset.wire.models import WireService
from cosset.wire.xml_shapes import escape

MAX_DECOMPRESSED_BYTES = 64 * 1024 * 1024


class RoutedOperation(NamedTuple):
    """A request whose operation is known. `labels`: decoded path labels by name; `fields`: a form already read."""

    protocol: "Protocol"
    service: WireService
    operation: str
    labels: Mapping[str, str] = {}
    fields: list[tuple[str, str]] | None = None


class Protocol(ABC):
    """One AWS protocol. `name` is botocore's."""

    name: str

    @abstractmethod
    def match(self, service: WireService, request: Request) -> RoutedOperation | None:
        """None where the request does not speak this protocol.

        Raises:
            ServiceError: it does, but names no operation of the service (UnknownOperationException, InvalidAction).
        """

    @abstractmethod
    def parse(self, routed: RoutedOperation, request: Request) -> dict[str, Any]:
        """The operation's parameters, by the model's member names.

        Blobs are bytes, timestamps aware datetimes; a streaming blob is an async iterator of bytes.

        Raises:
            ServiceError: the request cannot be read (SerializationException or the service's own code).
        """

    @abstractmethod
    def serialize(self, service: WireService, operation: str, result: Mapping[str, Any], request_id: str) -> Response:
        """The answer. None values are omitted; a streaming blob may be bytes or an async iterator of bytes, an event
        stream is an async iterator of `{event name: members}`.

        Raises:
            ValueError: the result holds a member that the model does not have: a bug of the handler.
        """

    @abstractmethod
    def serialize_error(
        self, service: WireService, operation: str | None, error: ServiceError, request_id: str
    ) -> Response:
        """The error as the service's model shapes it, or plain where the model does not know its code."""


def body_bytes(request: Request, *, may_be_compressed: bool = False) -> bytes:
    """The whole body. `may_be_compressed`: the operation's model allows clients to send it gzipped."""
    body = request.body
    if not isinstance(body, bytes):
        raise TypeError("The body must be read whole before an operation without a streaming input is parsed")
    encoding = request.headers.get("content-encoding", "") if may_be_compressed else ""
    if not encoding or encoding.rpartition(",")[2].strip().lower() != "gzip":
        return body
    try:
        unpacker = zlib.decompressobj(wbits=31)
        plain = unpacker.decompress(body, MAX_DECOMPRESSED_BYTES)
    except zlib.error:
        raise SerializationError("The body is not gzip") from None
    if not unpacker.eof:
        raise SerializationError("The body is cut short or too large when decompressed")
    return plain


def error_status(service: WireService, error: ServiceError, shape: Any) -> int:
    if error.code in service.overlay.errors:
        return service.overlay.errors[error.code][1]
    if shape is None:
        return error.status
    # `fault` is an attribute that botocore reads from no shape, so it is looked up in the description itself.
    is_fault = shape._shape_model.get("fault")
    return int(shape.metadata.get("error", {}).get("httpStatusCode") or (500 if is_fault else error.status))


def error_members(service: WireService, error: ServiceError, shape: Any) -> dict[str, Any]:
    """The members of the modelled error: its message under the name that the model gives it, and the error's fields."""
    overlay = service.overlay
    members = overlay.error_defaults if error_status(service, error, shape) != 500 else overlay.failure_defaults
    members = {**members, **error.fields}
    for name in shape.members:
        if name.lower() == "message":
            members[name] = error.message
    return {name: value for name, value in members.items() if name in shape.members and value is not None}


def with_message(content: dict[str, Any], error: ServiceError) -> dict[str, Any]:
    """A JSON error body: many models (all of Logs') leave out the message that AWS sends all the same."""
    if error.message and not any(name.lower() == "message" for name in content):
        content["Message" if error.code in _CAPITAL_MESSAGE else "message"] = error.message
    return content


# AWS's framework answers these with a capital letter; every other error outside a model has `message`.
_CAPITAL_MESSAGE = frozenset({"SerializationException", "AccessDeniedException", "AccessDenied"})


def message_element(message: str) -> str:
    return f"<Message>{escape(message)}</Message>" if message else ""


def query_error_code(service: WireService, shape: Any, error: ServiceError) -> str:
    if error.code in service.overlay.errors:
        return service.overlay.errors[error.code][0]
    return (shape.error_code if shape is not None else None) or error.code


def is_senders_fault(status: int) -> bool:
    return status < 500
