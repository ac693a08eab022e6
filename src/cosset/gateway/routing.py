"""Which service is meant, and in which protocol: decided from what the request says, in one order, without guessing.

Host, then Smithy-Protocol, then X-Amz-Target, then the SigV4 signing name, then Action, and S3 last, explicitly. Which
operation is meant is the protocol's to say (wire); whether the caller may is the door's. Next: door.py.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from cosset.gateway.aws_hosts import endpoint_prefixes
from cosset.gateway.bucket_hosts import read_host
from cosset.gateway.hints import guess_protocol, read_parameter
from cosset.gateway.model_heads import read_head
from cosset.gateway.refusals import Family
from cosset.gateway.unserved import UnservedServices
from cosset.services.operation import AnyService
from cosset.wire.errors import ServiceError
from cosset.wire.message import Request
from cosset.wire.models import Catalogue, WireService
from cosset.wire.protocols import PROTOCOLS, Protocol, protocol_of
from cosset.wire.protocols.rpc_v2_cbor import RpcV2Cbor, named_in

# Whose model lends its shapes to an answer that belongs to no service here.
_STAND_INS = {"query": "sts", "json": "logs", "rest-json": "lambda", "rest-xml": "route53"}
# How the paths of rest-json services begin. Without a signature it is what tells them from the names of buckets.
_DATED = re.compile(r"/20\d\d-\d\d-\d\d/")
_CONTROL, _CONTROL_PATH = "s3control", "/v20180820/"
"""S3 Control signs as S3 does, and has paths that S3 could have: the header with the account tells them apart."""
_CBOR = PROTOCOLS[RpcV2Cbor.name]


@dataclass(frozen=True)
class Route:
    """Where requests go: one for each service and protocol. `table` is None where nobody serves them: then `wire` is a
    stand-in that only lends its shapes to an error, and `named` is botocore's name of the service that is meant, None
    where there is none."""

    wire: WireService
    protocol: Protocol
    table: AnyService | None
    named: str | None

    @cached_property
    def family(self) -> Family:
        if self.protocol.name == "rest-xml" and (self.named or "").startswith("s3") and self.named != _CONTROL:
            return Family.S3
        return {"json": Family.JSON, "rest-json": Family.REST_JSON}.get(self.protocol.name, Family.QUERY)

    @cached_property
    def reads_body(self) -> bool:
        """The operation may stand in the body, which must therefore be read before it is known."""
        return self.protocol.name in ("query", "ec2", "json")


class Router:
    """Knows the services that are served, by every name a request may use for them."""

    def __init__(self, services: Sequence[AnyService], catalogue: Catalogue) -> None:
        """Reads no more of a served model than its head: the rest when it is first called.

        Raises: ValueError, for a service that botocore does not describe.
        """
        self._catalogue = catalogue
        self._others = UnservedServices()
        self._tables = {service.name: service for service in services}
        self._routes: dict[tuple[str, Protocol], Route] = {}
        self._by_target: dict[str, str] = {}
        self._speak_cbor: set[str] = set()
        self._by_endpoint_prefix: dict[str, list[str]] = {}
        self._by_signing_name: dict[str, list[str]] = {}
        self._dated: list[str] = []
        for name in self._tables:
            head = read_head(name)
            if head is None:
                raise ValueError(f"botocore describes no service {name!r}")
            if "rest-json" in head.protocols:
                self._dated.append(name)
            if RpcV2Cbor.name in head.protocols:
                self._speak_cbor.add(name)
            if head.target_prefix is not None:
                self._by_target[head.target_prefix] = name
            self._by_endpoint_prefix.setdefault(head.endpoint_prefix, []).append(name)
            if name != _CONTROL:
                self._by_signing_name.setdefault(head.signing_name, []).append(name)

    def read_model(self, name: str) -> None:
        self._catalogue.service(name)

    def route(self, request: Request, signing_name: str | None) -> Route:
        """Raises nothing: what is found nowhere gets a Route without a table."""
        name = self._served_by(request, signing_name)
        if name is None:
            return self._unserved(request, signing_name)
        wire = self._catalogue.service(name)
        return self._route(name, wire, protocol_of(wire, request))

    def route_of(self, name: str) -> Route:
        """To a service that is served, by its name."""
        wire = self._catalogue.service(name)
        return self._route(name, wire, PROTOCOLS[wire.protocols[0]])

    def _route(self, name: str, wire: WireService, protocol: Protocol) -> Route:
        route = self._routes.get((name, protocol))
        if route is None:
            route = self._routes[name, protocol] = Route(wire, protocol, self._tables[name], name)
        return route

    def _served_by(self, request: Request, signing_name: str | None) -> str | None:
        if request.path.startswith(_CONTROL_PATH) and "x-amz-account-id" in request.headers:
            return _CONTROL if _CONTROL in self._tables else None
        named = read_host(request.host)
        if named is not None and named.is_sure and "s3" in self._tables:
            return "s3"
        for prefix in endpoint_prefixes(request.host):
            if prefix in self._by_endpoint_prefix:
                return self._by_path(request, self._by_endpoint_prefix[prefix])
        if "smithy-protocol" in request.headers:
            return self._by_operation_path(request)
        target = request.headers.get("x-amz-target")
        if target is not None:
            return self._by_target.get(target.rpartition(".")[0])
        if signing_name is not None:
            return self._by_path(request, self._by_signing_name.get(signing_name, []))
        if guess_protocol(request) is not None:
            return self._by_action(request)
        if named is None and _DATED.match(request.path) and self._dated:
            return self._by_path(request, self._dated)
        return "s3" if "s3" in self._tables else None

    def _by_operation_path(self, request: Request) -> str | None:
        """rpc-v2-cbor: the path begins with what other protocols call the target prefix."""
        named = named_in(request)
        name = self._by_target.get(named[0]) if named is not None else None
        return name if name in self._speak_cbor else None

    def _by_path(self, request: Request, candidates: Sequence[str]) -> str | None:
        """Services may share a name; then the one whose paths or operations include this request."""
        if len(candidates) < 2:
            return candidates[0] if candidates else None
        for name in candidates:
            if _recognizes(self._catalogue.service(name), request):
                return name
        return candidates[0]

    def _by_action(self, request: Request) -> str | None:
        """Unsigned requests: only a query service's Action says whose they are."""
        action = read_parameter(request, "Action")
        if action is None:
            return None
        version = read_parameter(request, "Version")
        for name in self._tables:
            wire = self._catalogue.service(name)
            if "query" in wire.protocols and action in wire.operation_names and version in (None, wire.api_version):
                return name
        return None

    def _unserved(self, request: Request, signing_name: str | None) -> Route:
        """The name and protocol as botocore knows them, the shapes of a stand-in; else what the request looks like."""
        target = request.headers.get("x-amz-target")
        prefix = target.rpartition(".")[0] if target is not None else None
        name, protocol = self._others.find(signing_name, prefix) or (None, None)
        protocol = guess_protocol(request) or protocol or "rest-json"
        if "smithy-protocol" in request.headers:
            return Route(self._catalogue.service(_STAND_INS["query"]), _CBOR, None, name)
        stand_in = "s3" if name is not None and name.startswith("s3") else _STAND_INS[protocol]
        return Route(self._catalogue.service(stand_in), PROTOCOLS[protocol], None, name)

    def name_operation(self, route: Route, request: Request) -> str:
        """What the caller wants of a service that is not served. Reads the service's whole model: not for strangers."""
        assert route.named is not None
        return self._others.name_operation(route.named, request)


def _recognizes(wire: WireService, request: Request) -> bool:
    try:
        return protocol_of(wire, request).match(wire, request) is not None
    except ServiceError:
        return False
