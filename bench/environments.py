"""What environments cost while they serve and while they wait: the HTTP Runtime API against an ideal server, the jail
against no isolation, the memory of those that are prepared.

One environment, warm. Root, for the jail.
"""

import asyncio
import json
import shutil
import statistics
import sys
import sysconfig
import tempfile
import time
import urllib.parse
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bench.floors.load import generate
from bench.floors.runtime_api import IdealRuntimeApi, NoCompilerError
from bench.node import HANDLER, Caller, create, ratio

from cosset.testing.server import CossetServer
from support.jail import Jail, event, jail

ROUNDS = 5
SECONDS = 2.0
CONNECTIONS = 8
WARM_ROUNDS = 30
WARM_CALLS = 50
POOL = 8
PACKAGES = ("awslambdaric", "simplejson", "snapshot_restore_py.py")
BOOTSTRAP = "#!/bin/sh\nexport PYTHONPATH=/var/task\nexec {python} -m awslambdaric index.handler\n"


def http_runtime_api(folder: Path) -> dict[str, Any]:
    """AWS's own client for Python over HTTP, as the bootstrap of a function on provided.al2023."""
    ideal = IdealRuntimeApi(folder)
    python = "/usr/bin/python3"
    site, task = Path(sysconfig.get_paths()["purelib"]), folder / "task"
    task.mkdir()
    (task / "index.py").write_text(HANDLER)
    for name in PACKAGES:
        source = site / name
        if source.is_dir():
            shutil.copytree(source, task / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, task)
    for extension in site.glob("runtime_client*.so"):
        shutil.copy(extension, task)
    ratios, rates, floors = [], [], []
    with CossetServer() as server:
        deploy(server, "over-http", task, BOOTSTRAP.format(python=python))
        request = Caller(server).signed("over-http")
        port = urllib.parse.urlsplit(server.endpoint).port or 0
        for _ in range(ROUNDS):
            command = [python, "-m", "awslambdaric", "index.handler"]
            floors.append(ideal.rate(command, {"PYTHONPATH": str(task), "PATH": "/usr/bin"}, SECONDS))
            rates.append(generate("127.0.0.1", port, [request] * CONNECTIONS, 1, SECONDS).a_second)
            ratios.append(rates[-1] / floors[-1])
    return {
        "figure": "warm over the HTTP Runtime API, one environment, through the door, of an ideal Runtime API server",
        "value": round(statistics.median(ratios), 3),
        "range": [round(min(ratios), 3), round(max(ratios), 3)],
        "a_second": round(statistics.median(rates)),
        "floor_a_second": round(statistics.median(floors)),
        "bound": "at least 0.5",
    }


def deploy(server: CossetServer, name: str, task: Path, bootstrap: str) -> None:
    """A folder and a bootstrap as a function of the provided runtime."""
    import io
    import zipfile

    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for path in task.rglob("*"):
            archive.write(path, path.relative_to(task))
        info = zipfile.ZipInfo("bootstrap")
        info.external_attr = 0o755 << 16
        archive.writestr(info, bootstrap)
    from support.role import starter_role

    client = server.client("lambda")
    client.create_function(
        FunctionName=name,
        Runtime="provided.al2023",
        Role=starter_role(server),
        Handler="index.handler",
        MemorySize=1769,
        Code={"ZipFile": data.getvalue()},
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})


def jail_against_none() -> dict[str, Any]:
    """Warm p50 through the door, in turn."""
    figures, floors = [], []
    with CossetServer() as sealed, CossetServer(["--tier", "process"]) as open_:
        sends = []
        for server in (sealed, open_):
            create(server, "warm", HANDLER)
            send = Caller(server).prepare("warm")
            for _ in range(200):
                send()
            sends.append(send)
        for _ in range(WARM_ROUNDS):
            for send, into in zip(sends, (figures, floors), strict=True):
                times = []
                for _ in range(WARM_CALLS):
                    start = time.perf_counter()
                    send()
                    times.append((time.perf_counter() - start) * 1000)
                into.append(statistics.median(times))
    return ratio("warm p50, jail, of the tier that isolates nothing", figures, floors, "at most 1.05")


async def prepared_memory(inside: Jail) -> dict[str, Any]:
    """Private dirty memory of an environment that waits for nobody yet, its init included, in a pool of eight."""
    environments = await asyncio.gather(*(inside.start({"app.py": f"{HANDLER}# {n}"}) for n in range(POOL)))
    for environment in environments:
        await environment.invoke(event())
        await environment.shutdown()
    dirty_mb: list[float] = []
    for _ in range(100):
        await asyncio.sleep(0.1)
        dirty_mb = [dirty / 1024 for spawner in children(inside.launcher_pid) for dirty in waiting_kb(spawner)]
        if len(dirty_mb) >= POOL:
            break
    return {
        "figure": f"prepared Python environment, private dirty memory, pool of {len(dirty_mb)}, MB",
        "value": round(statistics.median(dirty_mb), 2),
        "range": [round(min(dirty_mb), 2), round(max(dirty_mb), 2)],
        "bound": "at most 3",
    }


def waiting_kb(spawner: int) -> list[int]:
    """Of each: an init that is no interpreter has its runtime beside it, any other below."""
    waiting = children(spawner)
    bare = [pid for pid in waiting if Path(f"/proc/{pid}/comm").read_text() == "init\n"]
    if bare:
        return [
            dirty_kb(init) + dirty_kb(runtime) for init, runtime in zip(bare, set(waiting) - set(bare), strict=False)
        ]
    return [sum(dirty_kb(pid) for pid in (init, *children(init))) for init in waiting]


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def dirty_kb(pid: int) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_Dirty:"))


async def memory() -> dict[str, Any]:
    async with jail(has_cpu_quota=False) as inside:
        return await prepared_memory(inside)


def main() -> None:
    print(json.dumps(asyncio.run(memory())), flush=True)
    print(json.dumps(jail_against_none()), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        try:
            print(json.dumps(http_runtime_api(Path(folder))), flush=True)
        except NoCompilerError as error:
            print(json.dumps({"figure": "warm over the HTTP Runtime API", "value": None, "missing": str(error)}))


if __name__ == "__main__":
    main()
