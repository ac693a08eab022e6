"""Reads Settings: flags win over `COSSET_...` variables, variables over `cosset.toml`, that over the defaults.

Every field of Settings is all three by itself; nothing is listed twice. Refuses what it does not know and names the
nearest known one. Read next: cosset/settings.py for the knobs, docs/settings.md for users.
"""

import ast
import difflib
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import click

from cosset import settings as settings_module
from cosset.cli.failure import Failure
from cosset.settings import Settings

PREFIX = "COSSET_"
FILE_NAME = "cosset.toml"
OTHER_VARIABLES = {
    "COSSET_CONFIG": "the settings file to read instead of ./cosset.toml",
    "COSSET_TEST_ALL": "1: in this project's own tests, a skip is a failure",
    "COSSET_PROTOCOLS": "folder of the Smithy protocol tests that `make protocols` reads",
}
"""Variables that are not settings of a node. Any other `COSSET_...` is refused."""

CHOICES = {"tier": ("jail", "process"), "log_level": ("debug", "info", "warning", "error")}
LOWEST = {
    "port": 0,
    "idle_timeout_s": 0,
    "drain_s": 0,
    "min_free_mb": 0,
    "inactive_after_days": 0,
    "environment_memory_mb": 0,
    "causes_mb": 0,
    "events_mb": 0,
}
"""Smallest value of the numbers that may be 0; the others begin at 1."""
_DEFAULTS = Settings()
LOOPBACK = ("127.0.0.1", "::1", "localhost")

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Field:
    """One setting. `kind` is int, bool, str, Path or tuple (of texts); `doc` is the sentence under it in Settings."""

    name: str
    kind: type
    default: object
    doc: str

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return PREFIX + self.name.upper()


def _documentation() -> dict[str, str]:
    """The strings under the fields of Settings, which Python itself forgets."""
    tree = ast.parse(Path(settings_module.__file__).read_text(encoding="utf-8"))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings")
    found = {}
    for field, below in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            found[field.target.id] = " ".join(str(ast.literal_eval(below.value)).split())
    return found


def _fields() -> tuple[Field, ...]:
    hints, docs = get_type_hints(Settings), _documentation()
    found = []
    for field in fields(Settings):
        hint = hints[field.name]
        kinds = [kind for kind in get_args(hint) if kind is not type(None)]
        kind = tuple if getattr(hint, "__origin__", None) is tuple else (kinds or [hint])[0]
        assert field.default is not MISSING, f"{field.name} needs a default"
        found.append(Field(field.name, kind, field.default, docs.get(field.name, "")))
    return tuple(found)


FIELDS = _fields()


def settings_options(command: _Function) -> _Function:
    """Gives a click command one flag for every setting, and `--config`. Absent flags arrive as None or ()."""
    for field in reversed(FIELDS):
        command = _option(field)(command)
    where = click.Path(dir_okay=False, path_type=Path)
    return click.option("--config", type=where, help=f"Settings file to read instead of ./{FILE_NAME}.")(command)


def _option(field: Field) -> Callable[[_Function], _Function]:
    if field.kind is bool:
        return click.option(f"{field.flag}/--no-{field.flag[2:]}", field.name, default=None, help=field.doc)
    if field.kind is tuple:
        return click.option(field.flag, field.name, multiple=True, help=f"{field.doc} May be given more than once.")
    kind: Any = click.Path(path_type=Path) if field.kind is Path else field.kind
    if field.name in CHOICES:
        kind = click.Choice(CHOICES[field.name])
    default = "" if field.default is None else f"  [default: {field.default}]"
    return click.option(field.flag, field.name, type=kind, default=None, help=field.doc + default)


def load(flags: Mapping[str, Any], environ: Mapping[str, str], folder: Path) -> Settings:
    """One Settings from all three sources. `folder` is where `cosset.toml` is looked for.

    Raises:
        Failure: an unknown key or variable, a value of the wrong type or out of bounds, an unreadable file.
    """
    variables = from_variables(environ)
    named = flags.get("config") or environ.get("COSSET_CONFIG")
    file = Path(named) if named else folder / FILE_NAME
    values = from_file(file) if named or file.exists() else {}
    values |= variables
    values |= {field.name: flags[field.name] for field in FIELDS if flags.get(field.name) not in (None, ())}
    settings = Settings(**values)
    _check(settings)
    return settings


def default_data(environ: Mapping[str, str]) -> Path:
    """The data folder when none is named."""
    if os.geteuid() == 0:
        return Path("/var/lib/cosset")
    shared = environ.get("XDG_DATA_HOME") or Path(environ.get("HOME") or Path.home()) / ".local" / "share"
    return Path(shared) / "cosset"


def from_variables(environ: Mapping[str, str]) -> dict[str, Any]:
    """The settings among the environment variables. Lists are separated by commas."""
    known = {field.variable: field for field in FIELDS}
    found = {}
    for name, text in environ.items():
        if not name.startswith(PREFIX) or name in OTHER_VARIABLES:
            continue
        if name not in known:
            raise _unknown("environment variable", name, [*known, *OTHER_VARIABLES])
        found[known[name].name] = _from_text(known[name], text)
    return found


def from_file(file: Path) -> dict[str, Any]:
    """The settings in a `cosset.toml`. Relative paths in it are meant from the folder that it lies in."""
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise Failure(f"there is no settings file {file}", "leave --config out, or name a file", exit_code=2) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Failure(f"cannot read {file}: {error}", exit_code=2) from error
    known = {field.name: field for field in FIELDS}
    for key in document:
        if key not in known:
            raise _unknown(f"key in {file}", key, known)
    return {key: _from_toml(known[key], value, file) for key, value in document.items()}


def _from_text(field: Field, text: str) -> Any:
    if field.kind is bool:
        truth = {
            "1": True,
            "true": True,
            "yes": True,
            "on": True,
            "0": False,
            "false": False,
            "no": False,
            "off": False,
        }
        if text.lower() not in truth:
            raise Failure(f"{field.variable}={text!r} is neither true nor false", "say 1 or 0", exit_code=2)
        return truth[text.lower()]
    if field.kind is int:
        try:
            return int(text)
        except ValueError:
            raise Failure(f"{field.variable}={text!r} is not a whole number", exit_code=2) from None
    if field.kind is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return Path(text) if field.kind is Path else text


def _from_toml(field: Field, value: object, file: Path) -> Any:
    expected = {int: "a whole number", bool: "true or false", tuple: "a list of texts"}.get(field.kind, "a text")
    if field.kind is tuple and isinstance(value, list) and all(isinstance(part, str) for part in value):
        return tuple(value)
    if field.kind is Path and isinstance(value, str):
        return file.absolute().parent / Path(value).expanduser()
    if type(value) is field.kind:
        return value
    raise Failure(f"{file}: {field.name} must be {expected}, not {value!r}", exit_code=2)


def _check(settings: Settings) -> None:
    for field in FIELDS:
        value = getattr(settings, field.name)
        if field.name in CHOICES and value not in CHOICES[field.name]:
            raise _unknown(f"value of {field.name}", str(value), CHOICES[field.name])
        lowest = min(LOWEST.get(field.name, 1), getattr(_DEFAULTS, field.name) or 0) if field.kind is int else 0
        if field.kind is int and value < lowest:
            raise Failure(f"{field.name} must be at least {lowest}, not {value}", exit_code=2)
    if settings.port > 65535:
        raise Failure(f"port must be at most 65535, not {settings.port}", exit_code=2)
    if settings.dev and settings.host not in LOOPBACK:
        raise Failure(
            f"--dev serves a well-known key, so on loopback only, not on {settings.host}",
            "leave --dev out, or serve on 127.0.0.1",
            exit_code=2,
        )


def _unknown(what: str, name: str, known: Iterable[str]) -> Failure:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    fix = f"did you mean '{near[0]}'?" if near else "the known ones: docs/settings.md"
    return Failure(f"unknown {what}: '{name}'", fix, exit_code=2)
