"""One event through one environment of the memory tier: the log lines, the tail, and what goes wrong."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from cosset.environments.api import Answer, EnvironmentGoneError, Event, InitError, LogSink, Outcome, error_object
from cosset.environments.pool import Pool
from cosset.identity.principal import Credentials
from cosset.invocation.api import Invocation
from cosset.invocation.execution import Execution
from cosset.observe.ports import LogEvent, StreamKey
from cosset.wire.errors import ServiceError
from support.clock import ManualClock
from support.environments import MemoryTier, echo
from support.invocations import target

TARGET = target("f")
CALL = Invocation(
    account=TARGET.account,
    region=TARGET.region,
    function_name="f",
    qualifier=None,
    payload=b"{}",
    request_id="r-1",
    invoked_arn=TARGET.arn,
    want_log_tail=True,
)


class Logs:
    def __init__(self) -> None:
        self.messages: list[str] = []
        self.streams: list[StreamKey] = []

    def write(self, key: StreamKey, events: Sequence[LogEvent]) -> None:
        self.streams.append(key)
        self.messages += [event.message for event in events]

    async def flush(self) -> None: ...


class Sessions:
    async def issue(self, role_arn: str, session_name: str, duration_s: int) -> Credentials:
        return Credentials("ASIA", "secret", "token")


def run(tier: MemoryTier, test: Callable[[Execution, Logs, Pool], Awaitable[None]], max_environments: int = 5) -> None:
    async def main() -> None:
        clock, logs = ManualClock(1_763_717_400_000), Logs()
        pool = Pool(tier, clock, max_environments=max_environments, idle_timeout_s=300)
        await test(Execution(pool, Sessions(), logs, clock), logs, pool)
        await pool.close()

    asyncio.run(main())


def test_the_log_of_a_cold_and_of_a_warm_call() -> None:
    async def test(execution: Execution, logs: Logs, pool: Pool) -> None:
        result = await execution.run(TARGET, CALL)
        assert (result.payload, result.function_error, result.executed_version) == (b"{}", None, "$LATEST")
        cold, logs.messages = logs.messages, []
        assert [line.split(" ")[0] for line in cold] == ["INIT_START", "START", "working\n", "END", "REPORT"]
        assert "Init Duration: 5.00 ms" in cold[-1]
        assert "Billed Duration: 6 ms" in cold[-1]
        # Recorded: test_invocation_with_logs begins with START on a cold call too.
        assert result.log_tail == "".join(cold[1:]).encode()
        warm = await execution.run(TARGET, replace(CALL, want_log_tail=False))
        assert warm.log_tail is None
        assert [line.split(" ")[0] for line in logs.messages] == ["START", "working\n", "END", "REPORT"]
        assert "Init Duration" not in logs.messages[-1]
        assert len(set(logs.streams)) == 1
        assert logs.streams[0].stream.startswith("2025/11/21/[$LATEST]")
        assert logs.streams[0].group == "/aws/lambda/f"

    run(MemoryTier(), test)


def test_the_tail_is_the_last_four_kilobytes_of_this_call_only() -> None:
    async def loud(event: Event, sink: LogSink) -> Answer:
        for index in range(1000):
            sink.write(0, f"line {index}\n")
        return await echo(event, sink)

    async def test(execution: Execution, logs: Logs, pool: Pool) -> None:
        result = await execution.run(TARGET, CALL)
        assert result.log_tail is not None
        assert len(result.log_tail) == 4096
        assert result.log_tail.endswith(b"\t\n")
        assert "".join(logs.messages).encode().endswith(result.log_tail)

    run(MemoryTier(loud), test)


def test_an_environment_that_is_gone_is_replaced_and_one_that_keeps_going_is_our_failure() -> None:
    gone = 0

    async def flaky(event: Event, sink: LogSink) -> Answer:
        nonlocal gone
        gone += 1
        if gone <= 2:
            raise EnvironmentGoneError
        return await echo(event, sink)

    async def test(execution: Execution, logs: Logs, pool: Pool) -> None:
        assert (await execution.run(TARGET, CALL)).payload == b"{}"
        assert pool.alive == 1

    run(MemoryTier(flaky), test)

    async def never(event: Event, sink: LogSink) -> Answer:
        raise EnvironmentGoneError

    async def fails(execution: Execution, logs: Logs, pool: Pool) -> None:
        with pytest.raises(ServiceError) as refused:
            await execution.run(TARGET, CALL)
        assert (refused.value.code, refused.value.status) == ("ServiceException", 500)
        assert pool.alive == 0

    run(MemoryTier(never), fails)


def test_a_timeout_is_logged_and_the_environment_is_let_go() -> None:
    async def late(event: Event, sink: LogSink) -> Answer:
        payload = error_object("Sandbox.Timedout", "Task timed out after 3.00 seconds", event.request_id)
        return Answer(
            outcome=Outcome.TIMEOUT, payload=payload, duration_ms=3000, max_memory_mb=1, error_type="Sandbox.Timedout"
        )

    async def test(execution: Execution, logs: Logs, pool: Pool) -> None:
        result = await execution.run(TARGET, CALL)
        assert result.function_error == "Unhandled"
        assert any(line.endswith("r-1 Task timed out after 3.00 seconds\n\n") for line in logs.messages)
        assert "Status: timeout" in logs.messages[-1]
        assert pool.alive == 0

    run(MemoryTier(late), test)


def test_a_failed_init_answers_the_call_it_was_for() -> None:
    tier = MemoryTier()
    tier.failing = InitError("Runtime.ExitError", "Runtime exited with error: exit status 1", b"", 7.0)

    async def test(execution: Execution, logs: Logs, pool: Pool) -> None:
        result = await execution.run(TARGET, CALL)
        assert result.payload == error_object("Runtime.ExitError", "Runtime exited with error: exit status 1", "r-1")
        assert result.function_error == "Unhandled"
        assert [line.split(" ")[0] for line in logs.messages] == ["INIT_START", "INIT_REPORT", "START", "END", "REPORT"]

    run(tier, test)


def test_a_full_node_throttles() -> None:
    async def test(execution: Execution, logs: Logs, pool: Pool) -> None:
        with pytest.raises(ServiceError) as refused:
            await execution.run(TARGET, CALL)
        assert refused.value.fields["Reason"] == "ConcurrentInvocationLimitExceeded"

    run(MemoryTier(), test, max_environments=0)
