"""The functions room on a real store in a folder, with a clock that tests move, and the Lambda service on top of it."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cosset.functions.code import CodeStore
from cosset.functions.registry import Functions
from cosset.functions.runtime_rules import RuntimeRules
from cosset.identity.ports import Requirement
from cosset.identity.principal import Principal, PrincipalKind
from cosset.invocation.api import Invocation, InvocationResult
from cosset.invocation.destinations import Destinations
from cosset.invocation.function_destination import FunctionDestination
from cosset.invocation.provisioning import Progress
from cosset.runtimes.catalogue import Catalogue
from cosset.services.lambda_.code_links import CodeLinks
from cosset.services.lambda_.service import lambda_service
from cosset.services.operation import Context, Service
from cosset.store.blobs import Blobs
from cosset.store.database import Store
from cosset.triggers.mappings import EventSourceMappings
from cosset.triggers.sources import EventSources
from support.clock import ManualClock
from support.rights import Rights
from support.zip import make_zip

ACCOUNT = "111111111111"
REGION = "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/basic"
HANDLER_ZIP = make_zip({"index.py": "def handler(event, context):\n    return event\n"})
ADMINISTRATOR = Principal(PrincipalKind.USER, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/admin", "AIDAEXAMPLE")


class KnownRoles:
    """Every role of the account can be assumed but those called `stranger`."""

    async def is_passable(self, role_arn: str, account: str) -> bool:
        return role_arn.split(":")[4] == account

    async def assumable_by_lambda(self, role_arn: str, function_arn: str | None = None) -> bool:
        return not role_arn.endswith("/stranger")


@dataclass
class FakeInvoker:
    """Keeps what it was asked for, and answers `result`."""

    result: InvocationResult = field(
        default_factory=lambda: InvocationResult(payload=b'{"a": 1}', executed_version="$LATEST")
    )
    invoked: list[Invocation] = field(default_factory=list)
    accepted: list[Invocation] = field(default_factory=list)

    async def invoke(self, invocation: Invocation) -> InvocationResult:
        self.invoked.append(invocation)
        return self.result

    async def invoke_async(self, invocation: Invocation) -> str:
        self.accepted.append(invocation)
        return ""


class NothingProvisioned:
    """Has just heard of every provision."""

    def progress(self, owner: str, stamp: str) -> Progress:
        return Progress()


@dataclass
class Room:
    """What tests hold in their hands."""

    store: Store
    code: CodeStore
    functions: Functions
    links: CodeLinks
    service: Service
    clock: ManualClock
    invoker: FakeInvoker
    draws: list[float]
    destinations: Destinations
    sources: EventSources
    rights: Rights

    async def call(self, operation: str, **params: Any) -> Any:
        """As the gateway calls a handler, past authentication, validation and authorization."""
        return await self.service.operations[operation].handler(self.context(operation), params)

    def needs(self, operation: str, **params: Any) -> Sequence[Requirement]:
        return self.service.operations[operation].requirements(self.context(operation), params)

    def context(self, operation: str) -> Context:
        return Context(
            service="lambda",
            operation=operation,
            principal=ADMINISTRATOR,
            account=ACCOUNT,
            region=REGION,
            request_id="00000000-0000-4000-8000-000000000000",
            host="127.0.0.1:4566",
        )

    async def create(self, name: str, **params: Any) -> Any:
        """A function that is Active when this returns."""
        given = {"Runtime": "python3.12", "Role": ROLE, "Handler": "index.handler", "Code": {"ZipFile": HANDLER_ZIP}}
        created = await self.call("CreateFunction", FunctionName=name, **{**given, **params})
        await self.functions.resolve(ACCOUNT, REGION, name, None)
        return created

    async def settle(self) -> None:
        """Time passes until every update has succeeded."""
        for _ in range(3):
            await asyncio.sleep(0)
        self.clock.advance(1.0)
        while any(task.get_name().startswith("settle") for task in asyncio.all_tasks()):
            await asyncio.sleep(0)


@asynccontextmanager
async def functions_room(folder: Path, database: str | None = None, **settings: Any) -> AsyncIterator[Room]:
    """`settings` are further arguments of Functions. `draws` is what the random source will give, then 0.999."""
    clock = ManualClock()
    numbers = itertools.count(1)
    draws: list[float] = []
    store = await Store.open(data=folder, database=database, clock=clock, min_free_mb=1)
    code = CodeStore(store, Blobs(folder / "blobs"), folder / "code", clock)
    destinations = Destinations()
    sources = EventSources()
    rights = Rights()
    functions = Functions(
        store=store,
        code=code,
        roles=KnownRoles(),
        runtimes=RuntimeRules(Catalogue()),
        destinations=destinations,
        rights=rights,
        clock=clock,
        new_id=lambda: f"00000000-0000-4000-8000-{next(numbers):012d}",
        random=lambda: draws.pop(0) if draws else 0.999,
        **settings,
    )
    invoker = FakeInvoker()
    destinations.serve("lambda", FunctionDestination(functions, invoker))
    links = CodeLinks(store, code, clock)
    await functions.start()
    try:
        mappings = EventSourceMappings(store, functions, sources, rights, clock)
        service = lambda_service(functions, invoker, links, mappings, NothingProvisioned())
        yield Room(store, code, functions, links, service, clock, invoker, draws, destinations, sources, rights)
    finally:
        await functions.close()
        await store.close()
