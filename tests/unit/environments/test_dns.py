"""Names for environments: what is answered, what is forwarded, what comes back, and what bounds it. On loopback."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cosset.environments.jail import dns, names
from cosset.environments.jail.dns import NameServer, host_nameservers


def query_of(number: int, name: str, kind: int = names.A) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label)
    return struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", kind, 1)


SHOP = query_of(1, "shop.example")


class Resolver(asyncio.DatagramProtocol):
    """Keeps what it is asked, and answers by `answer`; by TCP too, on the same port."""

    def __init__(self, answer: Callable[[bytes], list[bytes]]) -> None:
        self.asked: list[bytes] = []
        self.asked_by_tcp: list[bytes] = []
        self.answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked.append(data)
        for answer in self.answer(data):
            self._transport.sendto(answer, addr)  # type: ignore[attr-defined]

    async def on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        self.asked_by_tcp.append(data)
        for answer in self.answer(data):
            writer.write(len(answer).to_bytes(2, "big") + answer)
        writer.close()


@dataclass
class Inside:
    """What an environment has: a socket that asks by UDP, and where to ask by TCP."""

    udp: socket.socket
    tcp: tuple[str, int]
    resolver: Resolver
    served: NameServer

    async def ask(self, query: bytes) -> bytes:
        self.udp.send(query)
        return await self.received()

    async def received(self) -> bytes:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.udp, 65535), 60)

    async def ask_by_tcp(self, *queries: bytes) -> list[bytes]:
        reader, writer = await asyncio.open_connection(*self.tcp)
        found = []
        for query in queries:
            writer.write(len(query).to_bytes(2, "big") + query)
            found.append(await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big")))
        writer.close()
        return found


def with_names(
    scenario: Callable[[Inside], Awaitable[None]],
    answer: Callable[[bytes], list[bytes]] = lambda query: [query + b"!"],
    *,
    has_egress: bool = True,
    has_local_aws: bool = True,
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        resolver = Resolver(answer)
        server = await asyncio.start_server(resolver.on_connection, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        transport, _ = await loop.create_datagram_endpoint(lambda: resolver, local_addr=address)
        inside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        inside.bind(("127.0.0.1", 0))
        listener = socket.create_server(("127.0.0.1", 0))
        nameservers = [address] if has_egress else []
        served = NameServer(inside, listener, lambda: nameservers, has_local_aws=has_local_aws)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.connect(inside.getsockname())
            asking.setblocking(False)
            await scenario(Inside(asking, listener.getsockname(), resolver, served))
        served.close()
        served.close()
        transport.close()
        server.close()

    asyncio.run(main())


def read(answer: bytes) -> tuple[int, list[str]]:
    """Its code and its addresses."""
    _, flags, _, answers, *_ = struct.unpack_from(">6H", answer)
    assert flags & 0x8000
    records = answer[len(answer) - 16 * answers :]
    return flags & 15, [socket.inet_ntoa(records[16 * each + 12 : 16 * each + 16]) for each in range(answers)]


def test_an_answer_comes_back_by_the_number_it_was_asked_under() -> None:
    async def scenario(inside: Inside) -> None:
        for number in (1, 2, 3):
            query = query_of(number, "shop.example")
            assert await inside.ask(query) == query + b"!"
        assert len({query[:2] for query in inside.resolver.asked} - {b"\0\1", b"\0\2", b"\0\3"}) > 0  # not its own

    with_names(scenario)


def test_an_answer_to_something_else_is_no_answer() -> None:
    def forged(query: bytes) -> list[bytes]:
        other = bytes([query[0] ^ 1]) + query[1:]
        return [other + b"forged", b"", b"short", query + b"right"]

    async def scenario(inside: Inside) -> None:
        assert await inside.ask(SHOP) == SHOP + b"right"

    with_names(scenario, forged)


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("sts.us-east-1.amazonaws.com", names.A, (0, ["127.0.0.1"])),
        ("Bucket.S3.AmazonAWS.com", names.A, (0, ["127.0.0.1"])),
        ("s3.cn-north-1.amazonaws.com.cn", names.A, (0, ["127.0.0.1"])),
        ("lambda.us-east-1.api.aws", names.A, (0, ["127.0.0.1"])),
        ("id.lambda-url.us-east-1.localhost", names.A, (0, ["127.0.0.1"])),
        ("sts.amazonaws.com", names.AAAA, (0, [])),
        ("sts.amazonaws.com", 65, (0, [])),
        ("shop.example", names.AAAA, (0, [])),
    ],
)
def test_answers_without_asking_anyone(name: str, kind: int, expected: tuple[int, list[str]]) -> None:
    async def scenario(inside: Inside) -> None:
        query = query_of(7, name, kind)
        for answer in (await inside.ask(query), *await inside.ask_by_tcp(query, query)):
            assert answer[:2] == b"\0\7"
            assert read(answer) == expected
        assert inside.resolver.asked == inside.resolver.asked_by_tcp == []

    with_names(scenario)


def test_only_awss_own_names_are_taken() -> None:
    async def scenario(inside: Inside) -> None:
        for name in ("notamazonaws.com", "amazonaws.com.example", "aws", "xapi.aws", "localhost.example"):
            query = query_of(1, name)
            assert await inside.ask(query) == query + b"!"

    with_names(scenario)


def test_a_function_that_wants_the_real_ones_gets_them_from_outside() -> None:
    async def scenario(inside: Inside) -> None:
        query = query_of(1, "sts.amazonaws.com")
        assert await inside.ask(query) == query + b"!"
        assert read(await inside.ask(query_of(1, "a.localhost"))) == (0, ["127.0.0.1"])

    with_names(scenario, has_local_aws=False)


def test_without_a_way_out_no_question_gets_out_either() -> None:
    async def scenario(inside: Inside) -> None:
        for kind in (names.A, names.AAAA, 16):
            query = query_of(1, "secret.of.mine.example", kind)
            for answer in (await inside.ask(query), *await inside.ask_by_tcp(query)):
                assert read(answer) == (names.REFUSED, [])
        assert inside.resolver.asked == inside.resolver.asked_by_tcp == []

    with_names(scenario, has_egress=False)


def test_a_long_answer_comes_whole_by_tcp_and_by_udp_where_it_fits() -> None:
    async def scenario(inside: Inside) -> None:
        assert await inside.ask_by_tcp(SHOP, query_of(2, "shop.example")) == [
            SHOP + b"x" * 60_000,
            query_of(2, "shop.example") + b"x" * 60_000,
        ]
        assert len(inside.resolver.asked_by_tcp) == 2
        assert await inside.ask(SHOP) == SHOP + b"x" * 60_000

    with_names(scenario, lambda query: [query + b"x" * 60_000])


def test_what_is_no_question_is_answered_as_such_or_not_at_all() -> None:
    async def scenario(inside: Inside) -> None:
        two_questions = SHOP[:4] + b"\0\2" + SHOP[6:]
        pointer = SHOP[:12] + b"\xc0\x0c" + SHOP[14:]
        for broken in (SHOP[:12], SHOP[:-1], two_questions, pointer, SHOP[:12] + b"\x3f" * 400):
            assert read(await inside.ask(broken)) == (names.FORMAT_ERROR, [])
        is_answer = SHOP[:2] + b"\x81" + SHOP[3:]
        inside.udp.send(is_answer)
        assert await inside.ask(SHOP) == SHOP + b"!"
        assert len(inside.resolver.asked) == 1

    with_names(scenario)


def test_queries_are_bounded_in_size_and_in_number() -> None:
    async def scenario(inside: Inside) -> None:
        for size in (0, 11, 1233, 4000):
            inside.udp.send(b"\0" * size)
        for _ in range(10 * dns.MAX_PENDING):
            inside.udp.send(SHOP)
            await asyncio.sleep(0)
        for _ in range(200):
            await asyncio.sleep(0)
        assert len(inside.resolver.asked) == dns.MAX_PENDING

    with_names(scenario, lambda query: [])


def test_connections_are_bounded_in_number_and_in_what_they_may_say() -> None:
    async def scenario(inside: Inside) -> None:
        idle = [await asyncio.open_connection(*inside.tcp) for _ in range(dns.MAX_STREAMS)]
        for reader, writer in idle[1:]:
            writer.write(len(SHOP).to_bytes(2, "big") + SHOP)  # so that it is known to have been taken
            await reader.readexactly(2)
        reader, _ = idle[0]
        refused, its_writer = await asyncio.open_connection(*inside.tcp)
        for _ in range(1000):
            its_writer.write(b"\0")
            if refused.at_eof() or its_writer.is_closing():
                break
            await asyncio.sleep(0.01)
        else:
            pytest.fail("one more than there may be")
        idle[0][1].write((60_000).to_bytes(2, "big"))
        assert await asyncio.wait_for(reader.read(), 60) == b""
        for _, writer in idle:
            writer.close()
        its_writer.close()

    with_names(scenario)


def test_the_hosts_resolvers_are_read_as_libc_reads_them(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("# mine\nsearch example\nnameserver 192.0.2.1\nnameserver 2001:db8::1\nnameserver\noptions x\n")
    assert host_nameservers(file) == [("192.0.2.1", 53), ("2001:db8::1", 53)]
    file.write_text("")
    assert host_nameservers(file) == host_nameservers(tmp_path / "none") == [("127.0.0.1", 53)]
