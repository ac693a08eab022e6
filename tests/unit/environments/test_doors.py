"""The ports inside environments, watched until somebody comes: sockets of this process stand in for theirs."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable

import pytest

from cosset.environments.jail.doors import Doors
from support.patience import PATIENCE_S


def run(scenario: Callable[[Doors], Awaitable[None]]) -> None:
    async def main() -> None:
        doors = Doors()
        try:
            await asyncio.wait_for(scenario(doors), PATIENCE_S)
        finally:
            doors.close()

    asyncio.run(main())


def listeners(count: int) -> tuple[list[int], list[int]]:
    """Their descriptors, which are the caller's, and their ports."""
    made = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in made]
    return [each.detach() for each in made], ports


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


async def come(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    await writer.wait_closed()


def test_whoever_comes_first_opens_all_doors_of_its_environment_once_and_no_others() -> None:
    async def scenario(doors: Doors) -> None:
        opened: list[str] = []
        is_opened = asyncio.Event()

        def open_first() -> None:
            opened.append("first")
            is_opened.set()

        first, ports = listeners(3)
        second, _ = listeners(2)
        let_go = doors.watch(first, open_first)
        doors.watch(second, lambda: opened.append("second"))
        await asyncio.gather(*(come(port) for port in ports))
        await is_opened.wait()
        await come(ports[0])
        await asyncio.sleep(0)
        assert opened == ["first"]
        let_go()
        assert all(map(is_open, first)), "they are the callee's now"
        for fd in first:
            os.close(fd)

    run(scenario)


def test_what_is_let_go_is_closed_and_its_numbers_may_come_again() -> None:
    async def scenario(doors: Doors) -> None:
        is_opened = asyncio.Event()
        before, _ = listeners(2)
        let_go = doors.watch(before, lambda: pytest.fail("nobody came"))
        let_go()
        assert not any(map(is_open, before))
        after, ports = listeners(2)
        doors.watch(after, is_opened.set)
        let_go()
        assert all(map(is_open, after)), "whatever numbers they have"
        await come(ports[1])
        await is_opened.wait()
        for fd in after:
            os.close(fd)

    run(scenario)


def test_what_is_still_watched_is_closed_at_the_end() -> None:
    watched: list[int] = []

    async def scenario(doors: Doors) -> None:
        watched.extend(listeners(2)[0])
        doors.watch(watched, lambda: pytest.fail("nobody came"))

    run(scenario)
    assert not any(map(is_open, watched))


def test_when_the_kernel_watches_no_more_nothing_is_watched_and_all_is_the_callers() -> None:
    async def scenario(doors: Doors) -> None:
        fds, _ = listeners(1)
        never = os.memfd_create("file")  # no file can be watched
        with pytest.raises(PermissionError):
            doors.watch([*fds, never], lambda: pytest.fail("nobody came"))
        assert is_open(fds[0])
        os.close(fds[0])
        os.close(never)

    run(scenario)
