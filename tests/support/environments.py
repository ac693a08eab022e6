"""An isolation tier in memory, for tests of the rooms above it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from cosset.environments.api import (
    Answer,
    EnvironmentGoneError,
    EnvironmentSpec,
    EnvironmentState,
    Event,
    InitError,
    LogSink,
    Outcome,
    nothing,
)
from cosset.identity.principal import Credentials

Behaviour = Callable[[Event, LogSink], Awaitable[Answer]]


async def echo(event: Event, sink: LogSink) -> Answer:
    sink.write(0, "working\n")
    return Answer(outcome=Outcome.SUCCESS, payload=event.payload, duration_ms=1.0, max_memory_mb=30)


class MemoryEnvironment:
    def __init__(self, spec: EnvironmentSpec, sink: LogSink, behaviour: Behaviour) -> None:
        self.spec = spec
        self.state = EnvironmentState.READY
        self.init_ms = 5.0
        self._sink = sink
        self._behaviour = behaviour
        self.settling: asyncio.Future[None] | None = None

    async def invoke(self, event: Event, begun: Callable[[], None] = nothing) -> Answer:
        if self.state is EnvironmentState.SHUTDOWN:
            raise EnvironmentGoneError
        assert self.state is EnvironmentState.READY, "one invocation at a time"
        self.state = EnvironmentState.BUSY
        begun()
        answer = await self._behaviour(event, self._sink)
        if answer.is_settled:
            self.state = EnvironmentState.SHUTDOWN if answer.environment_is_spent else EnvironmentState.READY
        return answer

    async def settle(self, answer: Answer) -> Answer:
        """Until `settling` is done, where a test has set it."""
        if self.settling is not None:
            await self.settling
        self.state = EnvironmentState.READY
        return answer._replace(duration_ms=answer.duration_ms + 100, is_settled=True)

    async def shutdown(self) -> None:
        await asyncio.sleep(0)
        self.state = EnvironmentState.SHUTDOWN


class MemoryTier:
    """Counts what it started; `failing` makes Init fail, `failures` the next ones one after the other. A start waits
    for `holding`, where a test has set it."""

    name = "memory"

    def __init__(self, behaviour: Behaviour = echo) -> None:
        self.behaviour = behaviour
        self.failing: InitError | None = None
        self.holding: asyncio.Future[None] | None = None
        self.failures: list[InitError] = []
        self.specs: list[EnvironmentSpec] = []
        self.started: list[MemoryEnvironment] = []
        self.forgotten: list[str] = []
        self.closed = False

    async def start(self, spec: EnvironmentSpec, sink: LogSink) -> MemoryEnvironment:
        await asyncio.sleep(0)
        if self.holding is not None:
            await self.holding
        self.specs.append(spec)
        if self.failing is not None:
            raise self.failing
        if self.failures:
            raise self.failures.pop(0)
        environment = MemoryEnvironment(spec, sink, self.behaviour)
        self.started.append(environment)
        return environment

    def forget(self, environment_id: str) -> None:
        self.forgotten.append(environment_id)

    async def close(self) -> None:
        self.closed = True


def spec(environment_id: str = "e1") -> EnvironmentSpec:
    return EnvironmentSpec(
        id=environment_id,
        account="123456789012",
        region="us-east-1",
        function_name="f",
        function_arn="arn:aws:lambda:us-east-1:123456789012:function:f",
        version="$LATEST",
        runtime="python3.13",
        handler="index.handler",
        memory_mb=128,
        timeout_s=3,
        ephemeral_storage_mb=512,
        code_dir=Path("/nowhere"),
        log_group="/aws/lambda/f",
        log_stream="s",
        credentials=Credentials("ASIA", "secret", "token"),
    )
