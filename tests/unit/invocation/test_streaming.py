"""Responses that are read while they are made, on the memory tier: what is said when, and who may use what."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from cosset.environments.api import Answer, Event, LogSink, Outcome, error_object
from cosset.environments.pool import Pool
from cosset.environments.response_stream import HIGH_BYTES, ResponseStream
from cosset.invocation.admission import Admission
from cosset.invocation.api import Target
from cosset.invocation.asynchronous import AsyncEvents
from cosset.invocation.dispatcher import Dispatcher
from cosset.invocation.execution import Execution
from cosset.invocation.starting import Starter
from cosset.invocation.streaming import FREE_BYTES, Pace
from cosset.wire.errors import ServiceError
from support.clock import ManualClock
from support.environments import Behaviour, MemoryTier, echo
from support.invocations import CALL, TARGET, Logs, Sessions

QUIET = CALL._replace(want_log_tail=False)


class Targets:
    async def resolve(self, account: str, region: str, name: str, qualifier: str | None) -> Target:
        return TARGET


class Rig:
    def __init__(self, behaviour: Behaviour, limit: int) -> None:
        clock = ManualClock(1_763_717_400_000)
        self.logs = Logs()
        self.pool = Pool(MemoryTier(behaviour), clock, max_environments=5, idle_timeout_s=300)
        execution = Execution(self.pool, Starter(self.pool, Sessions(), self.logs, clock), clock)
        self.admission = Admission(limit)
        self.dispatcher = Dispatcher(Targets(), self.admission, execution, cast(AsyncEvents, None), clock)


def run(behaviour: Behaviour, test: Callable[[Rig], Awaitable[None]], limit: int = 10) -> None:
    async def main() -> None:
        rig = Rig(behaviour, limit)
        await asyncio.wait_for(test(rig), 60)
        await rig.pool.close()

    asyncio.run(main())


def whole(payload: bytes = b"", **changes: object) -> Answer:
    made = Answer(outcome=Outcome.SUCCESS, payload=payload, duration_ms=1.0, max_memory_mb=30)
    return made._replace(**changes)  # type: ignore[arg-type]


def begin(event: Event, content_type: str = "text/plain") -> ResponseStream:
    assert event.stream is not None
    event.stream.begin(content_type, pause=lambda: None, resume=lambda: None)
    return event.stream


def test_the_answer_begins_before_the_function_has_ended() -> None:
    go_on = asyncio.Event()

    async def two_words(event: Event, sink: LogSink) -> Answer:
        stream = begin(event)
        stream.feed(b"one ")
        await go_on.wait()
        stream.feed(b"two")
        return whole(streamed=True)

    async def test(rig: Rig) -> None:
        answer = await rig.dispatcher.invoke_streamed(CALL)
        assert (answer.executed_version, answer.content_type) == ("$LATEST", "text/plain")
        chunks = answer.chunks()
        assert await anext(chunks) == b"one "
        assert (rig.pool.idle, rig.admission.under_way) == (0, 1)
        go_on.set()
        assert [chunk async for chunk in chunks] == [b"two"]
        result = await answer.result()
        assert (result.function_error, result.streamed) == (None, True)
        assert result.log_tail is not None
        assert b"REPORT RequestId: r-1" in result.log_tail
        assert (rig.pool.idle, rig.admission.under_way) == (1, 0)

    run(two_words, test)


def test_a_function_that_does_not_stream_answers_in_one_chunk() -> None:
    async def test(rig: Rig) -> None:
        answer = await rig.dispatcher.invoke_streamed(QUIET)
        assert [chunk async for chunk in answer.chunks()] == [b"{}"]
        assert answer.content_type == "application/json"
        assert (await answer.result()).streamed is False

    run(echo, test)


@pytest.mark.parametrize("streamed", [False, True])
def test_an_error_is_no_part_of_the_response(streamed: bool) -> None:
    async def fail(event: Event, sink: LogSink) -> Answer:
        if streamed:
            begin(event).feed(b"half")
        payload = error_object("Sandbox.Timedout", "Task timed out", event.request_id)
        return whole(payload, outcome=Outcome.TIMEOUT, error_type="Sandbox.Timedout", streamed=streamed)

    async def test(rig: Rig) -> None:
        answer = await rig.dispatcher.invoke_streamed(QUIET)
        assert [chunk async for chunk in answer.chunks()] == ([b"half"] if streamed else [])
        result = await answer.result()
        assert (result.function_error, result.streamed) == ("Unhandled", streamed)
        assert b"Task timed out" in result.payload
        assert "Status: timeout" in rig.logs.messages[-1]
        assert rig.pool.alive == 0

    run(fail, test)


def test_what_cannot_begin_is_raised() -> None:
    async def test(rig: Rig) -> None:
        with pytest.raises(ServiceError) as refused:
            await rig.dispatcher.invoke_streamed(QUIET)
        assert refused.value.code == "TooManyRequestsException"
        with pytest.raises(ServiceError) as refused:
            await rig.dispatcher.invoke_streamed(QUIET._replace(payload=b" " * (6 * 1024 * 1024 + 1)))
        assert refused.value.code == "RequestTooLargeException"

    run(echo, test, limit=0)


def test_a_function_runs_to_its_end_when_its_reader_has_left() -> None:
    paused: list[str] = []

    async def much(event: Event, sink: LogSink) -> Answer:
        stream = event.stream
        assert stream is not None
        going = asyncio.Event()
        going.set()

        def pause() -> None:
            paused.append("pause")
            going.clear()

        stream.begin("text/plain", pause=pause, resume=going.set)
        for _ in range(100):
            await going.wait()
            stream.feed(b"x" * 65_536)
            await asyncio.sleep(0)
        sink.write(0, "all sent\n")
        return whole(streamed=True)

    async def test(rig: Rig) -> None:
        gone = asyncio.Event()
        answer = await rig.dispatcher.invoke_streamed(QUIET._replace(cancelled=gone))
        while not paused:
            await asyncio.sleep(0)
        assert "all sent\n" not in rig.logs.messages
        gone.set()
        assert (await answer.result()).function_error is None
        assert paused == ["pause"]
        assert "all sent\n" in rig.logs.messages
        assert rig.pool.idle == 1

    run(much, test)


def test_no_more_is_held_than_a_slow_reader_leaves() -> None:
    async def main() -> None:
        stream, waits = ResponseStream(), []
        stream.begin("text/plain", pause=lambda: waits.append(True), resume=lambda: waits.append(False))
        chunks = aiter(stream)
        for _ in range(HIGH_BYTES // 2048):
            stream.feed(b"x" * 1024)
        assert waits == []
        stream.feed(b"x" * HIGH_BYTES)
        stream.feed(b"x")
        assert waits == [True]
        assert len(await anext(chunks)) == HIGH_BYTES // 2 + HIGH_BYTES + 1
        assert waits == [True, False]
        for _ in range(HIGH_BYTES // 32):  # each costs far more than its one byte
            stream.feed(b"x")
        assert waits == [True, False, True]
        assert len(await anext(chunks)) == HIGH_BYTES // 32
        stream.close()
        stream.feed(b"late")
        assert b"late" not in [chunk async for chunk in chunks]

    asyncio.run(main())


def test_a_large_response_slows_down_after_what_is_free() -> None:
    async def main() -> None:
        clock = ManualClock()
        pace = Pace(clock, 1000)
        await asyncio.wait_for(pace.wait(FREE_BYTES), 60)
        waiting = asyncio.create_task(pace.wait(2000))
        await asyncio.sleep(0)
        assert not waiting.done()
        clock.advance(2.0)
        await asyncio.wait_for(waiting, 60)
        await asyncio.wait_for(Pace(clock, None).wait(FREE_BYTES * 9), 60)

    asyncio.run(main())
