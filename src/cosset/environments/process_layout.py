"""What a plain child process is started with: folders, command, variables.

Paths are this machine's, not /var/task and /opt: nothing is mounted in this tier. Read next: process.py.
"""

import asyncio
import importlib.util
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cosset import runtimes
from cosset.environments.api import RESET_KEPT_S, EnvironmentSpec
from cosset.environments.variables import Folders, function_variables
from cosset.runtimes import jvm
from cosset.runtimes.catalogue import Served

MOST_LEFT = 256
_RUNTIMES = Path(runtimes.__file__).parent
# What AWS's managed Python has beside the standard library: the runtime client, the SDK, and what these need.
_PACKAGES = (
    "awslambdaric",
    "snapshot_restore_py",
    "simplejson",
    "boto3",
    "botocore",
    "s3transfer",
    "jmespath",
    "dateutil",
    "six",
    "urllib3",
)


class LeftFolders:
    """What environments had in /tmp when they were reset, each for the one that is started in its place: below
    `folder`, by their ids. Bounded in number and in time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[str, Path] = {}

    def keep(self, name: str, folder: Path) -> None:
        """Takes it over; nobody uses it any more."""
        if not folder.is_dir() or folder.is_symlink():  # its function could do anything there
            return
        while len(self._kept) >= MOST_LEFT:
            self.forget(next(iter(self._kept)))
        self._folder.mkdir(exist_ok=True)
        self._kept[name] = folder.rename(self._folder / name)
        asyncio.get_running_loop().call_later(RESET_KEPT_S, self.forget, name)

    def give(self, name: str, folder: Path) -> bool:
        """Puts it in this place, where nothing is yet; False: it is not there. From any thread."""
        kept = self._kept.pop(name, None)
        if kept is None:
            return False
        kept.rename(folder)
        return True

    def forget(self, name: str) -> None:
        kept = self._kept.pop(name, None)
        if kept is not None:
            asyncio.get_running_loop().run_in_executor(None, partial(shutil.rmtree, kept, ignore_errors=True))


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things lie on this machine for one environment. `home` is its own and goes with it."""

    home: Path
    runtime: Path

    @property
    def tmp(self) -> Path:
        return self.home / "tmp"

    @property
    def layers(self) -> Path:
        """What /opt is on AWS: the layers, later ones over earlier ones."""
        return self.home / "opt"

    def prepare(self, spec: EnvironmentSpec, left: LeftFolders) -> None:
        self.home.mkdir(parents=True)
        if spec.predecessor is None or not left.give(spec.predecessor, self.tmp):
            self.tmp.mkdir()
        if len(spec.layer_dirs) == 1:
            self.layers.symlink_to(spec.layer_dirs[0])
            return
        self.layers.mkdir()
        for layer in spec.layer_dirs:
            shutil.copytree(layer, self.layers, symlinks=True, dirs_exist_ok=True)


def link_runtime(folder: Path, node_modules: Path | None) -> Path:
    """What /var/runtime is on AWS, made of links: managed Python's packages and nothing else of Cosset's own, and the
    AWS SDK for Node where it is installed."""
    folder.mkdir(parents=True)
    for name in _PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            origin = Path(spec.origin)
            source = origin.parent if origin.name == "__init__.py" else origin
            (folder / source.name).symlink_to(source)
    if node_modules is not None and node_modules.is_dir():
        (folder / "node_modules").symlink_to(node_modules)
    return folder


def command_for(spec: EnvironmentSpec, served: Served, variables: Mapping[str, str]) -> list[str]:
    """Raises: OSError, when a provided runtime's bootstrap is missing or cannot be executed."""
    if served.runtime.family == "python":
        # -B: the code folder is shared and stays as it is, as /var/task, which nobody can write to.
        return [str(served.interpreter), "-B", str(_RUNTIMES / "python_http" / "start.py")]
    if served.runtime.family == "nodejs":
        return [str(served.interpreter), str(_RUNTIMES / "node" / "bootstrap.mjs")]
    if served.runtime.family == "java":
        return jvm.command(
            str(served.interpreter),
            served.version,
            str(served.libraries),
            memory_mb=spec.memory_mb,
            handler=spec.handler,
            variables=variables,
        )
    for folder in (spec.code_dir, *reversed(spec.layer_dirs)):
        bootstrap = folder / "bootstrap"
        if bootstrap.is_file():
            check_executable(bootstrap)
            return [str(bootstrap)]
    raise FileNotFoundError("bootstrap")


def variables_for(
    spec: EnvironmentSpec, served: Served, layout: Layout, *, runtime_api: str, endpoint: str | None
) -> dict[str, str]:
    """As in every tier, and where the folder for temporary files is."""
    interpreter = served.interpreter
    folders = Folders(
        task=str(spec.code_dir),
        layers=str(layout.layers),
        runtime=str(layout.runtime),
        language_bin=str(interpreter.parent) if interpreter is not None else None,
    )
    variables = function_variables(
        spec,
        folders=folders,
        language_version=served.runtime.version,
        runtime_api=runtime_api,
        endpoint=endpoint,
    )
    if served.runtime.family == "python":
        variables["_COSSET_LAYERS"] = str(layout.layers)  # python_http/start.py takes it out again
    wrapper = variables.get("AWS_LAMBDA_EXEC_WRAPPER", "")
    for place, folder in (("/var/task/", folders.task), ("/opt/", folders.layers)):
        if wrapper.startswith(place):
            variables["AWS_LAMBDA_EXEC_WRAPPER"] = f"{folder}/{wrapper.removeprefix(place)}"
    return {"TMPDIR": str(layout.tmp), **variables}


def check_executable(path: Path) -> None:
    """Raises: OSError, as the system would."""
    if not os.access(path, os.X_OK):
        raise PermissionError(13, "permission denied", str(path))
    with path.open("rb") as file:
        magic = file.read(4)
    if not magic.startswith(b"#!") and magic not in (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe"):
        raise OSError(8, "exec format error", str(path))
