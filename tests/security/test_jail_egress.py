"""The way to the internet: what can be reached, and what not, in networks of the test's own."""

import asyncio
import errno
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cosset.environments.api import Environment
from cosset.environments.launcher import egress, owner, run_folder
from support.internet import HOST, PORT, PUBLIC, SPECIAL, Internet, internet
from support.jail import PATIENCE, Jail, event, jail
from support.visitor import LOOK_UP, VISITOR

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root has network namespaces"),
    pytest.mark.skipif(not all(map(shutil.which, ("nft", "ip"))), reason="missing: nftables and iproute2"),
]


@pytest.fixture(scope="module")
def net() -> Iterator[Internet]:
    with internet() as made:
        yield made


def with_egress(net: Internet, scenario: Callable[[Jail], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        async with jail(**{"egress_to": [], "namespace": net.host, **options}) as inside:
            await scenario(inside)

    asyncio.run(run())


async def ask(environment: Environment, *questions: list[object]) -> list[Any]:
    answer = await environment.invoke(event(json.dumps(questions).encode(), timeout_s=30))
    return json.loads(answer.payload)


def test_what_is_out_of_reach_is_there_for_the_host_itself(net: Internet) -> None:
    """Or else the tests below would show nothing."""
    for address in (PUBLIC, HOST, "127.0.0.1", *SPECIAL):
        script = f"import socket; print(socket.create_connection(('{address}', {PORT}), 3).recv(100).decode())"
        assert net.on_host(sys.executable, "-c", script).strip()


def test_reaches_public_addresses_and_nothing_else(net: Internet) -> None:
    async def scenario(inside: Jail) -> None:
        environment = await inside.start({"app.py": VISITOR}, memory_mb=1769)
        public, host, loopback, own, *special = await ask(
            environment,
            *(["visit", address, PORT] for address in (PUBLIC, HOST, "127.0.0.1")),
            ["own_address"],
            *(["visit", address, PORT] for address in SPECIAL),
        )
        assert public == HOST  # it came as the host
        assert host == errno.EHOSTUNREACH
        assert loopback == errno.ECONNREFUSED  # its own, where nobody listens
        assert special == [errno.EHOSTUNREACH] * len(SPECIAL)
        gateway = own.rpartition(".")[0] + "." + str(int(own.rpartition(".")[2]) - 1)
        assert await ask(environment, ["visit", gateway, PORT]) == [errno.EHOSTUNREACH]

    with_egress(net, scenario)


def test_after_a_reset_the_address_is_the_same_and_reaches_as_before(net: Internet) -> None:
    """With the uid goes the place of its interface. The old one ends with its namespace, which the kernel may do later
    than the next is made: that waits."""
    source = VISITOR + "\nimport os\ninner = handler\n"
    source += "def handler(event, context):\n return inner(event, context) if event else os._exit(1)\n"

    def links() -> set[str]:
        return {each["ifname"] for each in json.loads(net.on_host("ip", "-j", "link", "show"))}

    async def scenario(inside: Jail) -> None:
        environment = await inside.start({"app.py": source}, memory_mb=1769)
        first, before = await ask(environment, ["own_address"]), links()
        await environment.invoke(event(b"[]"))
        patience_s = time.monotonic() + 60 * PATIENCE
        while not (gone := before - links()):
            assert time.monotonic() < patience_s
            await asyncio.sleep(0.01)
        (name,) = gone
        net.on_host("ip", "link", "add", name, "type", "veth", "peer", "name", "other-end")
        spec = replace(environment.spec, id="heir", predecessor=environment.spec.id)
        starting = asyncio.ensure_future(inside.tier.start(spec, inside.lines))
        await asyncio.sleep(0.2)
        assert not starting.done()
        net.on_host("ip", "link", "delete", name)
        environment = await starting
        assert await ask(environment, ["own_address"], ["visit", PUBLIC, PORT]) == [*first, HOST]
        await environment.shutdown()

    with_egress(net, scenario)


def test_has_no_ip_version_6(net: Internet) -> None:
    async def scenario(inside: Jail) -> None:
        environment = await inside.start({"app.py": VISITOR}, memory_mb=1769)
        await ask(environment, ["pause", 2.5])  # until its own address of version 6 may be used
        links = json.loads(net.on_host("ip", "-6", "-j", "address", "show", "scope", "link"))
        others = [each["addr_info"][0]["local"] for each in links if each.get("ifname", "").startswith("cosset")]
        assert others
        visits = [["visit", f"{address}%eth0", PORT] for address in others[-1:]]
        assert await ask(environment, *visits) in ([errno.ETIMEDOUT], ["TimeoutError"])
        assert await ask(environment, ["visit", "2001:db8::7", PORT]) == [errno.ENETUNREACH]

    with_egress(net, scenario)


def test_reaches_private_networks_that_the_owner_names(net: Internet) -> None:
    async def scenario(inside: Jail) -> None:
        environment = await inside.start({"app.py": VISITOR}, memory_mb=1769)
        visits = [["visit", address, PORT] for address in ("10.0.0.5", "192.168.1.5")]
        assert await ask(environment, *visits) == [HOST, errno.EHOSTUNREACH]

    with_egress(net, scenario, egress_to=["10.0.0.0/24"])


def test_no_environment_reaches_another_nor_does_anyone_outside(net: Internet) -> None:
    async def scenario(inside: Jail) -> None:
        one = await inside.start({"app.py": VISITOR}, memory_mb=1769)
        other = await inside.start({"app.py": VISITOR}, memory_mb=1769)
        (address,) = await ask(one, ["own_address"])
        listening = asyncio.ensure_future(ask(one, ["listen", 9000, 2]))
        await asyncio.sleep(0.3)
        assert await ask(other, ["visit", address, 9000]) == [errno.EHOSTUNREACH]
        script = f"import socket\ntry: socket.create_connection(('{address}', 9000), 1)\nexcept OSError: print('no')"
        net.outside_of_host("ip", "route", "replace", "198.18.0.0/15", "via", HOST)
        assert await asyncio.to_thread(net.outside_of_host, sys.executable, "-c", script) == "no\n"
        assert await listening == [None]

    with_egress(net, scenario)


def test_names_are_answered_by_the_hosts_resolver(net: Internet) -> None:
    source = VISITOR + LOOK_UP

    async def scenario() -> None:
        answering = NameServer()
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: answering, local_addr=("127.0.0.1", 0)
        )
        port = transport.get_extra_info("sockname")[1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
            nobody.bind(("127.0.0.1", 0))
            deaf = nobody.getsockname()[1]
        options = {"nameservers": lambda: [("127.0.0.1", deaf), ("127.0.0.1", port)]}
        async with jail(egress_to=[], namespace=net.host, **options) as inside:
            environment = await inside.start({"app.py": source}, memory_mb=1769)
            found = await ask(environment, ["look_up", "shop.example"], ["visit", "shop.example", PORT])
            assert found == [[PUBLIC], HOST]
        transport.close()
        assert answering.asked == {b"\x04shop\x07example"}

    asyncio.run(scenario())


def test_an_answer_too_long_for_udp_comes_by_tcp(net: Internet) -> None:
    """libc asks again by TCP when it is told that an answer was cut off."""
    addresses = [f"203.0.113.{number}" for number in range(1, 201)]

    async def by_tcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        query = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        end = query.index(b"\0", 12) + 5
        answer = query[:2] + b"\x81\x80" + struct.pack(">HHHH", 1, len(addresses), 0, 0) + query[12:end]
        for address in addresses:
            answer += b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(address)
        writer.write(len(answer).to_bytes(2, "big") + answer)
        await writer.drain()
        writer.close()

    async def scenario() -> None:
        server = await asyncio.start_server(by_tcp, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(CutOff, local_addr=address)
        async with jail(egress_to=[], namespace=net.host, nameservers=lambda: [address]) as inside:
            environment = await inside.start({"app.py": VISITOR + LOOK_UP}, memory_mb=1769)
            (found,) = await ask(environment, ["look_up", "many.example"])
            assert found == sorted(addresses)
        transport.close()
        server.close()

    asyncio.run(scenario())


class CutOff(asyncio.DatagramProtocol):
    """Answers every question with a word that the answer is too long."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        head = data[:2] + b"\x83\x80" + struct.pack(">HHHH", 1, 0, 0, 0)
        self._transport.sendto(head + data[12 : data.index(b"\0", 12) + 5], addr)  # type: ignore[attr-defined]


class NameServer(asyncio.DatagramProtocol):
    """Knows one address for every name, and none of version 6."""

    def __init__(self) -> None:
        self.asked: set[bytes] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        end = data.index(b"\0", 12)
        self.asked.add(data[12:end])
        is_a = data[end + 1 : end + 3] == b"\0\1"
        head = data[:2] + b"\x81\x80" + struct.pack(">HHHH", 1, int(is_a), 0, 0)
        record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(PUBLIC)
        self._transport.sendto(head + data[12 : end + 5] + (record if is_a else b""), addr)  # type: ignore[attr-defined]


def test_there_is_no_way_out_without_the_setting(net: Internet) -> None:
    async def scenario(inside: Jail) -> None:
        environment = await inside.start({"app.py": VISITOR})
        assert await ask(environment, ["visit", PUBLIC, PORT]) == [errno.ENETUNREACH]

    with_egress(net, scenario, egress_to=None)


def test_a_function_may_go_without(net: Internet) -> None:
    """Its variables can only take: what is neither `on` nor `off` is `off`, and said so."""

    async def scenario(inside: Jail) -> None:
        visits = [["visit", PUBLIC, PORT], ["look_up", "shop.example"]]
        source = VISITOR + LOOK_UP
        for value in ("off", "OFF", "yes"):
            environment = await inside.start({"app.py": source}, variables={"COSSET_EGRESS": value})
            assert await ask(environment, *visits) == [errno.ENETUNREACH, None]
        assert len([line for line in inside.lines.events if "COSSET_EGRESS is neither" in line]) == 2
        environment = await inside.start({"app.py": source}, variables={"COSSET_EGRESS": "on"})
        assert await ask(environment, visits[0]) == [HOST]

    with_egress(net, scenario)


def test_a_function_gets_no_more_than_the_host_gives(net: Internet) -> None:
    async def scenario(inside: Jail) -> None:
        for has_egress in (True, False):  # also where only the launcher knows that there is none
            inside.tier._has_egress = has_egress
            environment = await inside.start({"app.py": VISITOR}, variables={"COSSET_EGRESS": "on"})
            assert await ask(environment, ["visit", PUBLIC, PORT]) == [errno.ENETUNREACH]

    with_egress(net, scenario, egress_to=None)


def test_node_has_it_too(net: Internet) -> None:
    source = "const net = require('net');\nexports.handler = (event) => new Promise((resolve) => {\n"
    source += "  const s = net.connect(event.port, event.host, () => {});\n"
    source += "  s.on('data', (d) => resolve(String(d))); s.on('error', (e) => resolve(e.code)); });"

    async def scenario(inside: Jail) -> None:
        environment = await inside.start({"app.js": source}, runtime="nodejs22.x", memory_mb=1769)
        for host, expected in ((PUBLIC, HOST), ("10.0.0.5", "EHOSTUNREACH")):
            answer = await environment.invoke(event(json.dumps({"host": host, "port": PORT}).encode()))
            assert json.loads(answer.payload) == expected

    with_egress(net, scenario)


def traces(net: Internet) -> list[str]:
    """What is left of us on the host."""
    tables = [line for line in net.on_host("nft", "list", "tables").splitlines() if "cosset" in line]
    return tables + [line for line in net.on_host("ip", "-o", "link").splitlines() if "cosset" in line]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_nothing_of_it_is_left_after_a_stop(net: Internet) -> None:
    async def scenario(inside: Jail) -> None:
        await inside.start({"app.py": VISITOR})
        assert len(traces(net)) >= 2

    with_egress(net, scenario)
    wait_for(lambda: traces(net) == [])


def test_what_a_killed_owner_left_is_cleared_away_by_the_next(net: Internet, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    script = """
import asyncio, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from support.jail import jail
async def main():
    async with jail(Path(sys.argv[1]), egress_to=[], namespace=Path(sys.argv[3])) as inside:
        await inside.start({"app.py": "def handler(event, context): pass"})
        print(inside.launcher_pid, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""
    command = [sys.executable, "-c", script, str(tmp_path), str(Path(__file__).parents[1]), str(net.host)]
    killed = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert killed.stdout is not None
        os.kill(int(killed.stdout.readline()), signal.SIGKILL)
    finally:
        killed.kill()
        killed.communicate()
    # Interfaces go with their environments; the rules wait for the next launcher.
    wait_for(lambda: traces(net) == [f"table inet {egress.table_name(run_folder.key_of(tmp_path))}"])

    async def scenario(inside: Jail) -> None:
        await inside.run("def handler(event, context): pass")

    with_egress(net, scenario, data=tmp_path, egress_to=None)
    assert traces(net) == []


def test_refuses_where_the_host_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(allowed: list[str]) -> None:
        owner.run(tmp_path / "data", lambda control: 0, print, egress_to=allowed)

    forwarding = tmp_path / "ip_forward"
    monkeypatch.setattr(egress, "_FORWARDING", forwarding)
    forwarding.write_text("0\n")
    with pytest.raises(owner.OwnerError, match=r"sysctl -w net\.ipv4\.ip_forward=1"):
        start([])
    forwarding.write_text("1\n")
    with pytest.raises(owner.OwnerError, match=r"egress-allow: 10\.0\.0\.1/8 has host bits set"):
        start(["10.0.0.1/8"])
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(owner.OwnerError, match="package nftables"):
        start([])
    assert not (tmp_path / "data").exists()


def test_the_command_says_what_is_missing(net: Internet, tmp_path: Path) -> None:
    """Out there nothing is forwarded."""
    cosset = str(Path(sys.executable).parent / "cosset")
    command = [cosset, "up", "--egress", "--no-profile", "--port", "0", "--data", str(tmp_path / "data")]
    ended = subprocess.run(["nsenter", f"--net={net.outside}", *command], capture_output=True, text=True, timeout=60)
    sentence = "Error: egress needs forwarding: sysctl -w net.ipv4.ip_forward=1. Or start without --egress.\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", sentence)
    looked = subprocess.run(
        ["nsenter", f"--net={net.outside}", cosset, "doctor", "--egress", "--json"], capture_output=True, text=True
    )
    (found,) = [each for each in json.loads(looked.stdout) if each["name"] == "egress"]
    assert (looked.returncode, found["level"]) == (1, "missing")
