"""Shutdown with its deadlines, on a clock moved by hand and a supervisor in memory."""

import asyncio
import json
import signal

import pytest

from cosset.environments.extensions.phases import FAILURE, SPINDOWN, TIMEOUT, ExtensionPhases
from cosset.environments.transport import Exit
from support.clock import ManualClock
from support.written import Lines, spec_for


class MemorySupervisor:
    def __init__(self):
        self.signals = []
        self.runtime = asyncio.get_running_loop().create_future()
        self.ended = None
        self.started = False
        self.closed = False

    def watch(self, ended, failed):
        self.ended = ended

    def start_runtime(self):
        self.started = True

    def signal_runtime(self, number):
        self.signals.append(number)
        if number == signal.SIGKILL and not self.runtime.done():
            self.runtime.set_result(Exit(signal=9))

    async def runtime_ended(self):
        return await asyncio.shield(self.runtime)

    async def connect(self, port):
        raise ConnectionRefusedError

    async def close(self):
        self.closed = True


class Rig:
    def __init__(self, tmp_path, external, **changes):
        self.clock = ManualClock()
        self.supervisor = MemorySupervisor()
        self.lines = Lines()
        self.phases = ExtensionPhases(spec_for(tmp_path, **changes), self.lines, self.clock, self.supervisor, external)
        self.events = []

    def register(self, name, events):
        extension = self.phases.registry.register(name, events)
        self.phases.registry.next(extension, self.take)
        return extension

    def take(self, event):
        self.events.append(json.loads(event))
        return True

    async def after(self, delay_s):
        self.clock.advance(delay_s)
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
def rigged(tmp_path):
    def run(body, external=(), **changes):
        async def main():
            rig = Rig(tmp_path, external, **changes)
            begun = asyncio.create_task(rig.phases.begin())
            await asyncio.sleep(0)
            try:
                await body(rig)
            finally:
                await rig.phases.close()
                begun.cancel()
            assert rig.supervisor.closed

        asyncio.run(asyncio.wait_for(main(), 60))

    return run


async def shutting_down(rig, reason, *, is_runtime_alive=True):
    task = asyncio.create_task(rig.phases.shut_down(reason, is_runtime_alive=is_runtime_alive))
    await rig.after(0)
    return task


def test_without_extensions_nothing_is_waited_for(rigged):
    async def body(rig):
        assert (await shutting_down(rig, SPINDOWN)).done()
        assert rig.supervisor.signals == []

    rigged(body)


def test_a_runtime_with_an_internal_extension_has_half_a_second(rigged):
    async def body(rig):
        rig.register("inside", ["INVOKE"])
        task = await shutting_down(rig, SPINDOWN)
        assert rig.supervisor.signals == [signal.SIGTERM]
        await rig.after(0.49)
        assert not task.done()
        await rig.after(0.02)
        assert task.done()
        assert rig.events == []

    rigged(body)


def test_a_runtime_that_ends_at_once_is_not_waited_for(rigged):
    async def body(rig):
        rig.register("inside", ["INVOKE"])
        task = await shutting_down(rig, SPINDOWN)
        rig.supervisor.runtime.set_result(Exit(code=0))
        await rig.after(0)
        assert task.done()

    rigged(body)


def test_external_extensions_have_what_is_left_of_two_seconds(rigged):
    async def body(rig):
        rig.register("outside", ["INVOKE", "SHUTDOWN"])
        now_ms = rig.clock.now_ms()
        task = await shutting_down(rig, SPINDOWN)
        assert (rig.supervisor.signals, rig.events) == ([signal.SIGTERM], [])
        await rig.after(0.3)
        assert rig.supervisor.signals == [signal.SIGTERM, signal.SIGKILL]
        assert rig.events == [
            {"eventType": "SHUTDOWN", "shutdownReason": "spindown", "deadlineMs": pytest.approx(now_ms + 2000, abs=2)}
        ]
        await rig.after(1.69)
        assert not task.done()
        await rig.after(0.02)
        assert task.done()

    rigged(body, ["outside"])


@pytest.mark.parametrize("reason", [TIMEOUT, FAILURE])
def test_a_reset_kills_the_runtime_and_tells_the_extensions_at_once(rigged, reason):
    async def body(rig):
        rig.register("outside", ["SHUTDOWN"])
        task = await shutting_down(rig, reason)
        assert rig.supervisor.signals == [signal.SIGKILL]
        assert rig.events[0]["shutdownReason"] == reason
        rig.phases.registry.exited("outside", Exit(code=0))
        await rig.after(0)
        assert task.done()

    rigged(body, ["outside"])


def test_an_extension_that_did_not_ask_for_the_shutdown_is_not_waited_for(rigged):
    async def body(rig):
        rig.register("outside", ["INVOKE"])
        task = await shutting_down(rig, FAILURE, is_runtime_alive=False)
        assert task.done()
        assert rig.supervisor.signals == []

    rigged(body, ["outside"])


def test_the_runtime_starts_when_all_have_registered(rigged):
    async def body(rig):
        rig.register("one", [])
        await rig.after(0)
        assert not rig.supervisor.started
        rig.register("other", [])
        await rig.after(0)
        assert rig.supervisor.started

    rigged(body, ["one", "other"])


def test_what_the_log_says_of_each(rigged):
    async def body(rig):
        one = rig.register("one", ["INVOKE"])
        rig.register("other", [])
        rig.phases.registry.exited("other", Exit(code=1))
        one.declared = "My.Reason"
        rig.phases.init_failed("error", "Extension.Crash", 12)
        assert [json.loads(line)["record"] for line in rig.lines.messages] == [
            {"name": "one", "state": "Ready", "events": ["INVOKE"], "errorType": "My.Reason"},
            {"name": "other", "state": "Exited", "events": []},
        ]

    rigged(body, ["one", "other"], log_format="JSON")
