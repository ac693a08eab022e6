"""The authorizer over a real store, wired as the node wires it."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cosset.functions.function_book import FunctionBook
from cosset.functions.records import TOPIC
from cosset.functions.resource_policies import FunctionResources
from cosset.identity.authorizer import PolicyAuthorizer
from cosset.identity.evaluation.context import CallContext
from cosset.identity.policy_sources import ResourceSource
from cosset.identity.ports import Requirement
from cosset.identity.principal import Principal
from cosset.services.iam.held_policies import CarriedPolicies, IamResources, RoleTrust
from cosset.services.iam.policy_book import PolicyBook
from cosset.services.iam.records import CHANGES
from cosset.services.iam.service import iam_service
from cosset.services.operation import Service
from cosset.wire.errors import ServiceError
from support.caller import Caller
from support.identity import Iam, open_iam


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def make_authorizer(iam: Iam, *, dev: bool = False) -> PolicyAuthorizer:
    resources: dict[str, ResourceSource] = {
        "iam": IamResources(iam.store),
        "lambda": FunctionResources(iam.store, FunctionBook(iam.store)),
        "sts": RoleTrust(iam.store, dev=dev),
    }
    authorizer = PolicyAuthorizer(CarriedPolicies(iam.store, PolicyBook()), resources, iam.clock, audit=dev)
    for topic in (CHANGES, TOPIC):
        iam.store.on_change(topic, authorizer.forget)
    return authorizer


class Guarded:
    """Calls operations as the door does: what they require is asked first."""

    def __init__(self, authorizer: PolicyAuthorizer, service: Service, principal: Principal) -> None:
        self._authorizer = authorizer
        self._service = service
        self._principal = principal
        self._caller = Caller(service, principal)

    async def __call__(self, operation: str, **params: Any) -> dict[str, Any]:
        await self.ask(operation, **params)
        return await self._caller(operation, **params)

    async def ask(self, operation: str, **params: Any) -> None:
        """Raises: ServiceError when the call may not be made."""
        needed = self._service.operations[operation].requirements(self._caller.context(operation), params)
        await self._authorizer.authorize(
            self._principal, needed, CallContext(0, self._service.name, "us-east-1", "192.0.2.1")
        )

    async def refusal(self, operation: str, **params: Any) -> str | None:
        """Why the call may not be made, the end of AWS's sentence; None when it may."""
        try:
            await self.ask(operation, **params)
        except ServiceError as error:
            reason = re.search(r"(because|with an) .*", error.message.partition(" on resource: ")[2])
            return "" if reason is None else reason[0]
        return None


async def refusal_of(
    authorizer: PolicyAuthorizer, principal: Principal, *requirements: Requirement | Sequence[str]
) -> str | None:
    """The whole sentence, None when everything is allowed. A requirement may be given as (action, resource)."""
    needed = [each if isinstance(each, Requirement) else Requirement(*each) for each in requirements]
    try:
        await authorizer.authorize(principal, needed, CallContext(0, None, "us-east-1", "192.0.2.1"))
    except ServiceError as error:
        return error.message
    return None


@dataclass
class Deciding:
    """IAM, and who decides by it. `call` is the administrator at IAM, past the authorizer."""

    iam: Iam
    authorizer: PolicyAuthorizer
    administrator: Principal
    call: Caller

    @property
    def account(self) -> str:
        return self.iam.directory.account


D = TypeVar("D", bound=Deciding)


def run_deciding(folder: Path, kind: type[D]) -> Callable[[Callable[[D], Awaitable[None]]], None]:
    """Runs scenarios, each with a bench of this kind over a store of its own."""

    def run_scenario(scenario: Callable[[D], Awaitable[None]]) -> None:
        async def whole() -> None:
            async with open_iam(folder) as iam:
                known = await iam.directory.find_key(iam.administrator.access_key_id, None)
                assert known is not None
                call = Caller(iam_service(iam.store, iam.clock), known.principal)
                await scenario(kind(iam, make_authorizer(iam), known.principal, call))

        asyncio.run(whole())

    return run_scenario
