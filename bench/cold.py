"""The jail alone, without door, signature and store: from nothing to the first answer, as a share of a plain process.

Three ways to start Python in the jail: with an environment prepared in advance, as after any pause; without one; and
Node, against plain Node. Then a hundred at once, several times: by the clock, and by the CPU time of all processes that
have part in it, which other work on the machine disturbs less. Run as `python -m bench.cold`, as root.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bench.floors.plain import PlainRuntime
from bench.node import HANDLER, ratio, timed_ms

from support.jail import Jail, event, jail

ROUNDS = 15
PAUSE_S = 0.3
"""Long enough for the next environment to be prepared."""
BURST = 100
BURST_ROUNDS = 4
BURST_PAUSE_S = 4.0
NODE_HANDLER = "export const handler = async (event) => event;"


async def start_ms(inside: Jail, files: dict[str, str], **changes: Any) -> float:
    """From the request for an environment to its first answer, code that has not run before."""
    spec = inside.spec(files, memory_mb=1769, **changes)
    start = time.perf_counter()
    environment = await inside.tier.start(spec, inside.lines)
    await environment.invoke(event(b'{"hello": "world"}'))
    elapsed_ms = (time.perf_counter() - start) * 1000
    await environment.shutdown()
    return elapsed_ms


async def python(inside: Jail, plain: PlainRuntime, *, is_prepared: bool) -> dict[str, Any]:
    figures, floors = [], []
    for _ in range(ROUNDS):
        floors.append(await asyncio.to_thread(timed_ms, plain.run))
        plain.tidy()
        await asyncio.sleep(PAUSE_S)
        if not is_prepared:  # another takes the one that is there, at the same moment
            spec = inside.spec({"app.py": HANDLER}, memory_mb=1769)
            other = asyncio.ensure_future(inside.tier.start(spec, inside.lines))
            await asyncio.sleep(0)
            figures.append(await start_ms(inside, {"app.py": HANDLER}))
            await (await other).shutdown()
        else:
            figures.append(await start_ms(inside, {"app.py": HANDLER}))
    name = "prepared in advance" if is_prepared else "two at once, the second"
    return ratio(f"jail, Python, {name}, of a plain `python -m awslambdaric`", figures, floors, "")


async def node(inside: Jail) -> dict[str, Any]:
    figures, floors = [], []
    for _ in range(ROUNDS):
        floors.append(await asyncio.to_thread(timed_ms, _plain_node))
        await asyncio.sleep(PAUSE_S)
        figures.append(await start_ms(inside, {"app.mjs": NODE_HANDLER}, runtime="nodejs20.x"))
    return ratio("jail, Node, of a plain `node -e 0`", figures, floors, "")


async def burst(inside: Jail, plain: PlainRuntime) -> list[dict[str, Any]]:
    """So many functions that have not run before. The first burst finds one prepared; the others, what it has left."""
    by_clock, by_cpu = [], []
    for _ in range(BURST_ROUNDS):
        before_s = os.times()
        floor_ms = await asyncio.to_thread(timed_ms, lambda: plain.run(BURST))
        plain.tidy()
        after_s = os.times()
        floor_cpu_ms = sum(after_s[:4]) * 1000 - sum(before_s[:4]) * 1000
        await asyncio.sleep(BURST_PAUSE_S)
        specs = [inside.spec({"app.py": HANDLER}, memory_mb=1769) for _ in range(BURST)]
        used_ms, start = cpu_ms(inside), time.perf_counter()
        environments = await asyncio.gather(*(inside.tier.start(spec, inside.lines) for spec in specs))
        await asyncio.gather(*(environment.invoke(event(b'{"hello": "world"}')) for environment in environments))
        by_clock.append(floor_ms / 1000 / (time.perf_counter() - start))
        by_cpu.append(floor_cpu_ms / (cpu_ms(inside) - used_ms))
        await asyncio.gather(*(environment.shutdown() for environment in environments))
        await asyncio.sleep(BURST_PAUSE_S)
    return [_burst_row("rate", by_clock, "at least 5, through the door"), _burst_row("starts a CPU second", by_cpu, "")]


def _burst_row(what: str, ratios: list[float], bound: str) -> dict[str, Any]:
    return {
        "figure": f"jail, {BURST} at once, {what}, of plain processes",
        "first": round(ratios[0], 2),
        "value": round(statistics.median(ratios[1:]), 2),
        "range": [round(min(ratios[1:]), 2), round(max(ratios[1:]), 2)],
        "bound": bound,
    }


def cpu_ms(inside: Jail) -> float:
    """Of this process, the launcher, and all that it has begun."""
    return sum(map(_cpu_ms, (os.getpid(), *_tree(inside.launcher_pid))))


def _tree(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in _tree(int(child)))]


def _cpu_ms(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6


def _plain_node() -> None:
    subprocess.run(["node", "-e", "0"], check=True)


async def main() -> None:
    async with jail(has_cpu_quota=False) as inside:
        with tempfile.TemporaryDirectory() as folder:
            plain = PlainRuntime(Path(folder), HANDLER)
            await start_ms(inside, {"app.py": HANDLER})
            await start_ms(inside, {"app.mjs": NODE_HANDLER}, runtime="nodejs20.x")
            print(json.dumps(await python(inside, plain, is_prepared=True)), flush=True)
            print(json.dumps(await python(inside, plain, is_prepared=False)), flush=True)
            print(json.dumps(await node(inside)), flush=True)
            for row in await burst(inside, plain):
                print(json.dumps(row), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
