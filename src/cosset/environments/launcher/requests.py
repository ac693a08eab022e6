"""What the server may ask of the launcher, checked as input from someone who may have been taken over.

A path of the server's must lie in the data folder; an interpreter must be one that the server cannot have written.
Read next: launcher.py, which acts on these.
"""

import os
import re
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosset.runtimes import jvm

MAX_MEMORY_MB = 64 * 1024
MAX_DISK_MB = 1024 * 1024
MAX_LAYERS = 16
MAX_EXTENSIONS = 64
KNOWN_S = 1.0
_MAX_KNOWN = 64
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_PATH = re.compile(r"[A-Za-z0-9._/@+-]{1,1024}")
"""Of folders that are handed to mount: no comma, colon or backslash, which mean something there."""
_HALF_A_PAIR = re.compile("[\ud800-\udfff]")
_PYTHON = re.compile(r"python3\.\d+")
_JAVA = "java"


class RequestError(Exception):
    """The request is not one that the server may make."""


@dataclass(frozen=True, slots=True)
class RootKey:
    """Environments with equal keys start from the same root, and are forked by the same spawner.

    `interpreter` is a host path, None for programs that bring all they need. `modules` is a folder below the data
    folder that is shown as /var/runtime/node_modules, to Java as /var/runtime/lib. `has_sdk`: of a Python, with the AWS
    SDK loaded. `standby`: of Node, the variables with which it is started before it has a function; empty: it starts
    with the function.
    """

    kind: str
    interpreter: str | None = None
    modules: str | None = None
    has_sdk: bool = False
    standby: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Spawn:
    """One environment. `code` and `layers` are relative to the data folder. `has_egress`: as far as the host has it.
    `extensions` are names in /opt/extensions. `predecessor`: the id of the one whose disk it is to have."""

    id: str
    root: RootKey
    code: str
    layers: tuple[str, ...]
    memory_mb: int
    disk_mb: int
    environment: dict[str, str]
    command: tuple[str, ...]
    fd_names: tuple[str, ...]
    has_egress: bool = False
    extensions: tuple[str, ...] = ()
    predecessor: str | None = None


class Interpreters:
    """Those that were found to be in order, of one launcher. A path is looked at again after KNOWN_S: until then nobody
    can have changed it but the host's root."""

    def __init__(self, server_uid: int, now_s: Callable[[], float] = time.monotonic) -> None:
        self._server_uid = server_uid
        self._now_s = now_s
        self._known: dict[str, tuple[float, str]] = {}

    def check(self, path: str) -> str:
        """As `checked_interpreter`. Raises: RequestError."""
        now_s = self._now_s()
        known = self._known.get(path)
        if known is not None and now_s - known[0] < KNOWN_S:
            return known[1]
        real = checked_interpreter(path, self._server_uid)
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[path] = now_s, real
        return real


def parse_root(message: dict[str, Any], data: Path, interpreters: Interpreters) -> RootKey:
    """Raises: RequestError."""
    kind = message.get("kind")
    if kind not in ("python", "program"):
        raise RequestError(f"kind is {kind!r:.60}")
    interpreter = message.get("interpreter")
    if interpreter is not None:
        interpreter = interpreters.check(_text(interpreter))
    if kind == "python":
        _check_prefix(interpreter)
    elif interpreter is not None and is_java(interpreter):
        _check_java_home(interpreter)
    modules = message.get("modules")
    standby = tuple(sorted(_environment(message.get("standby", {})).items()))
    if standby and (kind != "program" or interpreter is None or is_java(interpreter)):
        raise RequestError("standby")
    return RootKey(
        kind,
        interpreter,
        None if modules is None else below(data, modules),
        has_sdk=kind == "python" and message.get("sdk") is True,
        standby=standby,
    )


def parse_spawn(message: dict[str, Any], data: Path, interpreters: Interpreters) -> Spawn:
    """Raises: RequestError."""
    root = parse_root(message, data, interpreters)
    layers = message.get("layers", [])
    if not isinstance(layers, list) or len(layers) > MAX_LAYERS:
        raise RequestError("layers")
    extensions = _extensions(message.get("extensions", []))
    return Spawn(
        parse_id(message),
        root,
        below(data, message.get("code")),
        tuple(below(data, layer) for layer in layers),
        _number(message, "memory_mb", MAX_MEMORY_MB),
        _number(message, "disk_mb", MAX_DISK_MB),
        _environment(message.get("environment")),
        _command(message.get("command"), root.kind),
        _descriptors(root) + (("extensions", "supervisor") if extensions else ()),
        message.get("egress") is True,
        extensions,
        _checked_id(message["predecessor"]) if message.get("predecessor") is not None else None,
    )


def _descriptors(root: RootKey) -> tuple[str, ...]:
    """What a runtime is handed: AWS's own ones write whole log records to `telemetry`, provided ones know no such, and
    one on standby has its own already."""
    if root.standby:
        return ()
    if root.kind == "python":
        return ("output", "telemetry", "transport")
    return ("output",) if root.interpreter is None else ("output", "telemetry")


def parse_id(message: dict[str, Any]) -> str:
    return _checked_id(message.get("id"))


def _checked_id(value: object) -> str:
    name = _text(value)
    if not _ID.fullmatch(name):
        raise RequestError("id")
    return name


def parse_body(message: dict[str, Any]) -> dict[str, Any]:
    """Of a message to the owner."""
    body = message.get("body")
    if not isinstance(body, dict):
        raise RequestError("body")
    return body


def below(data: Path, path: object) -> str:
    """The path relative to the data folder. Symbolic links are no way out: the launcher follows them only inside the
    root of a spawner, where the host's other folders are not."""
    text = _text(path)
    if not _PATH.fullmatch(text) or os.path.normpath(text) != text:
        raise RequestError(f"path {text!r:.100}")
    relative = os.path.relpath(text, data)
    if relative.startswith("..") or relative == "." or not os.path.isabs(text):
        raise RequestError(f"{text} is not in the data folder")
    return relative


def checked_interpreter(path: str, server_uid: int) -> str:
    """The real path of an interpreter that neither the server nor an environment can have put there or changed."""
    real = os.path.realpath(path)
    if os.path.basename(real) not in ("node", _JAVA) and not _PYTHON.fullmatch(os.path.basename(real)):
        raise RequestError(f"{path:.100} is neither python3.N nor node nor java")
    place = real
    while True:
        try:
            status = os.stat(place)
        except OSError as error:
            raise RequestError(str(error)) from None
        is_ours = status.st_uid == server_uid != os.geteuid()
        if is_ours or (status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX):
            raise RequestError(f"{place} could be changed by others")
        if place == "/":
            return real
        place = os.path.dirname(place)


def _check_prefix(interpreter: str | None) -> None:
    """The whole prefix is shown to functions: it must be that of a Python and nothing else."""
    folder, name = os.path.split(interpreter or "")
    library = os.path.join(os.path.dirname(folder), "lib", name, "os.py")
    if not _PYTHON.fullmatch(name) or os.path.basename(folder) != "bin" or not os.path.isfile(library):
        raise RequestError(f"no Python installation: {interpreter}")


def is_java(interpreter: str) -> bool:
    return os.path.basename(interpreter) == _JAVA


def _check_java_home(interpreter: str) -> None:
    """As with Python: the whole folder is shown."""
    if os.path.basename(os.path.dirname(interpreter)) != "bin" or not jvm.is_home(jvm.home_of(Path(interpreter))):
        raise RequestError(f"no JVM: {interpreter}")


def _extensions(value: object) -> tuple[str, ...]:
    """File names in /opt/extensions, as they are there: names, not paths."""
    if not isinstance(value, list) or len(value) > MAX_EXTENSIONS:
        raise RequestError("extensions")
    for name in value:
        if not _is_text(name) or name in ("", ".", "..") or "/" in name:
            raise RequestError("extensions")
    return tuple(value)


def _environment(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise RequestError("environment")
    try:
        whole = "\n".join([*value, *value.values()])  # looked through at once: every start has some thirty
    except TypeError:
        raise RequestError("environment") from None
    if not _is_text(whole) or any("=" in name or not name for name in value):
        raise RequestError("environment")
    return value


def _command(value: object, kind: str) -> tuple[str, ...]:
    if kind == "python":
        return ()
    if not isinstance(value, list) or not value or not all(map(_is_text, value)) or not value[0].startswith("/"):
        raise RequestError("command")
    return tuple(value)


def _number(message: dict[str, Any], name: str, highest: int) -> int:
    value = message.get(name)
    if not isinstance(value, int) or not 1 <= value <= highest:
        raise RequestError(name)
    return value


def _text(value: object) -> str:
    if not _is_text(value):
        raise RequestError(f"not a text: {value!r:.60}")
    return str(value)


def _is_text(value: object) -> bool:
    """As the kernel takes it: without a zero, and no half of a surrogate pair, which JSON may hold."""
    return isinstance(value, str) and "\0" not in value and not _HALF_A_PAIR.search(value)
