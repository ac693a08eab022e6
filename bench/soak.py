"""Half load for half an hour: does anything grow? Memory, descriptors, processes, groups, mounts, disk.

`make soak`, or `python -m bench.soak MINUTES`. Half of what the node answered at full load in the first seconds is sent
on end: warm calls, and every second a new version of a function, which is a cold start and the end of an environment.
Says for each figure how it began (after a tenth of the time) and how it ended, and what of it is growth.
"""

import json
import os
import random
import statistics
import sys
import threading
import time
import urllib.parse
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bench.floors.load import generate
from bench.node import HANDLER, Caller, create

from cosset.environments.launcher import run_folder
from cosset.testing.server import CossetServer
from support.zip import make_zip

MINUTES = 30.0
SAMPLE_S = 5.0
WARM_FUNCTIONS = 4
SETTLING = 0.1
TOLERATED = 0.05
"""Growth between the first and the last quarter of what was sampled that is noise."""


class Sampler:
    """Everything that a node and its launcher hold."""

    def __init__(self, server: CossetServer) -> None:
        self._server = server
        self.rows: list[dict[str, float]] = []

    def take(self) -> None:
        pids = self._server.pids()
        node = oldest(pids, self._server.pid)
        self.rows.append(
            {
                "memory of node and launcher, MB": sum(rss_mb(pid) for pid in (self._server.pid, node)),
                "descriptors": sum(fds(pid) for pid in (self._server.pid, node)),
                "processes": len(pids),
                "control groups": len(groups(self._server.data)),
                "mounts": len(Path(f"/proc/{self._server.pid}/mounts").read_text().splitlines()),
                "loop devices": loop_devices(self._server.data),
                "disk without logs and causes, MB": disk_mb(self._server.data, but={"logs", "causes"}),
            }
        )


def groups(data: Path) -> list[Path]:
    """Of environments, in every hierarchy."""
    name = run_folder.group_name(run_folder.key_of(data))
    above = Path("/sys/fs/cgroup")
    return [group for pattern in (f"{name}/*/", f"*/{name}/*/") for group in above.glob(pattern)]


def loop_devices(data: Path) -> int:
    found = 0
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            found += backing.read_text().startswith(str(data))
        except OSError:
            continue
    return found


def oldest(pids: list[int], launcher: int) -> int:
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    return min((int(child) for child in children if int(child) in pids), key=started)


def started(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def rss_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def fds(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def disk_mb(data: Path, but: set[str]) -> float:
    found = 0
    for folder, names, files in os.walk(data):
        names[:] = [name for name in names if name not in but]
        for file in files:
            try:
                found += os.lstat(os.path.join(folder, file)).st_blocks * 512
            except FileNotFoundError:
                continue
    return found / (1 << 20)


def half_load(server: CossetServer, stop: threading.Event) -> int:
    """Sends until it is stopped; how many were answered."""
    port = urllib.parse.urlsplit(server.endpoint).port or 0
    full = generate("127.0.0.1", port, _requests(server), 4, 3.0).a_second
    sends = [Caller(server).prepare(f"warm-{number}") for number in range(WARM_FUNCTIONS)]
    pause_s, count, signed_s = 2 / full, 0, time.monotonic()
    while not stop.is_set():
        if time.monotonic() - signed_s > 60:  # a signature does not hold for ever
            sends = [Caller(server).prepare(f"warm-{number}") for number in range(WARM_FUNCTIONS)]
            signed_s = time.monotonic()
        start = time.perf_counter()
        random.choice(sends)()
        count += 1
        time.sleep(max(0.0, pause_s - (time.perf_counter() - start)))
    return count


def _requests(server: CossetServer) -> list[bytes]:
    return [Caller(server).signed(f"warm-{number}") for number in range(WARM_FUNCTIONS)]


def changes(server: CossetServer, stop: threading.Event) -> None:
    """A new version of the function, and its first call, every second; two kinds of code: the disk holds both."""
    client = server.client("lambda")
    packages = [make_zip({"index.py": f"{HANDLER}# {number}\n"}) for number in range(2)]
    turn = 0
    while not stop.wait(1.0):
        turn += 1
        client.update_function_code(FunctionName="changed", ZipFile=packages[turn % 2])
        client.get_waiter("function_updated_v2").wait(FunctionName="changed", WaiterConfig={"Delay": 1})
        client.invoke(FunctionName="changed", Payload=b"{}")["Payload"].read()


def verdict(rows: list[dict[str, float]]) -> list[dict[str, Any]]:
    settled = rows[int(len(rows) * SETTLING) :]
    quarter = max(1, len(settled) // 4)
    found = []
    for name in settled[0]:
        first = statistics.median(row[name] for row in settled[:quarter])
        last = statistics.median(row[name] for row in settled[-quarter:])
        grows = last > first * (1 + TOLERATED) + 1
        found.append({"figure": name, "first quarter": round(first, 1), "last quarter": round(last, 1), "grows": grows})
    return found


def main(minutes: float) -> int:
    with CossetServer(["--idle-timeout-s", "30"]) as server:
        for number in range(WARM_FUNCTIONS):
            create(server, f"warm-{number}", HANDLER)
        create(server, "changed", HANDLER)
        stop, sampler = threading.Event(), Sampler(server)
        counts: list[int] = []
        threads = [
            threading.Thread(target=lambda: counts.append(half_load(server, stop))),
            threading.Thread(target=changes, args=(server, stop)),
        ]
        for thread in threads:
            thread.start()
        until_s = time.monotonic() + minutes * 60
        while time.monotonic() < until_s and all(thread.is_alive() for thread in threads):
            time.sleep(SAMPLE_S)
            sampler.take()
        ended_early = time.monotonic() < until_s
        stop.set()
        for thread in threads:
            thread.join(60)
        rows = verdict(sampler.rows)
        for row in rows:
            print(json.dumps(row), flush=True)
        print(json.dumps({"minutes": minutes, "warm calls": sum(counts), "ended early": ended_early}), flush=True)
        return int(ended_early or any(row["grows"] for row in rows))


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES))
