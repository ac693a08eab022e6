"""Warm invocations: throughput through the door, what the server spends on each, and the tier against none.

The floor is a server that answers the same bytes without looking at the request, with the same load generator: 32
connections, 8 requests under way at once, so 8 environments. Signature and logs are on. Run in turn, floor and figure,
several times: the ratios are of pairs.
"""

import json
import statistics
import sys
import urllib.parse
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bench.floors.load import FixedServer, generate, oldest_child, process_cpu_s
from bench.node import HANDLER, Caller, create

from cosset.testing.server import CossetServer

CONNECTIONS = 32
ENVIRONMENTS = 8
ROUNDS = 7
SECONDS = 2.0


def throughput(server: CossetServer) -> list[dict[str, Any]]:
    create(server, "warm", HANDLER)
    node_pid = oldest_child(server.pid)
    port = urllib.parse.urlsplit(server.endpoint).port or 0
    rates, cpus, rows = [], [], []
    with FixedServer() as fixed:
        for _ in range(ROUNDS):
            request = Caller(server).signed("warm")
            before_s = fixed.cpu_s()
            floor = generate("127.0.0.1", fixed.port, [request] * CONNECTIONS, ENVIRONMENTS, SECONDS, 0)
            floor_us = (fixed.cpu_s() - before_s) / (floor.a_second * SECONDS) * 1e6
            generate("127.0.0.1", port, [request] * CONNECTIONS, ENVIRONMENTS, 0.3)  # all eight are there
            before_s = process_cpu_s(node_pid)
            figure = generate("127.0.0.1", port, [request] * CONNECTIONS, ENVIRONMENTS, SECONDS, 0)
            figure_us = (process_cpu_s(node_pid) - before_s) / (figure.a_second * SECONDS) * 1e6
            rates.append(figure.a_second / floor.a_second)
            cpus.append(figure_us / floor_us)
            rows.append((floor, floor_us, figure, figure_us))
    return [
        {
            "figure": "warm throughput, 8 environments, 32 connections, of a fixed answer",
            "value": round(statistics.median(rates), 3),
            "range": [round(min(rates), 3), round(max(rates), 3)],
            "a_second": round(statistics.median(row[2].a_second for row in rows)),
            "floor_a_second": round(statistics.median(row[0].a_second for row in rows)),
            "bound": "at least 0.25",
        },
        {
            "figure": "server CPU a warm invocation, times a fixed answer's",
            "value": round(statistics.median(cpus), 2),
            "range": [round(min(cpus), 2), round(max(cpus), 2)],
            "us": round(statistics.median(row[3] for row in rows), 1),
            "floor_us": round(statistics.median(row[1] for row in rows), 1),
            "bound": "at most 4",
        },
    ]


def main() -> None:
    with CossetServer() as server:
        for row in throughput(server):
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
