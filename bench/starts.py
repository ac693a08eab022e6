"""Cold starts through the public door, each as a share of a plain process that does the same.

Cold is an environment that did not exist, for code that has not run on this host; signature included, at 1,769 MB.
Nothing is made in advance of a function but the function. Kinds in shuffled order, figure and floor in turn.
"""

import json
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
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


def burst(server: CossetServer, folder: Path) -> dict[str, Any]:
    """Functions that nobody has called yet, all at once, one connection each."""
    plain = PlainRuntime(folder, HANDLER)
    rates, floors = [], []
    for turn in range(BURST_ROUNDS):
        names = [f"burst-{turn}-{number}" for number in range(BURST)]
        for name in names:
            create(server, name, f"{HANDLER}# {name}\n")
        floors.append(BURST / timed_ms(lambda: plain.run(BURST)) * 1000)
        plain.tidy()
        time.sleep(2)
        sends = [Caller(server).prepare(name) for name in names]
        rates.append(BURST / timed_ms(lambda sends=sends: _at_once(sends)) * 1000)
        time.sleep(5)
    ratios = [rate / floor for rate, floor in zip(rates, floors, strict=True)]
    return {
        "figure": f"{BURST} new environments at once, rate of plain processes",
        "value": round(statistics.median(ratios), 2),
        "range": [round(min(ratios), 2), round(max(ratios), 2)],
        "a_second": round(statistics.median(rates)),
        "floor_a_second": round(statistics.median(floors)),
        "bound": "at least 5",
    }


def _at_once(sends: list[Callable[[], bytes]]) -> None:
    threads = [threading.Thread(target=send) for send in sends]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, CossetServer() as server:
        place = Path(folder)
        place.chmod(0o755)
        for row in starts(server, place):
            print(json.dumps(row), flush=True)
        (place / "burst").mkdir()
        print(json.dumps(burst(server, place / "burst")), flush=True)


if __name__ == "__main__":
    main()
