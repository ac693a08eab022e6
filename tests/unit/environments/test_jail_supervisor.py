"""The server's end of the init's socket: what it asks, and what it believes of what comes back."""

import asyncio
import os
import socket
from contextlib import asynccontextmanager

import pytest

from cosset.environments.jail.supervisor import JailSupervisor
from cosset.environments.transport import Exit
from cosset.runtimes.sealing import channel


class Init:
    """The other end, and what the supervisor has heard from it."""

    def __init__(self, theirs, supervisor):
        self.socket = theirs
        self.supervisor = supervisor
        self.ends = []
        self.failures = []

    def tell(self, message, *fds):
        channel.send(self.socket, message, fds)

    async def asked(self):
        return (await asyncio.to_thread(channel.receive, self.socket))[0]


class Process:
    """Hands the init's end to whoever asks for supervision."""

    def __init__(self):
        self.given = None

    def supervise(self, theirs):
        self.given = socket.socket(fileno=theirs)

    async def wait(self):
        return Exit(code=5)


@asynccontextmanager
async def supervised():
    ours, theirs = channel.pair()
    supervisor = JailSupervisor(ours)
    supervisor.attach(Process())
    init = Init(theirs, supervisor)
    with theirs:
        try:
            yield init
        finally:
            await supervisor.close()
            await supervisor.close()


def run(body):
    asyncio.run(asyncio.wait_for(body(), 60))


async def until(condition):
    while not condition():
        await asyncio.sleep(0.001)


def test_what_came_before_anybody_watched_is_told():
    async def body():
        async with supervised() as init:
            init.tell({"extension": "a", "ended": {"code": 3, "signal": None}})
            init.tell({"extension": "b", "refused": "permission denied"})
            await until(lambda: len(init.supervisor._early) == 2)
            init.supervisor.watch(lambda *end: init.ends.append(end), init.failures.append)
            assert init.ends == [("a", Exit(code=3))]
            assert [str(failure) for failure in init.failures] == ["fork/exec /opt/extensions/b: permission denied"]
            init.supervisor.start_runtime()
            init.supervisor.signal_runtime(15)
            assert [await init.asked(), await init.asked()] == [{"do": "start"}, {"do": "signal", "number": 15}]
            init.tell({"runtime": {"code": None, "signal": 11}})
            assert await init.supervisor.runtime_ended() == Exit(signal=11)

    run(body)


def test_a_connection_comes_out_and_must_be_a_stream():
    async def body():
        async with supervised() as init:
            with socket.create_server(("127.0.0.1", 0)) as server:
                wanted = asyncio.create_task(init.supervisor.connect(4243))
                assert await init.asked() == {"do": "connect", "port": 4243}
                with socket.create_connection(server.getsockname()) as made:
                    init.tell({"port": 4243}, made.fileno())
                    with await wanted as connection:
                        assert connection.getpeername() == server.getsockname()
            read_end, write_end = os.pipe()
            datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            local, other = socket.socketpair()
            with datagrams, local, other:
                for fd in (read_end, datagrams.fileno(), local.fileno()):
                    refused = asyncio.create_task(init.supervisor.connect(1))
                    await init.asked()
                    init.tell({"port": 1}, fd)
                    with pytest.raises(ConnectionRefusedError):
                        await refused
            os.close(read_end)
            os.close(write_end)
            refused = asyncio.create_task(init.supervisor.connect(1))
            await init.asked()
            init.tell({"port": 1, "refused": 111})
            with pytest.raises(ConnectionRefusedError):
                await refused

    run(body)


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"runtime": None},
        {"runtime": {"code": "x", "signal": []}},
        {"port": []},
        {"port": 1, "refused": "x"},
        {"extension": {"a": 1}, "ended": 7},
        {"extension": "a", "refused": ["x" * 5000]},
        {"do": "start"},
    ],
)
def test_no_message_harms(message):
    async def body():
        async with supervised() as init:
            init.supervisor.watch(lambda *end: init.ends.append(end), init.failures.append)
            null = os.open("/dev/null", os.O_RDONLY)
            init.tell(message, null, null)
            os.close(null)
            init.tell({"extension": "last", "ended": {"code": 0}})
            await until(lambda: ("last", Exit(code=0)) in init.ends)

    run(body)


def test_an_environment_without_external_extensions_has_its_socket_when_it_is_needed():
    async def body():
        supervisor, process = JailSupervisor(), Process()
        supervisor.attach(process)
        assert process.given is None
        assert await supervisor.runtime_ended() == Exit(code=5)
        supervisor.signal_runtime(15)
        with process.given:
            assert channel.receive(process.given)[0] == {"do": "signal", "number": 15}
            waiting = asyncio.create_task(supervisor.connect(1))
            await asyncio.sleep(0)
            await supervisor.close()
            with pytest.raises(ConnectionAbortedError):
                await waiting
        supervisor.signal_runtime(9)

    run(body)
