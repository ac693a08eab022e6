"""Cold starts through the public door, each as a share of a plain process that does the same.

Cold is an environment that did not exist, for code that has not run on this host; signature included, at 1,769 MB.
Nothing is made in advance of a function but the function. Kinds in shuffled order, figure and floor in turn.
"""

import contextlib
import json
import os
import random
import select
import signal
import socket
import statistics
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bench.floors.plain import PlainRuntime
from bench.node import HANDLER, Caller, create, ratio, timed_ms

from cosset.testing.server import CossetServer

ROUNDS = 30
PAUSE_S = 0.4
"""Long enough for the next environment to be prepared."""
BURST = 100
BURST_ROUNDS = 3
SDK_HANDLER = "import boto3\n" + HANDLER
NODE_HANDLER = "export const handler = async (event) => event;\n"


@dataclass
class Kind:
    """One sort of cold start. `before`: what is done right before the start, outside of its time."""

    name: str
    bound: str
    files: Callable[[int], dict[str, str]]
    runtime: str
    plain: PlainRuntime
    before: Callable[[], None] = lambda: None
    figures: list[float] = field(default_factory=list)
    floors: list[float] = field(default_factory=list)

    def function(self, number: int) -> str:
        return f"{''.join(filter(str.isalpha, self.name))}-{number}"[-60:]


def kinds(server: CossetServer, folder: Path) -> list[Kind]:
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    places = [folder / str(number) for number in range(3)]
    for place in places:
        place.mkdir()
    hello, sdk = PlainRuntime(places[0], HANDLER), PlainRuntime(places[1], SDK_HANDLER)
    node = PlainRuntime.node(places[2], NODE_HANDLER)

    def python_files(source: str) -> Callable[[int], dict[str, str]]:
        return lambda number: {"index.py": f"{source}# {number}\n"}

    return [
        Kind("cold Python", "at most 0.20, aim 0.12", python_files(HANDLER), python, hello),
        Kind(
            "cold Python, nothing prepared",
            "at most 0.35",
            python_files(HANDLER + "# unprepared\n"),
            python,
            hello,
            lambda: end_spares(server.pid),
        ),
        Kind("cold Python that imports boto3", "at most 0.15", python_files(SDK_HANDLER), python, sdk),
        Kind("cold Node", "at most 0.5", lambda n: {"index.mjs": f"{NODE_HANDLER}// {n}\n"}, "nodejs20.x", node),
    ]


def end_spares(launcher: int) -> None:
    """Kills the environments that nobody has asked for yet: those whose init is still root's."""
    for spawner in _children(launcher):
        for init in _children(spawner):
            place = Path(f"/proc/{init}")
            if place.stat().st_uid == 0 and "zygote" in Path(f"/proc/{spawner}/cmdline").read_text():
                os.kill(init, signal.SIGKILL)
    time.sleep(0.02)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def starts(server: CossetServer, folder: Path) -> list[dict[str, Any]]:
    measured = kinds(server, folder)
    for kind in measured:
        for number in range(-2, ROUNDS):
            create(server, kind.function(number), kind.files(number), kind.runtime)
    caller = Caller(server)
    for kind in measured:  # what a node does once in its life is no cold start: an interpreter's own, the SDK's
        for number in (-2, -1):
            caller.prepare(kind.function(number))()
            time.sleep(2)
    order = [(kind, number) for kind in measured for number in range(ROUNDS)]
    random.shuffle(order)
    for kind, number in order:
        kind.floors.append(timed_ms(kind.plain.run))
        kind.plain.tidy()
        time.sleep(PAUSE_S)
        send = caller.prepare(kind.function(number))
        kind.before()
        kind.figures.append(timed_ms(send))
    return [ratio(kind.name, kind.figures, kind.floors, kind.bound) for kind in measured]


def burst(server: CossetServer, folder: Path) -> list[dict[str, Any]]:
    """Functions that nobody has called yet, all at once, one connection each. The first burst of a node's life finds
    one environment prepared; those that follow within five minutes, what it has left."""
    plain = PlainRuntime(folder, HANDLER)
    where = urllib.parse.urlsplit(server.endpoint)
    address = where.hostname or "", where.port or 0
    by_clock, by_cpu, rates, floors = [], [], [], []
    for turn in range(BURST_ROUNDS):
        names = [f"burst-{turn}-{number}" for number in range(BURST)]
        for name in names:
            create(server, name, f"{HANDLER}# {name}\n")
        used_s = sum(os.times()[:4])
        floors.append(BURST / timed_ms(lambda: plain.run(BURST)) * 1000)
        plain.tidy()
        floor_cpu_ms = (sum(os.times()[:4]) - used_s) * 1000
        time.sleep(2)
        caller = Caller(server)
        requests = [caller.signed(name) for name in names]
        used_ms = cpu_ms(server.pid)  # of each process: some may end meanwhile
        rates.append(BURST / timed_ms(lambda requests=requests: _at_once(address, requests)) * 1000)
        by_clock.append(rates[-1] / floors[-1])
        spent_ms = sum(ms - used_ms.get(pid, 0) for pid, ms in cpu_ms(server.pid).items())
        by_cpu.append(floor_cpu_ms / spent_ms)
        time.sleep(5)
    clock = {"a_second": round(statistics.median(rates)), "floor_a_second": round(statistics.median(floors))}
    return [_burst_row("rate", by_clock, "at least 5") | clock, _burst_row("starts a CPU second", by_cpu, "")]


def _burst_row(what: str, ratios: list[float], bound: str) -> dict[str, Any]:
    return {
        "figure": f"{BURST} new environments at once, {what}, of plain processes",
        "value": round(statistics.median(ratios), 2),
        "range": [round(min(ratios), 2), round(max(ratios), 2)],
        "first": round(ratios[0], 2),
        "bound": bound,
    }


def cpu_ms(pid: int) -> dict[int, float]:
    """By process: of this one, and of all that it has begun and that still run."""
    found = {pid: 0.0}
    with contextlib.suppress(OSError):  # it has just ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            found[pid] += int(task.joinpath("schedstat").read_text().split()[0]) / 1e6
    for child in _children(pid):
        found |= cpu_ms(child)
    return found


def _at_once(address: tuple[str, int], requests: list[bytes]) -> None:
    """Each on a connection of its own. The client is one thread: it is to take as little from the others as it can."""
    watch, waiting = select.epoll(), {}
    with contextlib.ExitStack() as stack:
        stack.callback(watch.close)
        for request in requests:
            connection = stack.enter_context(socket.create_connection(address))
            connection.sendall(request)
            watch.register(connection, select.EPOLLIN)
            waiting[connection.fileno()] = connection, b""
        while waiting:
            for descriptor, _ in watch.poll(120):
                connection, before = waiting[descriptor]
                received = before + connection.recv(65536)
                if received == before:
                    raise RuntimeError(f"the connection ended after {received!r}")
                waiting[descriptor] = connection, received
                if _is_whole(received):
                    del waiting[descriptor]


def _is_whole(answer: bytes) -> bool:
    """Raises: RuntimeError, when it is not the function's."""
    head, separator, body = answer.partition(b"\r\n\r\n")
    if not separator:
        return False
    status, *fields = head.lower().split(b"\r\n")
    headers = dict(field.split(b": ", 1) for field in fields)
    if b" 200" not in status or b"x-amz-function-error" in headers:
        raise RuntimeError(answer)
    return len(body) >= int(headers[b"content-length"])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, CossetServer() as server:
        place = Path(folder)
        place.chmod(0o755)
        for row in starts(server, place):
            print(json.dumps(row), flush=True)
        (place / "burst").mkdir()
        for row in burst(server, place / "burst"):
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
