"""The same function in other things that run Lambda functions here without Docker, beside ours and the same floor.

They come from PyPI, each into a virtual environment of its own below COSSET_PEERS (default: a temporary folder, which
makes this slow): AWS's Runtime Interface Emulator from the aws-sam-cli wheel, and ministack. They are run, not read.
What one of them does not do in this run is left out, with its reason.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bench.floors.plain import EVENT, PlainRuntime
from bench.node import HANDLER, Caller, create, ratio, timed_ms

from cosset.testing.server import CossetServer
from support.zip import make_zip

COLD_ROUNDS = 15
WARM_ROUNDS = 15
WARM_CALLS = 30
READY_S = 60.0


def install(package: str, below: Path) -> Path:
    """Its virtual environment, made when it is not there."""
    place = below / package
    if not (place / "bin/python").exists():
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    if not list(place.glob(f"lib/python*/site-packages/{package.replace('-', '_')}-*.dist-info")):
        subprocess.run([str(place / "bin/pip"), "install", "--quiet", package], check=True)
    return place


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    until_s = time.monotonic() + READY_S
    while time.monotonic() < until_s:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.005)
    raise TimeoutError(f"nobody listens on {port}")


class Emulator:
    """AWS's Runtime Interface Emulator: one process a function, no isolation, no signature, one event at a time. Cold
    is its own start and the runtime's."""

    def __init__(self, place: Path, folder: Path) -> None:
        (self._program,) = place.glob(f"lib/python*/site-packages/samcli/local/rapid/aws-lambda-rie-{_machine()}")
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def cold(self) -> None:
        self.close()
        self._port = free_port()
        command = [str(self._program), "--runtime-interface-emulator-address", f"127.0.0.1:{self._port}"]
        command += ["--runtime-api-address", f"127.0.0.1:{free_port()}"]
        command += [sys.executable, "-m", "awslambdaric", "index.handler"]
        environ = os.environ | {"PYTHONPATH": str(self._folder)}
        self._process = subprocess.Popen(
            command, cwd=self._folder, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(self._port)
        self.warm()

    def warm(self) -> None:
        url = f"http://127.0.0.1:{self._port}/2015-03-31/functions/function/invocations"
        with urllib.request.urlopen(url, data=EVENT, timeout=30) as answer:
            assert answer.read() == EVENT

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Ministack:
    """Its functions are made and called by stock boto3, without a signature being checked."""

    def __init__(self, place: Path, folder: Path) -> None:
        import boto3
        from botocore.config import Config

        port = free_port()
        environ = os.environ | {"GATEWAY_PORT": str(port), "HOME": str(folder), "TMPDIR": str(folder)}
        self._process = subprocess.Popen(
            [str(place / "bin/ministack")],
            cwd=folder,
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(port)
        except TimeoutError:
            self.close()
            raise
        self._client = boto3.client(
            "lambda",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"max_attempts": 0}, read_timeout=30),
        )
        self._count = 0

    def make(self) -> None:
        self._count += 1
        self._client.create_function(
            FunctionName=f"f{self._count}",
            Runtime=f"python{sys.version_info.major}.{sys.version_info.minor}",
            Role="arn:aws:iam::000000000000:role/r",
            Handler="index.handler",
            MemorySize=1769,
            Code={"ZipFile": make_zip({"index.py": f"{HANDLER}# {self._count}\n"})},
        )

    def call(self) -> None:
        answer = self._client.invoke(FunctionName=f"f{self._count}", Payload=EVENT)
        body = answer["Payload"].read()
        if json.loads(body) != json.loads(EVENT):
            raise RuntimeError(f"it answered {body[:200]!r}")

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _machine() -> str:
    return {"x86_64": "x86_64", "aarch64": "arm64"}[os.uname().machine]


def cold(name: str, start: Callable[[], None], make: Callable[[], None], plain: PlainRuntime) -> dict[str, Any]:
    figures, floors = [], []
    for _ in range(COLD_ROUNDS):
        make()
        floors.append(timed_ms(plain.run))
        plain.tidy()
        time.sleep(0.4)
        figures.append(timed_ms(start))
    return ratio(f"cold, {name}", figures, floors, "")


def warm(calls: dict[str, Callable[[], object]]) -> list[dict[str, Any]]:
    """All in turn: a round each, the order as it is given."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        for _ in range(20):
            call()
    for _ in range(WARM_ROUNDS):
        for name, call in calls.items():
            times[name].append(statistics.median(timed_ms(call) for _ in range(WARM_CALLS)))
    return [
        {"figure": f"warm p50, {name}, ms", "value": round(statistics.median(each), 2)} for name, each in times.items()
    ]


def main() -> None:
    with tempfile.TemporaryDirectory() as name, CossetServer() as server:
        folder = Path(name)
        below = Path(os.environ.get("COSSET_PEERS") or folder / "peers")
        (folder / "plain").mkdir()
        plain = PlainRuntime(folder / "plain", HANDLER)
        caller = Caller(server)
        for number in range(COLD_ROUNDS + 1):
            create(server, f"cold-{number}", f"{HANDLER}# {number}\n")
        caller.prepare(f"cold-{COLD_ROUNDS}")()
        numbers = iter(range(COLD_ROUNDS))
        rows = [cold("Cosset", lambda: caller.prepare(f"cold-{next(numbers)}")(), lambda: None, plain)]
        calls: dict[str, Callable[[], object]] = {"Cosset": caller.prepare("cold-0")}
        made: list[Emulator | Ministack] = []
        try:
            emulator = Emulator(install("aws-sam-cli", below), folder / "plain")
            made.append(emulator)
            rows.append(cold("AWS Runtime Interface Emulator", emulator.cold, lambda: None, plain))
            calls["AWS Runtime Interface Emulator"] = emulator.warm
            stack = Ministack(install("ministack", below), folder)
            made.append(stack)
            rows.append(cold("ministack", stack.call, stack.make, plain))
            calls["ministack"] = stack.call
        except Exception as error:  # noqa: BLE001 - a peer that cannot be had is said, and the others stand
            rows.append(
                {"figure": "a peer that is missing", "value": None, "missing": f"{type(error).__name__}: {error}"}
            )
        try:
            for row in (*rows, *warm(calls)):
                print(json.dumps(row), flush=True)
        finally:
            for each in made:
                each.close()


if __name__ == "__main__":
    main()
