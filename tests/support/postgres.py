"""A PostgreSQL server of the tests' own: a cluster in a temporary folder, on a Unix socket, gone with the tests."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

SYSTEM_USER = "postgres"  # whom Debian's package makes; the server refuses to run as root


class PostgresServer:
    """One running cluster. `new_database` gives each test its own."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries = binaries
        self._folder = folder
        self._count = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._user = SYSTEM_USER if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(folder, self._user, self._user)
        subprocess.run(
            self._as_user(
                binaries / "initdb",
                "-D",
                folder / "data",
                "-U",
                "cosset",
                "--auth=trust",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
            ),
            check=True,
            capture_output=True,
            cwd=folder,
        )
        self.start()

    def start(self) -> None:
        options = ["-c", "fsync=off", "-c", "listen_addresses=", "-c", "max_connections=120", "-k", self._folder]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._as_user(self._binaries / "postgres", "-D", self._folder / "data", *options),
                stdout=log,
                stderr=log,
                cwd=self._folder,
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
                return
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    said = (self._folder / "server.log").read_text()
                    raise RuntimeError(f"PostgreSQL did not start: {said}") from error
                time.sleep(0.05)

    def stop(self) -> None:
        """At once, as a crash would: clients lose their connections."""
        if self._process is not None:
            # The server itself, not setpriv: that one has become it.
            self._process.send_signal(3)  # SIGQUIT: immediate shutdown
            self._process.wait(60)
            self._process = None

    def new_database(self) -> str:
        """The URL of an empty database."""
        self._count += 1
        name = f"test_{self._count}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        return self.url(name)

    def url(self, database: str) -> str:
        return f"postgresql://cosset@/{database}?host={self._folder}"

    def _as_user(self, *command: object) -> list[str]:
        # Should the tests be killed, the server goes too.
        prefix = ["setpriv", "--pdeathsig", "QUIT"]
        if self._user:
            prefix += [f"--reuid={self._user}", f"--regid={self._user}", "--init-groups"]
        return [*prefix, *map(str, command)]


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Skips, naming what is missing, where there is no server to run."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("missing: PostgreSQL server binaries (apt install postgresql)")
    if shutil.which("setpriv") is None:
        pytest.skip("missing: setpriv (apt install util-linux)")
    folder = Path(tempfile.mkdtemp(prefix="cosset-pg-"))
    folder.chmod(0o711)  # a Cosset server without privileges walks to the socket
    server = None
    try:
        server = PostgresServer(binaries, folder)
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def find_binaries() -> Path | None:
    """The newest installed server's folder: Debian's, or the one on the PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if debian:
        return debian[-1].parent
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None
