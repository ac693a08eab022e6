"""Functions written on the spot and run through a tier, for tests of environments."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from cosset.clock import SystemClock
from cosset.environments.api import Answer, Environment, EnvironmentSpec, Event, Tier
from cosset.identity.principal import Credentials


class Lines:
    """A LogSink that keeps everything."""

    def __init__(self):
        self.events = []

    def write(self, timestamp_ms, message):
        self.events.append((timestamp_ms, message))

    @property
    def messages(self):
        """What the function printed; without what Cosset says of the runtime that serves it."""
        return [
            message for _, message in self.events if not message.startswith("COSSET ") and '"cosset"' not in message
        ]

    @property
    def text(self):
        return "".join(self.messages)


def spec_for(code_dir: Path, runtime: str = "python3.11", handler: str = "app.handler", **changes) -> EnvironmentSpec:
    fields = {
        "id": uuid.uuid4().hex,
        "account": "000000000000",
        "region": "us-east-1",
        "function_name": "greetingsOnDemand",
        "function_arn": "arn:aws:lambda:us-east-1:000000000000:function:greetingsOnDemand",
        "version": "$LATEST",
        "runtime": runtime,
        "handler": handler,
        "memory_mb": 256,
        "timeout_s": 30,
        "ephemeral_storage_mb": 512,
        "code_dir": code_dir,
        "log_group": "/aws/lambda/greetingsOnDemand",
        "log_stream": "2026/11/21/[$LATEST]" + uuid.uuid4().hex,
        "credentials": Credentials("AKIAEXAMPLE", "secret", "token"),
    }
    return EnvironmentSpec(**{**fields, **changes})


def event_for(payload: bytes = b"{}", timeout_s: float = 30.0, **changes) -> Event:
    fields = {
        "request_id": str(uuid.uuid4()),
        "payload": payload,
        "deadline_ms": SystemClock().now_ms() + int(timeout_s * 1000),
        "invoked_arn": "arn:aws:lambda:us-east-1:000000000000:function:greetingsOnDemand",
        "trace_id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700",
    }
    return Event(**{**fields, **changes})


@asynccontextmanager
async def running(tier: Tier, spec: EnvironmentSpec, sink: Lines):
    """An environment that is certainly gone afterwards. The tier is not closed."""
    environment = await tier.start(spec, sink)
    try:
        yield environment
    finally:
        await environment.shutdown()


def run(tier_factory: Callable[[], Tier], body: Callable[[Tier], Awaitable[object]]) -> object:
    """`body(tier)` in a loop of its own, the tier closed at the end whatever happens."""

    async def main():
        tier = tier_factory()
        try:
            return await asyncio.wait_for(body(tier), 120)
        finally:
            await tier.close()

    return asyncio.run(main())


def invoke_once(tier_factory: Callable[[], Tier], spec: EnvironmentSpec, *events: Event) -> tuple[list[Answer], Lines]:
    """The answers of one environment to these events, one after the other, and everything it printed."""
    lines = Lines()

    async def body(tier: Tier) -> list[Answer]:
        async with running(tier, spec, lines) as environment:
            return [await _invoke(environment, event) for event in events]

    return run(tier_factory, body), lines


async def _invoke(environment: Environment, event: Event) -> Answer:
    return await environment.invoke(event)
