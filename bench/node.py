"""A whole node, through its public door: ready, idle memory, a warm invocation; and what other benches call it with.

Floors are measured in the same run, in turn with the figure, so that a noisy machine disturbs both alike. Cold starts
are in starts.py, throughput in warm.py.
"""

import http.client
import json
import statistics
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.floors.plain import EVENT
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cosset.testing.server import CossetServer

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.role import starter_role
from support.zip import make_zip

ROUNDS = 9
WARM_CALLS = 2000
HANDLER = "def handler(event, context):\n    return event\n"


class Caller:
    """One connection to the door, and signing done before the clock starts: the client's own work is not ours."""

    def __init__(self, server: CossetServer) -> None:
        where = urllib.parse.urlsplit(server.endpoint)
        found = server.credentials
        self._host = where.netloc
        self._connection = http.client.HTTPConnection(where.hostname or "", where.port)
        self._signer = SigV4Auth(Credentials(found.access_key_id, found.secret_access_key), "lambda", server.region)

    def signed(self, name: str) -> bytes:
        """The whole request as bytes, for whoever sends them himself."""
        self.prepare(name)
        return self.raw

    def prepare(self, name: str) -> Callable[[], bytes]:
        path = f"/2015-03-31/functions/{name}/invocations"
        request = AWSRequest("POST", f"http://{self._host}{path}", data=EVENT)
        self._signer.add_auth(request)
        headers = dict(request.headers.items())

        self.raw = b"\r\n".join(
            [
                f"POST {path} HTTP/1.1".encode(),
                *(f"{key}: {value}".encode() for key, value in {"Host": self._host, **headers}.items()),
                f"Content-Length: {len(EVENT)}".encode(),
                b"",
                EVENT,
            ]
        )

        def send() -> bytes:
            self._connection.request("POST", path, EVENT, headers)
            answer = self._connection.getresponse()
            body = answer.read()
            if answer.status != 200 or answer.headers.get("X-Amz-Function-Error"):
                raise RuntimeError(f"{answer.status} {body!r}")
            return body

        return send


def timed_ms(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"


def create(server: CossetServer, name: str, source: str | dict[str, str], runtime: str = PYTHON) -> None:
    client = server.client("lambda")
    files = {"index.py": source} if isinstance(source, str) else source
    client.create_function(
        FunctionName=name,
        Runtime=runtime,
        Role=starter_role(server),
        Handler="index.handler",
        MemorySize=1769,
        Timeout=60,
        Code={"ZipFile": make_zip(files)},
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})


def warm(server: CossetServer) -> dict[str, Any]:
    caller = Caller(server)
    create(server, "warm", HANDLER)
    send = caller.prepare("warm")
    for _ in range(100):
        send()
    times = [timed_ms(send) for _ in range(WARM_CALLS)]
    return {
        "figure": "warm, concurrency 1, p50 ms",
        "value": round(statistics.median(times), 3),
        "p99": round(statistics.quantiles(times, n=100)[98], 3),
        "bound": "below 1.5",
    }


def ready(server: CossetServer) -> dict[str, Any]:
    figures, floors = [], []
    for _ in range(ROUNDS):
        server.stop()
        floors.append(timed_ms(lambda: subprocess.run([sys.executable, "-c", "import boto3"], check=True)))
        figures.append(timed_ms(server.start))
    return ratio("ready, of `python -c 'import boto3'`", figures, floors, "at most 3")


def idle_memory(server: CossetServer) -> dict[str, Any]:
    """Proportional set size of every process, after a call to each service."""
    server.restart()
    server.client("lambda").list_functions()
    server.client("iam").list_roles()
    server.client("sts").get_caller_identity()
    server.client("logs").describe_log_groups()
    time.sleep(2)
    pss_kb = 0
    for pid in server.pids():
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                pss_kb += int(line.split()[1])
    return {"figure": "idle memory, MB", "value": round(pss_kb / 1024, 1), "bound": "below 90"}


def ratio(name: str, figures: list[float], floors: list[float], bound: str) -> dict[str, Any]:
    """Pair by pair, the median of the ratios."""
    ratios = [figure / floor for figure, floor in zip(figures, floors, strict=True)]
    return {
        "figure": name,
        "value": round(statistics.median(ratios), 3),
        "range": [round(min(ratios), 3), round(max(ratios), 3)],
        "ms": round(statistics.median(figures), 1),
        "floor_ms": round(statistics.median(floors), 1),
        "bound": bound,
    }


def main() -> None:
    with CossetServer() as server:
        for measure in (ready, idle_memory, warm):
            print(json.dumps(measure(server)), flush=True)


if __name__ == "__main__":
    main()
