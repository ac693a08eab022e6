"""The server's end of the launcher, against a launcher in the hands of the test."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from cosset.environments.launcher.client import JailProcess, LauncherClient, Request, SpawnFailedError
from cosset.environments.transport import Exit
from cosset.runtimes.sealing import channel

REQUEST = Request(
    id="e1",
    kind="program",
    code=Path("/data/code/x"),
    memory_mb=128,
    disk_mb=512,
    environment={"A": "b"},
    command=["/var/task/bootstrap"],
)


class Launcher:
    """The other end. `hear` waits for a request without holding up the event loop."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock

    async def hear(self) -> tuple[dict[str, Any], list[int]]:
        received = await asyncio.to_thread(channel.receive, self.socket)
        assert received is not None
        return received

    def say(self, message: dict[str, Any], fds: tuple[int, ...] = ()) -> None:
        channel.send(self.socket, message, fds)

    def started(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            message = {
                "event": "started",
                "id": "e1",
                "pid": os.getpid(),
                "is_runtime": False,
                "pipes": 0,
                "has_peak": False,
                "freezer": 0,
            }
            self.say(message, (listener.fileno(), listener.fileno()))

    def ended(self, **ending: object) -> None:
        self.say(
            {"event": "exit", "id": "e1", "code": None, "signal": None, "oom": False, "peak_bytes": None, **ending}
        )


def run(scenario: Callable[[LauncherClient, Launcher], Awaitable[None]], **callbacks: Callable[[], None]) -> None:
    async def main() -> None:
        ours, theirs = channel.pair()
        client = LauncherClient(ours, **callbacks)
        try:
            await asyncio.wait_for(scenario(client, Launcher(theirs)), 60)
        finally:
            client.close()
            theirs.close()

    asyncio.run(main())


async def spawn(client: LauncherClient, request: Request, fds: list[int]) -> tuple[JailProcess, list[int]]:
    process = client.begin(request, fds)
    return process, await client.started(process)


def pipe() -> tuple[int, list[int]]:
    read, write = os.pipe()
    return read, [write]


def test_an_environment_lives_and_ends() -> None:
    async def scenario(client: LauncherClient, launcher: Launcher) -> None:
        read, inside = pipe()
        spawning = asyncio.ensure_future(spawn(client, REQUEST, inside))
        message, fds = await launcher.hear()
        assert (message["op"], message["code"], message["environment"]) == ("spawn", "/data/code/x", {"A": "b"})
        os.close(fds[0])
        launcher.started()
        process, listeners = await spawning
        assert len(listeners) == 2
        assert os.read(read, 1) == b"", "the descriptors are the launcher's now"
        launcher.ended(code=3, peak_bytes=5 << 20)
        assert await process.wait() == Exit(3, None, False)
        assert process.peak_memory_mb() == 5
        assert not process.is_gone
        killing = asyncio.ensure_future(process.kill())
        assert (await launcher.hear())[0] == {"op": "kill", "id": "e1"}
        launcher.say({"event": "gone", "id": "e1"})
        await killing
        await process.kill()
        for listener in listeners:
            os.close(listener)
        os.close(read)

    run(scenario)


@pytest.mark.parametrize("unavailable", [True, False])
def test_a_failed_start_says_why_and_leaves_nothing(unavailable: bool) -> None:
    async def scenario(client: LauncherClient, launcher: Launcher) -> None:
        read, inside = pipe()
        spawning = asyncio.ensure_future(spawn(client, REQUEST, inside))
        os.close((await launcher.hear())[1][0])
        launcher.say({"event": "failed", "id": "e1", "error": "no room", "unavailable": unavailable})
        launcher.say({"event": "gone", "id": "e1"})
        with pytest.raises(SpawnFailedError, match="no room") as caught:
            await spawning
        assert caught.value.unavailable is unavailable
        os.close(read)

    run(scenario)


def test_a_start_that_nobody_waits_for_is_killed() -> None:
    async def scenario(client: LauncherClient, launcher: Launcher) -> None:
        read, inside = pipe()
        spawning = asyncio.ensure_future(spawn(client, REQUEST, inside))
        os.close((await launcher.hear())[1][0])
        spawning.cancel()
        assert (await launcher.hear())[0]["op"] == "kill"
        launcher.started()
        launcher.ended(signal=9)
        launcher.say({"event": "gone", "id": "e1"})
        with pytest.raises(asyncio.CancelledError):
            await spawning
        os.close(read)

    run(scenario)


def test_when_the_launcher_goes_everything_has_ended() -> None:
    closed: list[bool] = []

    async def scenario(client: LauncherClient, launcher: Launcher) -> None:
        read, inside = pipe()
        spawning = asyncio.ensure_future(spawn(client, REQUEST, inside))
        os.close((await launcher.hear())[1][0])
        launcher.started()
        process, listeners = await spawning
        launcher.socket.close()
        assert await process.wait() == Exit(signal=9)
        await process.kill()
        assert closed == [True]
        other, inside = pipe()
        with pytest.raises(SpawnFailedError, match="gone"):
            await spawn(client, REQUEST, inside)
        for listener in listeners:
            os.close(listener)
        os.close(read)
        os.close(other)

    run(scenario, on_closed=lambda: closed.append(True))


def test_passes_on_a_drain_and_speaks_to_the_owner() -> None:
    drained = asyncio.Event()

    async def scenario(client: LauncherClient, launcher: Launcher) -> None:
        client.tell_owner({"endpoint": "http://127.0.0.1:4566"})
        assert (await launcher.hear())[0] == {"op": "message", "body": {"endpoint": "http://127.0.0.1:4566"}}
        launcher.say({"event": "drain"})
        await drained.wait()

    run(scenario, on_drain=drained.set)


def test_waits_for_a_launcher_that_is_busy() -> None:
    async def scenario(client: LauncherClient, launcher: Launcher) -> None:
        for number in range(300):
            client.tell_owner({"number": number, "padding": "x" * 10_000})
        heard = [(await launcher.hear())[0]["body"]["number"] for _ in range(300)]
        assert heard == list(range(300))

    run(scenario)


def test_a_request_too_long_to_send_fails_alone() -> None:
    async def scenario(client: LauncherClient, launcher: Launcher) -> None:
        read, inside = pipe()
        huge = Request(
            id="e2", kind="program", code=Path("/d/c"), memory_mb=1, disk_mb=1, environment={"A": "x" * 200_000}
        )
        with pytest.raises(SpawnFailedError, match="bytes"):
            await spawn(client, huge, inside)
        assert os.read(read, 1) == b""
        os.close(read)
        client.tell_owner({"still": "here"})
        assert (await launcher.hear())[0]["body"] == {"still": "here"}

    run(scenario)


def test_spares_are_asked_for_once_by_all_who_wait_and_are_none_when_the_launcher_has_gone() -> None:
    async def scenario(client: LauncherClient, launcher: Launcher) -> None:
        asked = [asyncio.ensure_future(client.count_spares()) for _ in range(3)]
        message, _ = await launcher.hear()
        assert message == {"op": "count"}
        launcher.say({"event": "count", "spares": 2})
        assert await asyncio.gather(*asked) == [2, 2, 2]
        waiting = asyncio.ensure_future(client.count_spares())
        await launcher.hear()
        client.close()
        assert (await waiting, await client.count_spares()) == (0, 0)

    run(scenario)
