"""The jail alone, without door, signature and store: from nothing to the first answer, as a share of a plain process.

Three ways to start Python in the jail: with an environment prepared in advance, as after any pause; without one, as in
a burst; and Node, against plain Node. Run as `python -m bench.cold`, as root.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bench.node import HANDLER, PlainRuntime, ratio, timed_ms

from support.jail import Jail, event, jail

ROUNDS = 15
PAUSE_S = 0.3
"""Long enough for the next environment to be prepared."""
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


def _plain_node() -> None:
    subprocess.run(["node", "-e", "0"], check=True)


async def main() -> None:
    async with jail(has_cpu_quota=False) as inside:
        with tempfile.TemporaryDirectory() as folder:
            plain = PlainRuntime(Path(folder))
            await start_ms(inside, {"app.py": HANDLER})
            await start_ms(inside, {"app.mjs": NODE_HANDLER}, runtime="nodejs20.x")
            print(json.dumps(await python(inside, plain, is_prepared=True)), flush=True)
            print(json.dumps(await python(inside, plain, is_prepared=False)), flush=True)
            print(json.dumps(await node(inside)), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
