"""What each family of runtimes needs of the kernel goes through the seal, and AWS's own names lead to Cosset by TLS.

One function a family that uses threads, memory mapping, other processes, epoll, names and certificates, each in the way
of its language. What the seal refuses: tests/security.
"""

from collections.abc import Callable

import pytest

from support.deployed import Deployed
from support.host import tier
from support.programs import Programs

pytestmark = pytest.mark.skipif(tier() != "jail", reason="missing: the jail, whose seal this is about")

NAME = "sts.us-east-1.amazonaws.com"
REFUSED = 403
"""What Cosset's STS answers to a call without a signature: whoever gets it has been through."""

PYTHON = """
import http.client, mmap, multiprocessing, os, selectors, socket, ssl, subprocess, tempfile, threading
def handler(event, context):
    seen = []
    threads = [threading.Thread(target=seen.append, args=(1,)) for _ in range(64)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    with tempfile.TemporaryFile() as file:
        file.truncate(4096)
        with mmap.mmap(file.fileno(), 4096) as memory: memory[:6] = b"mapped"
        file.seek(0)
        mapped = file.read(6).decode()
    selectors.EpollSelector().close()
    pipe, end = multiprocessing.Pipe()
    forked = multiprocessing.get_context("fork").Process(target=end.send, args=("forked",))
    forked.start()
    heard = pipe.recv()
    forked.join()
    child = subprocess.run(["/bin/echo", "child"], stdout=subprocess.PIPE, text=True).stdout.strip()
    api = http.client.HTTPSConnection(event["name"], context=ssl.create_default_context())
    api.request("GET", "/?Action=GetCallerIdentity&Version=2011-06-15")
    print("printed by Python")
    return {"threads": len(seen), "mapped": mapped, "forked": heard, "child": child,
            "address": socket.gethostbyname(event["name"]), "status": api.getresponse().status}
"""
NODE = """
import {execFileSync} from "node:child_process";
import {lookup} from "node:dns/promises";
import {Worker} from "node:worker_threads";
import {pbkdf2Sync} from "node:crypto";
const work = (number) => new Promise((done, failed) => {
  const source = "const p = require('node:worker_threads'); p.parentPort.postMessage(p.workerData)";
  const worker = new Worker(source, {eval: true, workerData: number});
  worker.on("message", done).on("error", failed);
});
export const handler = async (event) => {
  const heard = await Promise.all([1, 2, 3].map(work));
  const {instance} = await WebAssembly.instantiate(Uint8Array.from([
    0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 127, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 6, 1, 4, 0, 65, 42, 11,
  ]));
  let sum = 0;
  for (let i = 0; i < 5e6; i++) sum += i & 1;
  pbkdf2Sync("a", "b", 10, 16, "sha256");
  const child = execFileSync("/bin/echo", ["child"]).toString().trim();
  const {address} = await lookup(event.name);
  const answer = await fetch(`https://${event.name}/?Action=GetCallerIdentity&Version=2011-06-15`);
  console.log("printed by Node");
  return {threads: heard.length, compiled: sum, wasm: instance.exports.f(), child, address, status: answer.status};
};
"""
SHELL = """#!/bin/sh
# AWS's own tutorial for custom runtimes, and what scripts do besides.
api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime
while true; do
  head=$(mktemp)
  event=$(curl -sS -LD "$head" "$api/invocation/next")
  id=$(grep -Fi Lambda-Runtime-Aws-Request-Id "$head" | tr -d '[:space:]' | cut -d: -f2)
  name=$(echo "$event" | sed 's/.*"name": *"\\([^"]*\\)".*/\\1/')
  child=$( (echo child | cat) & wait)
  address=$(getent hosts "$name" | cut -d' ' -f1)
  status=$(curl -s -o /dev/null -w '%{http_code}' "https://$name/?Action=GetCallerIdentity&Version=2011-06-15")
  echo "printed by sh"
  answer="{\\"child\\": \\"$child\\", \\"address\\": \\"$address\\", \\"status\\": $status}"
  curl -sS -o /dev/null "$api/invocation/$id/response" -d "$answer"
done
"""
ALWAYS = {"child": "child", "address": "127.0.0.1", "status": REFUSED}


def check(deployed: Deployed, printed: str, **expected: object) -> Deployed:
    answered = deployed.invoke({"name": NAME})
    assert answered.error is None, answered
    assert answered.payload == {**ALWAYS, **expected}
    assert f"{printed}\n" in answered.log
    assert deployed.invoke({"name": NAME}).payload == answered.payload  # warm, after it was frozen perhaps
    return deployed


@pytest.mark.parametrize("runtime", ["python3.10", "python3.11", "python3.12", "python3.13"])
def test_python(deploy: Callable[..., Deployed], runtime: str) -> None:
    function = deploy(runtime, "app.handler", {"app.py": PYTHON})
    check(function, "printed by Python", threads=64, mapped="mapped", forked="forked")


@pytest.mark.parametrize("runtime", ["nodejs20.x", "nodejs24.x"])
def test_node(deploy: Callable[..., Deployed], runtime: str) -> None:
    function = deploy(runtime, "app.handler", {"app.mjs": NODE})
    check(function, "printed by Node", threads=3, compiled=2_500_000, wasm=42)


@pytest.mark.parametrize("runtime", ["java17", "java21"])
def test_java(deploy: Callable[..., Deployed], java: Programs, runtime: str) -> None:
    function = deploy(runtime, "example.Probe::handle", java.classes())
    check(function, "printed by Java", threads=64, mapped="mapped", compiled=2_500_000)


def test_go(deploy: Callable[..., Deployed], programs: Programs) -> None:
    function = deploy("provided.al2023", "bootstrap", {"bootstrap": programs.bootstrap("go")})
    check(function, "printed by Go", threads=64, mapped="mapped")


def test_rust(deploy: Callable[..., Deployed], programs: Programs) -> None:
    function = deploy("provided.al2023", "bootstrap", {"bootstrap": programs.bootstrap("rust")})
    check(function, "printed by Rust", threads=64)


def test_a_shell_script(deploy: Callable[..., Deployed]) -> None:
    check(deploy("provided.al2", "bootstrap", {"bootstrap": SHELL}), "printed by sh")
