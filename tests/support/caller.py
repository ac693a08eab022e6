"""Calls a service's operations as the door would, without the wire: for tests of what handlers do."""

from typing import Any

from cosset.identity.principal import Principal, PrincipalKind
from cosset.services.operation import Context, Service

ACCOUNT = "111111111111"
ADMINISTRATOR = Principal(PrincipalKind.USER, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/administrator", "AIDAADMIN")


class Caller:
    """One principal in one region. `await caller("CreateRole", RoleName="r", ...)` gives the result."""

    def __init__(self, service: Service, principal: Principal = ADMINISTRATOR, region: str = "us-east-1") -> None:
        self.service = service
        self._principal = principal
        self._region = region

    def context(self, operation: str) -> Context:
        principal = self._principal
        return Context(
            self.service.name, operation, principal, principal.account, self._region, "request", "127.0.0.1:4566"
        )

    async def __call__(self, operation: str, **params: Any) -> dict[str, Any]:
        entry = self.service.operations[operation]
        ctx = self.context(operation)
        assert entry.requirements(ctx, params) is not None
        return await entry.handler(ctx, params) or {}

    def requires(self, operation: str, **params: Any) -> list[tuple[str, str]]:
        """The actions and resources that the call needs."""
        needed = self.service.operations[operation].requirements(self.context(operation), params)
        return [(each.action, each.resource) for each in needed]
