"""Smithy RPC v2 over CBOR: the path names service and operation, one CBOR map goes in, one comes out.

Event streams are not spoken: no service that is served here has one in this protocol.
Source: https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from cosset.wire.cbor import dump_cbor, load_cbor
from cosset.wire.cbor_shapes import CborReaders, CborWriters
from cosset.wire.errors import OperationNotImplementedError, SerializationError, ServiceError
from cosset.wire.json_shapes import JsonReader, JsonWriter
from cosset.wire.message import Request, Response
from cosset.wire.models import WireOperation, WireService
from cosset.wire.protocols.base import Protocol, RoutedOperation, body_bytes
from cosset.wire.protocols.rpc_errors import describe_error

SMITHY_NAME = "rpc-v2-cbor"
"""What the header Smithy-Protocol says."""
_PATH = re.compile(r".*/service/([^/]+)/operation/([^/]+)")


def named_in(request: Request) -> tuple[str, str] | None:
    """The service's target prefix and the operation that the path names; None where it names none."""
    found = _PATH.fullmatch(request.path)
    return (found[1], found[2]) if found is not None else None


class _Codec(NamedTuple):
    read: JsonReader
    write: JsonWriter | None
    may_be_compressed: bool


def _compile(operation: WireOperation) -> _Codec:
    model = operation.model
    read: Callable[[Any], Any] = lambda value: {}  # noqa: E731
    if model.input_shape is not None:
        read = CborReaders().reader(model.input_shape)
    write = CborWriters().writer(model.output_shape) if model.output_shape is not None else None
    return _Codec(read, write, bool(model.request_compression))


class RpcV2Cbor(Protocol):
    name = "smithy-rpc-v2-cbor"

    def match(self, service: WireService, request: Request) -> RoutedOperation | None:
        if request.headers.get("smithy-protocol") != SMITHY_NAME or self.name not in service.protocols:
            return None
        named = named_in(request)
        if named is None or named[0] != service.target_prefix or named[1] not in service.operation_names:
            raise ServiceError("UnknownOperationException", "", status=404)
        if request.method != "POST":
            raise ServiceError("UnknownOperationException", "", status=405)
        return RoutedOperation(self, service, named[1])

    def parse(self, routed: RoutedOperation, request: Request) -> dict[str, Any]:
        if routed.service.operation(routed.operation).event_stream_out:
            raise OperationNotImplementedError(routed.service.name, f"{routed.operation} in rpc-v2-cbor")
        codec = routed.service.compiled(self.name, routed.operation, _compile)
        body = body_bytes(request, may_be_compressed=codec.may_be_compressed)
        if not body:
            return {}
        if (request.headers.get("content-type") or "application/cbor").partition(";")[0].strip() != "application/cbor":
            raise SerializationError("The body must be application/cbor")
        params: dict[str, Any] = codec.read(load_cbor(body))
        return params

    def serialize(self, service: WireService, operation: str, result: Mapping[str, Any], request_id: str) -> Response:
        codec = service.compiled(self.name, operation, _compile)
        if codec.write is None:
            return Response(200, self._headers(request_id)[1:])
        return Response(200, self._headers(request_id), dump_cbor(codec.write(result)))

    def serialize_error(
        self, service: WireService, operation: str | None, error: ServiceError, request_id: str
    ) -> Response:
        told = describe_error(service, error, _type_name(service, error), "cbor", CborWriters)
        return Response(told.status, self._headers(request_id) + told.headers, dump_cbor(told.content))

    @staticmethod
    def _headers(request_id: str) -> list[tuple[str, str]]:
        return [
            ("Content-Type", "application/cbor"),
            ("smithy-protocol", SMITHY_NAME),
            ("x-amzn-RequestId", request_id),
        ]


def _type_name(service: WireService, error: ServiceError) -> str:
    shape: Any = service.error_shape(error.code)
    space = "com.amazonaws." + service.endpoint_prefix if shape is not None else "com.amazon.coral.service"
    return f"{space}#{shape.name if shape is not None else error.code}"
