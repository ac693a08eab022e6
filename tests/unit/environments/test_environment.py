"""The state machine of one environment, on a process and a transport in memory and a clock moved by hand."""

import asyncio
import json
import os

import pytest

from cosset.environments.api import EnvironmentGoneError, EnvironmentState, InitError, Outcome
from cosset.environments.environment import REPLY_GRACE_S, RunningEnvironment, describe_exit
from cosset.environments.log_pipe import LogPipe
from cosset.environments.transport import TRUNCATED, Exit, Reply, RuntimeInitError, TransportClosedError
from support.clock import ManualClock
from support.written import Lines, event_for, spec_for


class MemoryProcess:
    def __init__(self):
        self.ended = asyncio.get_running_loop().create_future()
        self.kills = 0

    async def wait(self):
        return await asyncio.shield(self.ended)

    async def kill(self, *, is_reset=False):
        self.kills += 1
        self.end(Exit(signal=9))

    def end(self, how):
        if not self.ended.done():
            self.ended.set_result(how)

    def peak_memory_mb(self):
        return 40


class MemoryTransport:
    def __init__(self):
        loop = asyncio.get_running_loop()
        self.is_ready = loop.create_future()
        self.reply = None
        self.takes_events = True
        self.closed = False
        self.on_event = lambda: None

    async def ready(self):
        await asyncio.shield(self.is_ready)

    def exchange(self, event):
        if self.closed:
            raise TransportClosedError("closed", delivered=False)
        self.on_event()
        self.reply = asyncio.get_running_loop().create_future()
        return self.reply

    def close(self):
        self.closed = True
        if not self.is_ready.done():
            self.is_ready.set_exception(TransportClosedError("closed", delivered=False))
            self.is_ready.exception()
        if self.reply is not None and not self.reply.done():
            self.reply.set_exception(TransportClosedError("closed", delivered=self.takes_events))


class Rig:
    """One environment and everything under it."""

    def __init__(self, tmp_path, **changes):
        self.clock = ManualClock()
        self.process = MemoryProcess()
        self.transport = MemoryTransport()
        self.lines = Lines()
        output, self.output = os.pipe()
        spec = spec_for(tmp_path, timeout_s=3, **changes)
        pipe = LogPipe(self.lines, self.clock, output)
        self.environment = RunningEnvironment(spec, self.process, self.transport, pipe, self.clock)

    async def start(self):
        starting = asyncio.create_task(self.environment.start())
        await settle()
        self.clock.advance(0.25)
        self.transport.is_ready.set_result(None)
        await starting

    async def invoke(self):
        event = event_for(deadline_ms=self.clock.now_ms() + 3000)
        task = asyncio.create_task(self.environment.invoke(event))
        await settle()
        return event, task


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def rigged(tmp_path):
    def run(body, **changes):
        async def main():
            rig = Rig(tmp_path, **changes)
            try:
                await body(rig)
            finally:
                await rig.environment.shutdown()
                os.close(rig.output)
            assert rig.environment.state is EnvironmentState.SHUTDOWN
            assert rig.process.kills == 1
            assert rig.transport.closed
            await settle()
            own = ("watch ", "deadline ", "end ")
            assert [task for task in asyncio.all_tasks() if task.get_name().startswith(own)] == []

        asyncio.run(asyncio.wait_for(main(), 60))

    return run


def test_init_ready_busy_ready_shutdown(rigged):
    async def body(rig):
        assert rig.environment.state is EnvironmentState.INIT
        await rig.start()
        assert rig.environment.state is EnvironmentState.READY
        assert rig.environment.init_ms == pytest.approx(250)
        _, task = await rig.invoke()
        assert rig.environment.state is EnvironmentState.BUSY
        rig.clock.advance(0.5)
        os.write(rig.output, b"printed\n")
        rig.transport.reply.set_result(Reply(b"[]", "text/plain"))
        answer = await task
        assert rig.environment.state is EnvironmentState.READY
        assert (answer.outcome, answer.payload, answer.content_type) == (Outcome.SUCCESS, b"[]", "text/plain")
        assert answer.duration_ms == pytest.approx(500)
        assert answer.max_memory_mb == 40
        assert rig.lines.messages == ["printed\n"]

    rigged(body)


def test_what_may_be_done_beside_the_function_is_done_once_the_event_is_handed_over(rigged):
    async def body(rig):
        await rig.start()
        order = []
        rig.transport.on_event = lambda: order.append("handed over")
        invoking = asyncio.create_task(rig.environment.invoke(event_for(), lambda: order.append("begun")))
        await settle()
        assert order == ["handed over", "begun"]
        rig.transport.reply.set_result(Reply(b"{}"))
        await invoking
        rig.transport.closed = True
        invoking = asyncio.create_task(rig.environment.invoke(event_for(), lambda: order.append("begun")))
        await settle()
        assert order == ["handed over", "begun"]
        rig.process.end(Exit(code=0))
        await settle()
        rig.clock.advance(REPLY_GRACE_S)
        with pytest.raises(EnvironmentGoneError):
            await invoking

    rigged(body)


def test_the_deadline_holds_for_each_invocation_though_one_timer_serves_all(rigged):
    async def body(rig):
        await rig.start()
        for _ in range(5):
            _, task = await rig.invoke()
            rig.clock.advance(2)
            await settle()
            rig.transport.reply.set_result(Reply(b"1"))
            assert (await task).outcome is Outcome.SUCCESS
        event, task = await rig.invoke()
        rig.clock.advance(2.9)
        await settle()
        assert not task.done()
        rig.clock.advance(0.1)
        answer = await task
        assert answer.outcome is Outcome.TIMEOUT
        assert answer.duration_ms == pytest.approx(3000)
        assert json.loads(answer.payload)["errorMessage"] == (
            f"RequestId: {event.request_id} Error: Task timed out after 3.00 seconds"
        )

    rigged(body)


def test_a_shorter_deadline_is_not_held_up_by_a_longer_one_before(rigged):
    async def body(rig):
        await rig.start()
        _, task = await rig.invoke()
        rig.transport.reply.set_result(Reply(b"1"))
        await task
        task = asyncio.create_task(rig.environment.invoke(event_for(deadline_ms=rig.clock.now_ms() + 100)))
        await settle()
        rig.clock.advance(0.1)
        assert (await task).outcome is Outcome.TIMEOUT

    rigged(body)


def test_a_reply_after_the_deadline_is_ignored(rigged):
    async def body(rig):
        await rig.start()
        _, task = await rig.invoke()
        rig.clock.advance(3)
        for _ in range(2):
            await asyncio.sleep(0)
        if not rig.transport.reply.done():
            rig.transport.reply.set_result(Reply(b"late"))
        assert (await task).outcome is Outcome.TIMEOUT

    rigged(body)


def test_a_reply_just_before_the_exit_counts(rigged):
    async def body(rig):
        await rig.start()
        _, task = await rig.invoke()
        rig.process.end(Exit(code=0))
        await settle()
        rig.transport.reply.set_result(Reply(b"1"))
        answer = await task
        assert answer.outcome is Outcome.SUCCESS
        assert rig.environment.state is EnvironmentState.SHUTDOWN
        with pytest.raises(EnvironmentGoneError):
            await rig.environment.invoke(event_for())

    rigged(body)


def test_an_exit_is_answered_after_the_grace(rigged):
    async def body(rig):
        await rig.start()
        _, task = await rig.invoke()
        rig.clock.advance(0.125)
        rig.process.end(Exit(code=1))
        await settle()
        assert not task.done()
        rig.clock.advance(REPLY_GRACE_S)
        answer = await task
        assert (answer.outcome, answer.error_type) == (Outcome.EXIT, "Runtime.ExitError")
        assert answer.duration_ms == pytest.approx(125)

    rigged(body)


def test_a_stream_that_broke_off_with_its_process_is_told_as_the_end_of_the_process(rigged):
    async def body(rig):
        await rig.start()
        _, task = await rig.invoke()
        rig.process.end(Exit(code=3))
        await settle()
        rig.transport.reply.set_result(Reply(b"{}", error_type=TRUNCATED))
        await settle()
        rig.clock.advance(REPLY_GRACE_S)
        answer = await task
        assert (answer.outcome, answer.error_type) == (Outcome.EXIT, "Runtime.ExitError")
        assert b"exit status 3" in answer.payload

    rigged(body)


def test_an_event_that_was_not_handed_over_may_go_elsewhere(rigged):
    async def body(rig):
        await rig.start()
        rig.transport.takes_events = False
        _, task = await rig.invoke()
        rig.process.end(Exit(signal=9))
        await settle()
        rig.clock.advance(REPLY_GRACE_S)
        with pytest.raises(EnvironmentGoneError):
            await task

    rigged(body)


def test_a_closed_connection_alone_waits_for_the_exit_or_the_deadline(rigged):
    async def body(rig):
        await rig.start()
        _, task = await rig.invoke()
        rig.transport.close()
        await settle()
        assert not task.done()
        rig.clock.advance(3)
        assert (await task).outcome is Outcome.TIMEOUT

    rigged(body)


def test_shutdown_while_busy_ends_the_invocation(rigged):
    async def body(rig):
        await rig.start()
        _, task = await rig.invoke()
        await rig.environment.shutdown()
        answer = await task
        assert (answer.outcome, answer.error_type) == (Outcome.EXIT, "Runtime.ExitError")

    rigged(body)


def test_a_cancelled_invocation_ends_the_environment(rigged):
    async def body(rig):
        await rig.start()
        _, task = await rig.invoke()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert rig.process.kills == 1

    rigged(body)


def test_an_exit_while_idle_ends_the_environment(rigged):
    async def body(rig):
        await rig.start()
        rig.process.end(Exit(code=0))
        await settle()
        assert rig.environment.state is EnvironmentState.SHUTDOWN

    rigged(body)


def test_init_that_the_runtime_reports_as_failed(rigged):
    async def body(rig):
        rig.transport.is_ready.set_exception(RuntimeInitError("Runtime.ImportModuleError", b'{"errorType":"x"}'))
        with pytest.raises(InitError) as raised:
            await rig.environment.start()
        assert raised.value.payload_for("r") == b'{"errorType":"x"}'
        assert (raised.value.error_type, raised.value.status) == ("Runtime.ImportModuleError", "error")

    rigged(body)


@pytest.mark.parametrize(("how", "status"), [("exit", "error"), ("time", "timeout")])
def test_init_that_ends_without_a_word(rigged, how, status):
    async def body(rig):
        starting = asyncio.create_task(rig.environment.start())
        await settle()
        if how == "exit":
            rig.process.end(Exit(code=7))
            await settle()
            rig.clock.advance(REPLY_GRACE_S)
        else:
            rig.clock.advance(10)
        with pytest.raises(InitError) as raised:
            await starting
        assert raised.value.status == status
        assert raised.value.phase_ms == pytest.approx(10_000 if how == "time" else 0, abs=30)
        expected = "Task timed out after 3.00 seconds" if how == "time" else "Runtime exited with error: exit status 7"
        assert json.loads(raised.value.payload_for("r"))["errorMessage"] == f"RequestId: r Error: {expected}"

    rigged(body)


@pytest.mark.parametrize(
    ("how", "outcome", "error_type", "message"),
    [
        (Exit(code=0), Outcome.EXIT, "Runtime.ExitError", "Runtime exited without providing a reason"),
        (Exit(code=127), Outcome.EXIT, "Runtime.ExitError", "Runtime exited with error: exit status 127"),
        (Exit(signal=11), Outcome.EXIT, "Runtime.ExitError", "Runtime exited with error: signal: segmentation fault"),
        (Exit(signal=35), Outcome.EXIT, "Runtime.ExitError", "Runtime exited with error: signal: signal 35"),
        (
            Exit(signal=9, oom=True),
            Outcome.OUT_OF_MEMORY,
            "Runtime.OutOfMemory",
            "Runtime exited with error: signal: killed",
        ),
    ],
)
def test_how_aws_calls_the_end_of_a_process(how, outcome, error_type, message):
    assert describe_exit(how) == (outcome, error_type, message)
