"""What recording what caused what costs a warm invocation: nodes that record against nodes that do not.

Four measures, from the steadiest to the one that the bound is about:

- the CPU of recording by itself: an invocation is put down, packed and written, a second's worth at a time, the best of
  many rounds; as a share of what the node without recording spends on an invocation (its lower quartile, below);

- the Python calls that a node makes for an invocation, counted by `sys.setprofile`: no clock, so no noise but that of
  timers, which is told apart by counting twice;
- the CPU that a node spends on an invocation (user and system, of all its threads, in nanoseconds by the scheduler), in
  many short slices, with and without in turn, the order changing. The figure is the ratio of the two lower quartiles:
  other load only ever adds to a slice. Its interval holds the true one in 95 of 100 runs (bootstrap over servers, then
  over their slices: two processes of the same program differ by a per cent or two from where their memory happens to
  lie);
- throughput, from the same slices.
"""

import asyncio
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import httptools
import uvloop

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bench.floors.load import oldest_child
from bench.floors.plain import EVENT
from bench.node import HANDLER, Caller, create

from cosset.clock import SystemClock
from cosset.observe.cause_buffer import CauseBuffer
from cosset.observe.causes import Ran
from cosset.store.journal import Journal, JournalBounds
from cosset.testing.server import CossetServer

COUNTING = Path(__file__).parent / "floors/counting"
SILENT = ("--causes-mb", "0", "--events-mb", "0")
IN_FLIGHT = 8
SERVERS = 4
PAIRS = 50
CALLS = 80
COUNTED_CALLS = 400
RESAMPLES = 1_000
ALONE_CALLS = 1_000
ALONE_ROUNDS = 40
RAN_WITH = (
    "111111111111",
    "us-east-1",
    "arn:aws:lambda:us-east-1:111111111111:function:warm",
    "$LATEST",
    "arn:aws:iam::111111111111:user/administrator",
    (),
    1_764_000_000_000,
    1.25,
    "",
    "Root=1-69255d80-bd862e3fe1be46a994272793;Parent=0123456789abcdef;Sampled=0;Lineage=abcdef01:1",
    "warm",
    None,
    None,
    EVENT,
)
CPU, RATE = 0, 1
Pair = tuple[dict[str, float], dict[str, float]]


class Client(asyncio.Protocol):
    """One connection: sends its request `left` times, one after another."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._parser: Any = None
        self.left = 0
        self.done: asyncio.Future[None] | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._parser = httptools.HttpResponseParser(self)

    def begin(self, count: int) -> asyncio.Future[None]:
        self.left, self.done = count, asyncio.get_running_loop().create_future()
        self.transport.write(self._request)
        return self.done

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() != 200:
            raise RuntimeError(f"the answer was {self._parser.get_status_code()}")
        self.left -= 1
        if self.left:
            self.transport.write(self._request)
        elif self.done is not None:
            self.done.set_result(None)


class Side:
    """One server, with its connections open."""

    def __init__(self, server: CossetServer) -> None:
        create(server, "warm", HANDLER)
        self._request = Caller(server).signed("warm")
        self.pid = oldest_child(server.pid)
        self._port = urllib.parse.urlsplit(server.endpoint).port or 0
        self._clients: list[Client] = []

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(IN_FLIGHT):
            _, client = await loop.create_connection(lambda: Client(self._request), "127.0.0.1", self._port)
            self._clients.append(client)
        await self.call(400)  # all environments are there

    async def call(self, count: int) -> None:
        await asyncio.gather(*(client.begin(count // IN_FLIGHT) for client in self._clients))

    async def slice(self) -> tuple[float, float]:
        """Microseconds of the node's CPU for an invocation, and invocations a second."""
        before_ns, began_s = cpu_ns(self.pid), time.perf_counter()
        await self.call(CALLS)
        elapsed_s = time.perf_counter() - began_s
        return (cpu_ns(self.pid) - before_ns) / CALLS / 1000, CALLS / elapsed_s

    def close(self) -> None:
        for client in self._clients:
            client.transport.abort()


def cpu_ns(pid: int) -> int:
    """Of all threads. One that ends takes its share away: a node's do not end while it is measured."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total


async def paired() -> list[Pair]:
    """Of a fresh server without recording and one with it: what each pair of slices was."""
    with CossetServer(SILENT) as silent, CossetServer() as recording:
        sides = {"without": Side(silent), "with": Side(recording)}
        for side in sides.values():
            await side.open()
        found = []
        for pair in range(PAIRS):
            cpus, rates = {}, {}
            for name in sorted(sides, reverse=bool(pair % 2)):
                cpus[name], rates[name] = await sides[name].slice()
            found.append((cpus, rates))
        for side in sides.values():
            side.close()
        return found


def interval(groups: Sequence[Sequence[Pair]], column: int, noise: random.Random) -> tuple[float, float, float]:
    """The ratio over all, and where it lies in 95 of 100 resamplings: of the servers, then of the pairs of each."""
    found = []
    for _ in range(RESAMPLES):
        chosen = noise.choices(groups, k=len(groups))
        found.append(statistics.median(ratio(noise.choices(group, k=len(group)), column) for group in chosen))
    found.sort()
    whole = statistics.median(ratio(group, column) for group in groups)
    return whole, found[RESAMPLES // 40], found[-RESAMPLES // 40]


def ratio(pairs: Sequence[Pair], column: int) -> float:
    """With recording to without, of the quartile that other load disturbed least: low in CPU, high in throughput."""
    at = len(pairs) // 4 if column == CPU else len(pairs) * 3 // 4
    with_it, without = (sorted(pair[column][name] for pair in pairs)[at] for name in ("with", "without"))
    return with_it / without


async def counted(*flags: str) -> list[float]:
    """Python calls of a node for an invocation, counted twice."""
    path = Path(tempfile.gettempdir()) / f"cosset-counts-{os.getpid()}.json"
    folders = os.pathsep.join([str(COUNTING), os.environ.get("PYTHONPATH", "")])
    environ = {"PYTHONPATH": folders.rstrip(os.pathsep), "BENCH_COUNTS": str(path)}
    try:
        with CossetServer(flags, environ=environ) as server:
            side = Side(server)
            await side.open()
            found = []
            for _ in range(2):
                os.kill(side.pid, signal.SIGUSR1)
                await asyncio.sleep(0.2)
                await side.call(COUNTED_CALLS)
                os.kill(side.pid, signal.SIGUSR2)
                found.append(_read(path) / COUNTED_CALLS)
            side.close()
            return found
    finally:
        path.unlink(missing_ok=True)


def _read(path: Path) -> int:
    while not path.exists():
        time.sleep(0.05)
    calls = int(json.loads(path.read_text())["calls"])
    path.unlink()
    return calls


def alone_us(folder: Path) -> float:
    """CPU of one invocation's record by itself, of all threads: put down, packed, written and synced."""

    async def rounds() -> float:
        clock = SystemClock()
        steps, events = (Journal(folder / name, JournalBounds(2**26, 10**6), clock) for name in ("steps", "events"))
        buffer = CauseBuffer(steps, events, clock)
        ids = [str(uuid4()) for _ in range(ALONE_CALLS)]
        best = float("inf")
        for _ in range(ALONE_ROUNDS):
            before_s = time.process_time()
            for request_id in ids:
                buffer.ran(Ran(request_id, *RAN_WITH))
            await buffer.flush()
            best = min(best, time.process_time() - before_s)
        steps.close()
        events.close()
        return best / ALONE_CALLS * 1e6

    return asyncio.run(rounds())


def show(figure: str, bound: str, found: tuple[float, float, float], **more: float) -> None:
    row = {"figure": figure, "value": round(found[0], 4), "interval": [round(each, 4) for each in found[1:]]}
    print(json.dumps(row | {name: round(value, 1) for name, value in more.items()} | {"bound": bound}), flush=True)


def main() -> None:
    without, with_it = uvloop.run(counted(*SILENT)), uvloop.run(counted())
    lowest, highest = min(with_it) / max(without), max(with_it) / min(without)
    middle = statistics.mean(with_it) / statistics.mean(without)
    calls = {"with": statistics.mean(with_it), "without": statistics.mean(without)}
    show("Python calls a warm invocation with recording, times without", "", (middle, lowest, highest), **calls)
    with tempfile.TemporaryDirectory() as folder:
        own_us = alone_us(Path(folder))
    groups = [uvloop.run(paired()) for _ in range(SERVERS)]
    noise = random.Random(7)
    quartiles = sorted(sorted(pair[CPU]["without"] for pair in group)[len(group) // 4] for group in groups)
    share = own_us / statistics.median(quartiles), own_us / quartiles[-1], own_us / quartiles[0]
    bound = "at most 0.03"
    show("CPU of recording by itself, of a warm invocation's", bound, share, us=own_us, of=statistics.median(quartiles))
    for figure, bound, column in (
        ("server CPU a warm invocation with recording, times without", "at most 1.03", CPU),
        ("warm throughput with recording, of without", "at least 0.97", RATE),
    ):
        shown = {
            name: statistics.median(pair[column][name] for group in groups for pair in group)
            for name in ("with", "without")
        }
        show(figure, bound, interval(groups, column, noise), **shown)


if __name__ == "__main__":
    main()
