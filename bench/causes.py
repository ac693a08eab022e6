"""What recording what caused what costs warm invocations: a server that records against one that does not, in turn.

Both throughput and the CPU that the server spends on an invocation are ratios of pairs: without recording, then with,
then the other way round. The CPU is the steadier of the two on a machine that does other things.
"""

import json
import statistics
import sys
import urllib.parse
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bench.floors.load import generate, oldest_child, process_cpu_s
from bench.node import HANDLER, Caller, create

from cosset.testing.server import CossetServer

CONNECTIONS = 32
ENVIRONMENTS = 8
PAIRS = 8
SECONDS = 1.0


class Side:
    """One of the two servers."""

    def __init__(self, server: CossetServer) -> None:
        create(server, "warm", HANDLER)
        self._request = Caller(server).signed
        self._pid = oldest_child(server.pid)
        self._port = urllib.parse.urlsplit(server.endpoint).port or 0

    def run(self) -> tuple[float, float]:
        """Invocations a second, and microseconds of the server's CPU for each."""
        requests = [self._request("warm")] * CONNECTIONS
        generate("127.0.0.1", self._port, requests, ENVIRONMENTS, 1.0)
        before_s = process_cpu_s(self._pid)
        figure = generate("127.0.0.1", self._port, requests, ENVIRONMENTS, SECONDS, 0)
        cpu_us = (process_cpu_s(self._pid) - before_s) / (figure.a_second * SECONDS) * 1e6
        return figure.a_second, cpu_us


def main() -> None:
    with CossetServer(["--causes-mb", "0", "--events-mb", "0"]) as silent, CossetServer() as recording:
        without, with_it = Side(silent), Side(recording)
        rates, cpus, shown = [], [], []
        for pair in range(PAIRS):
            order = (without, with_it) if pair % 2 else (with_it, without)
            found = {side: side.run() for side in order}
            rates.append(found[with_it][0] / found[without][0])
            cpus.append(found[with_it][1] / found[without][1])
            shown.append(found[with_it])
        for figure, ratios, column, bound in (
            ("warm throughput with recording, of without", rates, 0, "at least 0.97"),
            ("server CPU a warm invocation with recording, times without", cpus, 1, "at most 1.03"),
        ):
            row = {
                "figure": figure,
                "value": round(statistics.median(ratios), 3),
                "range": [round(min(ratios), 3), round(max(ratios), 3)],
                "with": round(statistics.median(each[column] for each in shown), 1),
                "bound": bound,
            }
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
