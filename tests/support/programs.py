"""Functions in languages that are compiled: built once from tests/runtimes/programs, all at the same time, and kept in
pytest's cache for the next run. What is missing is named; a download that fails is a failure that says so."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from cosset.runtimes import java_client

SOURCES = Path(__file__).parents[1] / "runtimes" / "programs"
_TIMEOUT_S = 540
_TOOLS = {"go": "go", "rust": "cargo", "java": "javac"}


class Programs:
    """Args: cache: a folder that outlives the run."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        builders = {"go": self._build_go, "rust": self._build_rust, "java": self._build_java}
        self._pool = ThreadPoolExecutor(len(builders))
        self._built: dict[str, Future[Path]] = {
            name: self._pool.submit(partial(self._build, name, build))
            for name, build in builders.items()
            if _tool(name) is not None
        }

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def bootstrap(self, language: str) -> bytes:
        """The program of `go` or `rust`."""
        return (self._folder(language) / "bootstrap").read_bytes()

    def classes(self) -> dict[str, bytes]:
        """Of Java: path in the package to content."""
        folder = self._folder("java") / "classes"
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.class")}

    def java_client(self) -> Path:
        """The folder with AWS's runtime interface client."""
        return self._folder("java") / "lib"

    def _folder(self, language: str) -> Path:
        if language not in self._built:
            pytest.skip(f"missing: {_TOOLS[language]}, to build functions in {language}")
        try:
            return self._built[language].result(_TIMEOUT_S)
        except subprocess.CalledProcessError as failed:
            pytest.fail(f"building {language} failed (it needs its registry once):\n{failed.stdout}", pytrace=False)

    def _build(self, language: str, build: Callable[[Path, Path], None]) -> Path:
        sources = SOURCES / language
        digest = hashlib.sha256(str(_tool(language)).encode())
        for path in sorted(each for each in sources.rglob("*") if each.is_file()):
            digest.update(path.read_bytes())
        folder = self._cache / f"{language}-{digest.hexdigest()[:16]}"
        if not folder.exists():
            staging = folder.with_name(f".{folder.name}-{os.getpid()}")
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir(parents=True)
            try:
                build(sources, staging)
                staging.rename(folder)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
        return folder

    def _build_go(self, sources: Path, folder: Path) -> None:
        command = ["go", "build", "-trimpath", "-tags", "lambda.norpc", "-o", str(folder / "bootstrap"), "."]
        _run(command, sources, {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"})

    def _build_rust(self, sources: Path, folder: Path) -> None:
        target = self._cache / "rust-target"  # a change of the program builds only the program
        _run(["cargo", "build", "--quiet", "--locked"], sources, {"CARGO_TARGET_DIR": str(target)})
        shutil.copy(target / "debug" / "bootstrap", folder)

    def _build_java(self, sources: Path, folder: Path) -> None:
        try:
            java_client.install_java_client(folder / "lib", lambda _: None)
        except java_client.JavaClientError as failed:
            raise subprocess.CalledProcessError(1, "install", output=str(failed)) from failed
        command = ["javac", "--release", "11", "-cp", f"{folder}/lib/*", "-d", str(folder / "classes")]
        _run([*command, *map(str, sources.rglob("*.java"))], sources, {})


def _tool(language: str) -> str | None:
    return shutil.which(_TOOLS[language])


def _run(command: list[str], folder: Path, variables: Mapping[str, str]) -> None:
    environment = {**os.environ, **variables}
    subprocess.run(
        command,
        cwd=folder,
        env=environment,
        check=True,
        timeout=_TIMEOUT_S,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
