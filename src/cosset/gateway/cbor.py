"""Errors for callers that speak rpc-v2-cbor, which no service here does yet: they hear so in their own protocol.

Source: https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
"""

import re
from collections.abc import Mapping
from typing import Any

from cosset.wire.errors import ServiceError
from cosset.wire.message import Request, Response
from cosset.wire.models import WireService
from cosset.wire.protocols import Protocol, RoutedOperation

_PATH = re.compile(r".*/service/[^/]+/operation/([^/]+)")


def operation_of(request: Request) -> str | None:
    found = _PATH.fullmatch(request.path)
    return found[1] if found is not None else None


class CborErrors(Protocol):
    """A protocol with errors and nothing else."""

    name = "smithy-rpc-v2-cbor"

    def match(self, service: WireService, request: Request) -> RoutedOperation | None:
        return None

    def parse(self, routed: RoutedOperation, request: Request) -> dict[str, Any]:
        raise NotImplementedError

    def serialize(self, service: WireService, operation: str, result: Mapping[str, Any], request_id: str) -> Response:
        raise NotImplementedError

    def serialize_error(
        self, service: WireService, operation: str | None, error: ServiceError, request_id: str
    ) -> Response:
        headers = [
            ("smithy-protocol", "rpc-v2-cbor"),
            ("Content-Type", "application/cbor"),
            ("x-amzn-RequestId", request_id),
        ]
        body = b"\xa2" + _text("__type") + _text(error.code) + _text("message") + _text(error.message)
        return Response(error.status, headers, body)


def _text(text: str) -> bytes:
    """A CBOR text string (RFC 8949, major type 3), its length in four bytes."""
    data = text.encode()
    return b"\x7a" + len(data).to_bytes(4, "big") + data
