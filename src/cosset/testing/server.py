"""A Cosset server of one's own for tests: a real one, in its own process, on a free port, with its own data and home.

Refuses to touch the user's AWS files or data folder, and leaves nothing behind: no process, no folder. Read next:
plugin.py, the pytest fixture made of it.
"""

import configparser
import contextlib
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

READY_TIMEOUT_S = 120
STOP_TIMEOUT_S = 60
PROFILE = "cosset"


class ServerFailedError(Exception):
    """The server did not become ready; the message carries what it printed."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The administrator's access key."""

    access_key_id: str
    secret_access_key: str = field(repr=False)


class CossetServer:
    """One server. Use it as a context manager, or `start` it and `stop` it.

    `flags` are further flags of `cosset up`. The data folder is a temporary one, kept over `restart`, removed by
    `close`. `kill9` ends every process of the server at once, as a power cut would.
    """

    def __init__(self, flags: Sequence[str] = (), *, environ: Mapping[str, str] | None = None) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="cosset-test-"))
        # A server started as root works without privileges: it must be able to walk to its data folder.
        self.root.chmod(0o711)
        self.data = self.root / "data"
        self.home = self.root / "home"
        self.home.mkdir()
        self._log = self.root / "server.log"
        self._flags = list(flags)
        self._environ = dict(environ or {})
        self._process: subprocess.Popen[bytes] | None = None
        self.ready: dict[str, Any] = {}

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def endpoint(self) -> str:
        return str(self.ready["endpoint"])

    @property
    def account(self) -> str:
        return str(self.ready["account"])

    @property
    def region(self) -> str:
        return str(self.ready["region"])

    @property
    def pid(self) -> int:
        """Of the process that was started: the launcher."""
        assert self._process is not None
        return self._process.pid

    @property
    def credentials(self) -> Keys:
        """The administrator's key, from the files that a data folder carries."""
        parser = configparser.RawConfigParser()
        parser.read(self._aws_files / "credentials", encoding="utf-8")
        section = parser[PROFILE]
        return Keys(section["aws_access_key_id"], section["aws_secret_access_key"])

    @property
    def environ(self) -> dict[str, str]:
        """An environment in which any AWS tool finds this server and no other."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "COSSET_"))}
        return kept | {
            "HOME": str(self.home),
            "AWS_PROFILE": PROFILE,
            "AWS_CONFIG_FILE": str(self._aws_files / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self._aws_files / "credentials"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
        }

    @property
    def _aws_files(self) -> Path:
        return self.data / "aws"

    def start(self) -> None:
        """Returns when the server can take an invocation.

        Raises:
            ServerFailedError: it ended, or was not ready within READY_TIMEOUT_S.
        """
        port = self.ready["endpoint"].rpartition(":")[2] if self.ready else str(_free_port())
        command = [sys.executable, "-m", "cosset.cli", "up", "--json", "--no-profile"]
        command += ["--port", port, "--data", str(self.data), *self._flags]
        environ = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "COSSET_"))}
        environ |= {"HOME": str(self.home)} | self._environ
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environ,
                cwd=self.root,
                start_new_session=True,
            )
        self.ready = json.loads(self._first_line())

    def _first_line(self) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        until = time.monotonic() + READY_TIMEOUT_S
        watch = select.poll()
        watch.register(descriptor, select.POLLIN)
        line = b""
        while not line.endswith(b"\n"):
            is_readable = watch.poll(max(0.0, until - time.monotonic()) * 1000)
            chunk = os.read(descriptor, 65536) if is_readable else b""
            if not chunk:
                status = self._process.poll()
                self.kill9()
                raise ServerFailedError(f"the server is not ready (status {status}):\n{line!r}\n{self.log()}")
            line += chunk
        return line

    def log(self) -> str:
        """What the server wrote to its error output so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def client(self, service: str, **arguments: Any) -> Any:
        """A stock boto3 client of this server, as its administrator."""
        return self.session().client(service, endpoint_url=self.endpoint, **arguments)

    def session(self) -> Any:
        """A stock boto3 session with the administrator's keys."""
        import boto3

        found = self.credentials
        return boto3.Session(
            aws_access_key_id=found.access_key_id,
            aws_secret_access_key=found.secret_access_key,
            region_name=self.region,
        )

    def pids(self) -> list[int]:
        """The server's processes, environments included, oldest first. Linux only; elsewhere the first one."""
        if self._process is None or self._process.poll() is not None:
            return []
        return [self._process.pid, *_descendants(self._process.pid)]

    def kill9(self) -> None:
        """SIGKILL to every process of the server at once; nothing gets to tidy up. No error when it has ended.

        Returns when they hold nothing any more, as after a power cut: one that waits for a slow disk ends late.
        """
        if self._process is None:
            return
        killed = self.pids()
        for pid in killed:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._forget()
        until = time.monotonic() + STOP_TIMEOUT_S
        while any(map(_holds_files, killed)) and time.monotonic() < until:
            time.sleep(0.01)

    def stop(self) -> int:
        """Ctrl-C, and wait for the end. Returns the status; a server that does not end is killed, status -9."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill9()
            return -signal.SIGKILL
        return self._forget()

    def restart(self) -> None:
        """Starts again on the same data and port, after `stop` or `kill9`; stops it first when it still runs."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stops the server and removes its folders."""
        try:
            self.stop()
        finally:
            self.kill9()
            shutil.rmtree(self.root, ignore_errors=True)

    def _forget(self) -> int:
        assert self._process is not None
        status = self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None
        return status


def _free_port() -> int:
    """One that nobody is given by chance while this server is down: below those that the system gives away by itself.

    0 where there are none of them, or where the system does not say.
    """
    try:
        first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        return 0
    for port in random.SystemRandom().sample(range(10_000, first), 100) if first > 11_000 else ():
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return port
    return 0


def _holds_files(pid: int) -> bool:
    """False of one that has ended, buried or not, and where nobody may look."""
    try:
        return bool(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return False


def _descendants(pid: int) -> list[int]:
    """Every process below `pid`, by the kernel's own table, of each level the oldest first: numbers start again at the
    kernel's highest. Those that end meanwhile are left out."""
    children: dict[int, list[tuple[int, int]]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = entry.read_text()
        except OSError:
            continue
        # The name in parentheses may hold spaces and parentheses itself. Source: proc(5), the fields 3 and following.
        fields = text.rpartition(")")[2].split()
        parent, started = int(fields[1]), int(fields[19])
        children.setdefault(parent, []).append((started, int(entry.parent.name)))
    found: list[int] = []
    level = [pid]
    while level:
        level = [child for _, child in sorted(below for each in level for below in children.get(each, []))]
        found += level
    return found
