"""A host and an internet of the test's own: two network namespaces joined by a link, with servers at public and at
private addresses. Nothing in them can reach the machine's own networks, or anything outside."""

import contextlib
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HOST = "198.51.100.1"
PUBLIC = "203.0.113.7"
SPECIAL = ("10.0.0.5", "172.16.0.5", "192.168.1.5", "100.64.0.5", "169.254.169.254", "198.19.255.1")
"""Answered out there, though nothing of the internet should have these: what a rule forgets would be reached."""
PORT = 8080

_SERVER = """
import socket, socketserver, sys
class Answer(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(self.client_address[0].removeprefix("::ffff:").encode())
socketserver.ThreadingTCPServer.address_family = socket.AF_INET6
socketserver.ThreadingTCPServer.allow_reuse_address = True
server = socketserver.ThreadingTCPServer(("::", int(sys.argv[1])), Answer)
print("ready", flush=True)
server.serve_forever()
"""


@dataclass(frozen=True)
class Internet:
    """`host` and `outside` are the files of the two namespaces."""

    host: Path
    outside: Path

    def on_host(self, *command: str) -> str:
        return _run("nsenter", f"--net={self.host}", *command)

    def outside_of_host(self, *command: str) -> str:
        return _run("nsenter", f"--net={self.outside}", *command)


@contextlib.contextmanager
def internet() -> Iterator[Internet]:
    name = f"ct{uuid.uuid4().hex[:8]}"
    host, outside = f"{name}h", f"{name}o"
    servers: list[subprocess.Popen[str]] = []
    try:
        for namespace in (host, outside):
            _run("ip", "netns", "add", namespace)
            _run("ip", "-n", namespace, "link", "set", "lo", "up")
        _run("ip", "-n", host, "link", "add", "up0", "type", "veth", "peer", "name", "up0", "netns", outside)
        for namespace, address in ((host, HOST), (outside, "198.51.100.2")):
            _run("ip", "-n", namespace, "address", "add", f"{address}/24", "dev", "up0")
            _run("ip", "-n", namespace, "link", "set", "up0", "up")
        for address in (PUBLIC, *SPECIAL):
            _run("ip", "-n", outside, "address", "add", f"{address}/32", "dev", "lo")
        _run("ip", "-n", host, "route", "add", "default", "via", "198.51.100.2")
        made = Internet(Path("/run/netns") / host, Path("/run/netns") / outside)
        made.on_host("sysctl", "-qw", "net.ipv4.ip_forward=1")
        made.outside_of_host("sysctl", "-qw", "net.ipv4.ip_forward=0")
        for namespace in (made.host, made.outside):
            servers.append(_serve(namespace))
        yield made
    finally:
        for server in servers:
            server.kill()
            server.communicate()
        for namespace in (host, outside):
            subprocess.run(["ip", "netns", "delete", namespace], capture_output=True)


def _serve(namespace: Path) -> "subprocess.Popen[str]":
    command = ["nsenter", f"--net={namespace}", sys.executable, "-c", _SERVER, str(PORT)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    return server


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout
