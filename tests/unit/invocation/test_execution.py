"""One event through one environment of the memory tier: the log lines, the tail, and what goes wrong."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from cosset.environments.api import (
    Answer,
    EnvironmentGoneError,
    EnvironmentSpec,
    Event,
    InitError,
    LogSink,
    Outcome,
    error_object,
)
from cosset.environments.pool import Pool
from cosset.invocation.admission import Place
from cosset.invocation.execution import Execution
from cosset.invocation.starting import Starter
from cosset.wire.errors import ServiceError
from support.clock import ManualClock
from support.environments import MemoryEnvironment, MemoryTier, echo
from support.invocations import CALL, TARGET, Logs, Sessions


def run(tier: MemoryTier, test: Callable[[Execution, Logs, Pool], Awaitable[None]], max_environments: int = 5) -> None:
    async def main() -> None:
        clock, logs = ManualClock(1_763_717_400_000), Logs()
        pool = Pool(tier, clock, max_environments=max_environments, idle_timeout_s=300)
        await test(Execution(pool, Starter(pool, Sessions(), logs, clock), clock), logs, pool)
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
        warm = await execution.run(TARGET, CALL._replace(want_log_tail=False))
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
            outcome=Outcome.TIMEOUT, payload=payload, duration_ms=3004.2, max_memory_mb=1, error_type="Sandbox.Timedout"
        )

    async def test(execution: Execution, logs: Logs, pool: Pool) -> None:
        result = await execution.run(TARGET, CALL)
        assert result.function_error == "Unhandled"
        assert [line.split(" ")[0] for line in logs.messages] == ["INIT_START", "START", "END", "REPORT"]
        # As shown by AWS's users: no sentence of the platform's, and exactly the function's time.
        assert "\tDuration: 3000.00 ms\tBilled Duration: 3005 ms\t" in logs.messages[-1]
        assert logs.messages[-1].endswith("\tInit Duration: 5.00 ms\tStatus: timeout\n")
        assert pool.alive == 0

    run(MemoryTier(late), test)


def test_a_failed_init_answers_the_call_it_was_for() -> None:
    tier = MemoryTier()
    tier.failing = InitError("Runtime.ExitError", "Runtime exited with error: exit status 1", b"", 7.0)

    async def test(execution: Execution, logs: Logs, pool: Pool) -> None:
        result = await execution.run(TARGET, CALL)
        assert result.payload == error_object("Runtime.ExitError", "Runtime exited with error: exit status 1", "r-1")
        assert result.function_error == "Unhandled"
        assert [line.split(" ")[0] for line in logs.messages] == [
            "INIT_START",
            "INIT_REPORT",
            "INIT_REPORT",
            "START",
            "END",
            "REPORT",
        ]
        assert logs.messages[1] == (
            "INIT_REPORT Init Duration: 7.00 ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError\n"
        )
        assert "\tPhase: invoke\tStatus: error\tError Type: Runtime.ExitError\n" in logs.messages[2]
        assert "Duration: 7.00 ms" in logs.messages[-1]
        assert "Init Duration" not in logs.messages[-1]
        assert "Status: error\tError Type: Runtime.ExitError" in logs.messages[-1]
        assert len(set(logs.streams)) == 1
        assert pool.alive == 0

    run(tier, test)
    first, second = tier.specs
    assert first.id != second.id
    assert (first.init_timeout_s, second.init_timeout_s) == (10, TARGET.timeout_s)


INIT_TIMEOUT = InitError("Sandbox.Timedout", "Task timed out after 3.00 seconds", b"", 10_000.0, "timeout")


def test_an_init_that_takes_too_long_is_tried_again_as_part_of_the_invocation() -> None:
    tier = MemoryTier()
    tier.failures = [INIT_TIMEOUT]

    async def test(execution: Execution, logs: Logs, pool: Pool) -> None:
        result = await execution.run(TARGET, CALL)
        assert (result.payload, result.function_error) == (b"{}", None)
        assert [line.split(" ")[0] for line in logs.messages] == [
            "INIT_START",
            "INIT_REPORT",
            "START",
            "working\n",
            "END",
            "REPORT",
        ]
        assert logs.messages[1] == "INIT_REPORT Init Duration: 10000.00 ms\tPhase: init\tStatus: timeout\n"
        assert "Init Duration" not in logs.messages[-1]
        assert (pool.alive, pool.idle) == (1, 1)

    run(tier, test)


def test_a_second_init_counts_as_the_invocations_own_time() -> None:
    events: list[Event] = []

    async def keep(event: Event, sink: LogSink) -> Answer:
        events.append(event)
        return await echo(event, sink)

    class SlowTier(MemoryTier):
        clock: ManualClock

        async def start(self, spec: EnvironmentSpec, sink: LogSink) -> MemoryEnvironment:
            self.clock.advance(2)
            return await super().start(spec, sink)

    async def main() -> None:
        tier = SlowTier(keep)
        tier.failures = [INIT_TIMEOUT]
        tier.clock, logs = ManualClock(1_763_717_400_000), Logs()
        pool = Pool(tier, tier.clock, max_environments=5, idle_timeout_s=300)
        await Execution(pool, Starter(pool, Sessions(), logs, tier.clock), tier.clock).run(TARGET, CALL)
        assert "Duration: 2001.00 ms\t" in logs.messages[-1]
        assert events[0].deadline_ms == tier.clock.now_ms() + 1000
        await pool.close()

    asyncio.run(main())


def test_a_second_init_that_takes_too_long_is_a_timeout() -> None:
    tier = MemoryTier()
    tier.failures = [INIT_TIMEOUT, InitError("Sandbox.Timedout", INIT_TIMEOUT.message, b"", 3047.0, "timeout", 33)]

    async def test(execution: Execution, logs: Logs, pool: Pool) -> None:
        result = await execution.run(TARGET, CALL)
        assert result.payload == error_object("Sandbox.Timedout", "Task timed out after 3.00 seconds", "r-1")
        assert [line.split(" ")[0] for line in logs.messages] == [
            "INIT_START",
            "INIT_REPORT",
            "INIT_REPORT",
            "START",
            "END",
            "REPORT",
        ]
        assert logs.messages[2] == "INIT_REPORT Init Duration: 3047.00 ms\tPhase: invoke\tStatus: timeout\n"
        assert "\tDuration: 3000.00 ms\t" in logs.messages[-1]
        assert "Max Memory Used: 33 MB\tStatus: timeout" in logs.messages[-1]

    run(tier, test)


def test_a_full_node_throttles() -> None:
    async def test(execution: Execution, logs: Logs, pool: Pool) -> None:
        with pytest.raises(ServiceError) as refused:
            await execution.run(TARGET, CALL)
        assert refused.value.fields["Reason"] == "ConcurrentInvocationLimitExceeded"

    run(MemoryTier(), test, max_environments=0)


def test_the_result_does_not_wait_for_extensions_and_everything_else_does() -> None:
    async def unsettled(event: Event, sink: LogSink) -> Answer:
        return (await echo(event, sink))._replace(is_settled=False)

    async def test(execution: Execution, logs: Logs, pool: Pool) -> None:
        held: Counter[tuple[str, ...]] = Counter()
        with Place() as place:
            place.hold(held, ("f",))
            result = await execution.run(TARGET, CALL._replace(want_log_tail=False), place=place)
        assert result.payload == b"{}"
        assert (held, pool.idle) == ({("f",): 1}, 0)
        assert not any(line.startswith("END") for line in logs.messages)
        while held:
            await asyncio.sleep(0)
        assert pool.idle == 1
        assert "Duration: 101.00 ms" in logs.messages[-1]

    run(MemoryTier(unsettled), test)


@pytest.mark.parametrize("place", [None, Place()])
def test_whoever_wants_the_log_waits_for_the_extensions(place: Place | None) -> None:
    async def unsettled(event: Event, sink: LogSink) -> Answer:
        return (await echo(event, sink))._replace(is_settled=False)

    async def test(execution: Execution, logs: Logs, pool: Pool) -> None:
        result = await execution.run(TARGET, CALL, place=place)
        assert b"REPORT" in (result.log_tail or b"")
        assert pool.idle == 1

    run(MemoryTier(unsettled), test)


def crashing_once() -> Callable[[Event, LogSink], Awaitable[Answer]]:
    """Its first event ends the environment."""
    seen: list[Event] = []

    async def behave(event: Event, sink: LogSink) -> Answer:
        seen.append(event)
        answer = await echo(event, sink)
        if len(seen) > 1:
            return answer
        payload = error_object("Runtime.ExitError", "Runtime exited without providing a reason", event.request_id)
        return answer._replace(outcome=Outcome.EXIT, payload=payload, error_type="Runtime.ExitError")

    return behave


def test_an_environment_that_was_reset_is_initialized_within_the_next_invocation() -> None:
    tier = MemoryTier(crashing_once())

    async def test(execution: Execution, logs: Logs, pool: Pool) -> None:
        await execution.run(TARGET, CALL)
        first, logs.messages = logs.messages, []
        assert first[0].startswith("INIT_START")
        await execution.run(TARGET, CALL)
        assert [line.split(" ")[0] for line in logs.messages] == ["START", "working\n", "END", "REPORT"]
        assert "Init Duration" not in logs.messages[-1]
        assert len(set(logs.streams)) == 1
        assert tier.specs[1].id != tier.specs[0].id
        assert [spec.init_timeout_s for spec in tier.specs] == [10, TARGET.timeout_s]

    run(tier, test)


def test_a_reset_environment_whose_init_then_fails_is_reported_in_the_phase_invoke() -> None:
    tier = MemoryTier(crashing_once())

    async def test(execution: Execution, logs: Logs, pool: Pool) -> None:
        await execution.run(TARGET, CALL)
        logs.messages = []
        tier.failing = InitError("Runtime.ExitError", "Runtime exited with error: exit status 1", b"", 12.0)
        result = await execution.run(TARGET, CALL)
        assert result.function_error == "Unhandled"
        assert logs.messages[0] == (
            "INIT_REPORT Init Duration: 12.00 ms\tPhase: invoke\tStatus: error\tError Type: Runtime.ExitError\n"
        )
        assert [line.split(" ")[0] for line in logs.messages[1:]] == ["START", "END", "REPORT"]

    run(tier, test)


def test_after_a_failed_init_the_environment_waits_for_the_next_invocation() -> None:
    """Seen with users of AWS: INIT_REPORT in the phase `invoke` right after the last REPORT."""
    tier = MemoryTier()
    tier.failures = [InitError("Runtime.ImportModuleError", "no", b"{}", 12.0) for _ in range(3)]

    async def test(execution: Execution, logs: Logs, pool: Pool) -> None:
        for phases in (["init", "invoke"], ["invoke"], []):
            logs.messages = []
            await execution.run(TARGET, CALL)
            reports = [line for line in logs.messages if line.startswith("INIT_REPORT")]
            assert [line.split("Phase: ")[1].split("\t")[0] for line in reports] == phases
        assert "Init Duration" not in logs.messages[-1]
        assert len(set(logs.streams)) == 1
        ids = [spec.id for spec in tier.specs]
        assert [spec.predecessor for spec in tier.specs] == [None, *ids[:3]]
        assert not tier.forgotten

    run(tier, test)


def test_a_reset_environment_that_finds_no_room_waits_on() -> None:
    tier = MemoryTier(crashing_once())

    async def test(execution: Execution, logs: Logs, pool: Pool) -> None:
        await execution.run(TARGET, CALL)
        other = replace(TARGET, function_arn="arn:aws:lambda:us-east-1:123456789012:function:other")
        running = asyncio.ensure_future(execution.run(other, CALL))
        await asyncio.sleep(0)
        with pytest.raises(ServiceError):
            await execution.run(TARGET, CALL)
        await running
        await execution.run(TARGET, CALL)
        assert tier.specs[-1].predecessor == tier.specs[0].id

    run(tier, test, max_environments=1)


def test_a_function_that_has_changed_begins_anew() -> None:
    async def test(execution: Execution, logs: Logs, pool: Pool) -> None:
        await execution.run(TARGET, CALL)
        logs.messages = []
        await execution.run(replace(TARGET, revision="another"), CALL)
        assert logs.messages[0].startswith("INIT_START")

    run(MemoryTier(crashing_once()), test)


def test_the_end_is_logged_after_the_result_but_before_all_else() -> None:
    async def main() -> None:
        clock, logs, waiting = ManualClock(1_763_717_400_000), Logs(), list[Callable[[], None]]()
        pool = Pool(MemoryTier(), clock, max_environments=1, idle_timeout_s=300)
        execution = Execution(pool, Starter(pool, Sessions(), logs, clock), clock, later=waiting.append)
        quiet = CALL._replace(want_log_tail=False)
        await execution.run(TARGET, quiet, place=Place())
        assert [line.split(" ")[0] for line in logs.messages] == ["INIT_START", "START", "working\n"]
        logs.messages = []
        clock.advance(1)
        # The tail is of this call alone, and the lines before it stand in their order, with their own time.
        result = await execution.run(TARGET, CALL._replace(request_id="second"), place=Place())
        assert [line.split(" ")[0] for line in logs.messages] == [
            "END",
            "REPORT",
            "START",
            "working\n",
            "END",
            "REPORT",
        ]
        assert result.log_tail == "".join(logs.messages[2:]).encode()
        assert CALL.request_id in logs.messages[0]
        logs.messages = []
        waiting.pop()()
        assert (waiting, logs.messages) == ([], [])  # what was written is not written again
        await execution.run(TARGET, quiet, place=Place())
        waiting.pop()()
        assert [line.split(" ")[0] for line in logs.messages] == ["START", "working\n", "END", "REPORT"]
        logs.messages = []
        await execution.run(TARGET, quiet)  # whoever holds no place is not answered before the end is told
        assert (waiting, len(logs.messages)) == ([], 4)
        await pool.close()

    asyncio.run(main())


def types_in(logs: Logs) -> list[tuple[str, str]]:
    """Of a log in the JSON format: each record's type, and how it ended, if it says so."""
    records = [json.loads(line) for line in logs.messages if line.startswith("{")]
    return [(each["type"].removeprefix("platform."), each["record"].get("status", "")) for each in records]


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARN"])
def test_the_json_format_has_more_records_each_with_its_level(level: str) -> None:
    """AWS's table of system log levels: what did not succeed is WARN, what the runtime is done with is DEBUG."""
    target = replace(TARGET, log_format="JSON", system_log_level=level)
    levels = ("DEBUG", "INFO", "WARN")

    def kept(*records: tuple[str, str, str]) -> list[tuple[str, str]]:
        return [(kind, status) for kind, status, of in records if levels.index(of) >= levels.index(level)]

    async def test(execution: Execution, logs: Logs, pool: Pool) -> None:
        await execution.run(target, CALL)
        assert types_in(logs) == kept(
            ("initStart", "", "INFO"),
            ("initRuntimeDone", "success", "DEBUG"),
            ("initReport", "success", "DEBUG"),
            ("start", "", "INFO"),
            ("runtimeDone", "error", "WARN"),
            ("report", "error", "WARN"),
        )
        logs.messages = []
        await execution.run(target, CALL)  # no Init is logged after a reset
        assert types_in(logs) == kept(
            ("start", "", "INFO"), ("runtimeDone", "success", "DEBUG"), ("report", "success", "INFO")
        )

    run(MemoryTier(crashing_once()), test)


def test_an_init_that_fails_in_the_json_format() -> None:
    tier = MemoryTier()
    tier.failing = InitError("Runtime.ExitError", "Runtime exited with error: exit status 1", b"", 7.0)

    async def test(execution: Execution, logs: Logs, pool: Pool) -> None:
        await execution.run(replace(TARGET, log_format="JSON"), CALL)
        tries = [("initRuntimeDone", "error"), ("initReport", "error")] * 2
        assert types_in(logs) == [("initStart", ""), *tries, ("start", ""), ("report", "error")]
        assert [json.loads(line)["record"]["phase"] for line in logs.messages[:5]] == ["init"] * 3 + ["invoke"] * 2

    run(tier, test)
