"""Names for environments: what is forwarded, what comes back, and what bounds it. On loopback."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from cosset.environments.jail import dns
from cosset.environments.jail.dns import DnsForwarder, host_nameservers


class Resolver(asyncio.DatagramProtocol):
    """Keeps what it is asked, and answers by `answer`."""

    def __init__(self, answer: Callable[[bytes], list[bytes]]) -> None:
        self.asked: list[bytes] = []
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked.append(data)
        for answer in self._answer(data):
            self._transport.sendto(answer, addr)  # type: ignore[attr-defined]


def forwarded(
    answer: Callable[[bytes], list[bytes]], scenario: Callable[[socket.socket, Resolver, DnsForwarder], Awaitable[None]]
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        resolver = Resolver(answer)
        transport, _ = await loop.create_datagram_endpoint(lambda: resolver, local_addr=("127.0.0.1", 0))
        inside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        inside.bind(("127.0.0.1", 0))
        asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        asking.connect(inside.getsockname())
        asking.setblocking(False)
        forwarder = DnsForwarder(inside, lambda: [transport.get_extra_info("sockname")])
        with asking:
            await scenario(asking, resolver, forwarder)
        forwarder.close()
        forwarder.close()
        transport.close()

    asyncio.run(main())


async def received(asking: socket.socket) -> bytes:
    return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(asking, 4096), 10)


def test_an_answer_comes_back_by_the_number_it_was_asked_under() -> None:
    async def scenario(asking: socket.socket, resolver: Resolver, forwarder: DnsForwarder) -> None:
        for number in (b"\0\1", b"\0\2", b"\0\3"):
            asking.send(number + b"question....")
            assert await received(asking) == number + b"question....!"
        assert len({query[:2] for query in resolver.asked} - {b"\0\1", b"\0\2", b"\0\3"}) > 0  # not the function's own

    forwarded(lambda query: [query + b"!"], scenario)


def test_an_answer_to_something_else_is_no_answer() -> None:
    def forged(query: bytes) -> list[bytes]:
        other = bytes([query[0] ^ 1]) + query[1:]
        return [other + b"forged", b"", b"short", query + b"right"]

    async def scenario(asking: socket.socket, resolver: Resolver, forwarder: DnsForwarder) -> None:
        asking.send(b"\0\1question....")
        assert await received(asking) == b"\0\1question....right"

    forwarded(forged, scenario)


def test_queries_are_bounded_in_size_and_in_number() -> None:
    async def scenario(asking: socket.socket, resolver: Resolver, forwarder: DnsForwarder) -> None:
        for size in (0, 11, 1233, 4000):
            asking.send(b"x" * size)
        for _ in range(10 * dns.MAX_PENDING):
            asking.send(b"\0\1question....")
            await asyncio.sleep(0)
        for _ in range(200):
            await asyncio.sleep(0)
        assert len(resolver.asked) == dns.MAX_PENDING

    forwarded(lambda query: [], scenario)


def test_the_hosts_resolvers_are_read_as_libc_reads_them(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("# mine\nsearch example\nnameserver 192.0.2.1\nnameserver 2001:db8::1\nnameserver\noptions x\n")
    assert host_nameservers(file) == [("192.0.2.1", 53), ("2001:db8::1", 53)]
    file.write_text("")
    assert host_nameservers(file) == host_nameservers(tmp_path / "none") == [("127.0.0.1", 53)]
