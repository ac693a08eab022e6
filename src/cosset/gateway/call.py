"""One call on its way through the door's pipeline: what its stages hand to each other."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from cosset.gateway.claims import Claim
from cosset.gateway.refusals import Family
from cosset.gateway.routing import Route
from cosset.identity.evaluation.context import CallContext
from cosset.identity.principal import NOBODY, Principal
from cosset.wire.message import Request
from cosset.wire.protocols import RoutedOperation


@dataclass(slots=True)
class Call:
    """`claim` is what it says of its signature. `routed` is set as soon as the operation can be told: before the body
    for REST, after it for the rest. `principal` and a proven `request` are what authentication.py leaves."""

    request: Request
    request_id: str
    gone: asyncio.Event
    route: Route
    claim: Claim | None
    principal: Principal = NOBODY
    routed: RoutedOperation | None = None

    @property
    def operation(self) -> str | None:
        return self.routed.operation if self.routed is not None else None

    @property
    def is_for_bucket(self) -> bool:
        """S3's, which has ways of its own at nearly every stage."""
        return self.route.family is Family.S3

    @property
    def streams_in(self) -> bool:
        """The operation takes its body as it comes."""
        return self.routed is not None and self.route.wire.operation(self.routed.operation).streams_in


def context_of(
    request: Request, now_ms: int, service: str, region: str, keys: Mapping[str, str] | None = None
) -> CallContext:
    """How a call came, for the conditions of policies."""
    return CallContext(
        now_ms=now_ms,
        service=service,
        region=region,
        source_ip=request.peer or None,
        user_agent=request.headers.get("user-agent"),
        referer=request.headers.get("referer"),
        is_secure=request.scheme == "https",
        keys=keys,
    )
