"""The protocols that Cosset speaks, and which of them a request speaks.

ec2 is not here: the first service that needs it brings it. `route` is where the choice is made.
"""

from collections.abc import Mapping

from cosset.wire.errors import ServiceError
from cosset.wire.message import Request
from cosset.wire.models import WireService
from cosset.wire.protocols.base import Protocol, RoutedOperation
from cosset.wire.protocols.json_rpc import JsonRpc
from cosset.wire.protocols.query import Query
from cosset.wire.protocols.query_json import QueryJson
from cosset.wire.protocols.rest_json import RestJson
from cosset.wire.protocols.rest_xml import RestXml
from cosset.wire.protocols.rpc_v2_cbor import RpcV2Cbor

__all__ = ["PROTOCOLS", "Protocol", "RoutedOperation", "protocol_of", "route"]

PROTOCOLS: Mapping[str, Protocol] = {
    protocol.name: protocol for protocol in (JsonRpc(), Query(), RestJson(), RestXml(), RpcV2Cbor())
}
_QUERY_JSON = QueryJson()


def route(service: WireService, request: Request) -> RoutedOperation:
    """The operation that the request means, and the protocol that it speaks.

    Raises:
        ServiceError: no operation of the service is meant; answer it with `protocol_of(service, request)`.
    """
    for name in service.protocols:
        protocol = PROTOCOLS.get(name)
        routed = protocol.match(service, request) if protocol is not None else None
        if routed is not None:
            return routed
    raise ServiceError("UnknownOperationException", "", status=404)


def protocol_of(service: WireService, request: Request) -> Protocol:
    """The protocol to answer in when no operation could be found: what the request looks like, else what the service
    prefers. Services that speak only what is not here (ec2) raise LookupError."""
    spoken = service.attached("spoken protocols", _spoken)
    found = spoken[0]
    if len(spoken) > 1:
        said = _protocol_said(request)
        found = next((protocol for protocol in spoken if protocol.name == said), found)
    return _QUERY_JSON if found.name == Query.name and QueryJson.is_wanted(request) else found


def _spoken(service: WireService) -> tuple[Protocol, ...]:
    spoken = tuple(PROTOCOLS[name] for name in service.protocols if name in PROTOCOLS)
    if not spoken:
        raise LookupError(f"{service.name} speaks only {', '.join(service.protocols)}")
    return spoken


def _protocol_said(request: Request) -> str | None:
    """What the request looks like; None where it could be any."""
    if "smithy-protocol" in request.headers:
        return RpcV2Cbor.name
    if "x-amz-target" in request.headers:
        return JsonRpc.name
    form = "x-www-form-urlencoded" in (request.headers.get("content-type") or "")
    return Query.name if form or "Action=" in request.query or request.method == "GET" else None
