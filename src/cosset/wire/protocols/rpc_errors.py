"""Errors as both protocols without paths tell them, in JSON and in CBOR: a type, the modelled members, and for services
that once spoke query, that protocol's code in a header.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from cosset.wire.errors import ServiceError
from cosset.wire.json_shapes import JsonWriters
from cosset.wire.models import WireService
from cosset.wire.protocols.base import error_members, error_status, is_senders_fault, query_error_code, with_message


class RpcError(NamedTuple):
    """`headers` are those besides the protocol's own."""

    status: int
    headers: list[tuple[str, str]]
    content: dict[str, Any]


def describe_error(
    service: WireService, error: ServiceError, type_name: str, protocol: str, writers: Callable[[], JsonWriters]
) -> RpcError:
    shape: Any = service.error_shape(error.code)
    status = error_status(service, error, shape)
    if service.query_compatible and shape is not None and shape.metadata.get("error"):
        # The model's status is that of the query protocol; here it only says whose fault it was.
        status = 400 if is_senders_fault(status) else 500
    content: dict[str, Any] = {"__type": type_name}
    if shape is not None:
        write = service.attached(f"{protocol} error {shape.name}", lambda _: writers().writer(shape))
        content |= write(error_members(service, error, shape))
    headers = []
    if service.query_compatible:
        fault = "Sender" if is_senders_fault(status) else "Receiver"
        headers.append(("x-amzn-query-error", f"{query_error_code(service, shape, error)};{fault}"))
    return RpcError(status, headers, with_message(content, error))
