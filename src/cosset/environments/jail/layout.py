"""What runs inside a jail, by the names things have there: command and variables.

Refuses to look into the jail: whether a bootstrap is there is seen from the host's side, before anything is started.
Read next: tier.py.
"""

import os
from functools import lru_cache
from pathlib import Path

from cosset.environments.api import EnvironmentSpec
from cosset.environments.launcher.spawners import JAVA_LIBRARIES, NODE_BOOTSTRAP, inside
from cosset.environments.variables import Authorities, Folders, function_variables
from cosset.runtimes import jvm
from cosset.runtimes.catalogue import Served
from cosset.runtimes.sealing import filesystem

ENDPOINT = "http://127.0.0.1:4566"
RUNTIME_API = "127.0.0.1:9001"
AUTHORITIES = Authorities(all=filesystem.AUTHORITIES, own=filesystem.OWN_AUTHORITY)


def command(spec: EnvironmentSpec, served: Served, *, has_local_aws: bool) -> list[str]:
    """Of everything but Python, whose bootstrap is in its zygote. `has_local_aws`: AWS's own names lead to Cosset.

    Raises: OSError, when a provided runtime's bootstrap is missing or cannot be executed.
    """
    if served.runtime.family == "nodejs":
        assert served.interpreter is not None
        return [inside(os.path.realpath(served.interpreter)), NODE_BOOTSTRAP]
    if served.runtime.family == "java":
        return _java_command(spec, served, has_local_aws=has_local_aws)
    for folder, place in ((spec.code_dir, "/var/task"), *((layer, "/opt") for layer in reversed(spec.layer_dirs))):
        bootstrap = folder / "bootstrap"
        if bootstrap.is_file():
            _check_executable(bootstrap, f"{place}/bootstrap")
            return [f"{place}/bootstrap"]
    raise FileNotFoundError("bootstrap")


def _java_command(spec: EnvironmentSpec, served: Served, *, has_local_aws: bool) -> list[str]:
    assert served.interpreter is not None
    return jvm.command(
        inside(os.path.realpath(served.interpreter)),
        served.version,
        JAVA_LIBRARIES,
        memory_mb=spec.memory_mb,
        handler=spec.handler,
        variables=spec.variables,
        trust_store=filesystem.JAVA_AUTHORITIES if has_local_aws else None,
    )


def variables(spec: EnvironmentSpec, served: Served, *, has_endpoint: bool, has_local_aws: bool) -> dict[str, str]:
    return function_variables(
        spec,
        folders=Folders(language_bin=None if served.interpreter is None else _folder_of(served.interpreter)),
        language_version=served.runtime.version,
        runtime_api=RUNTIME_API,
        endpoint=ENDPOINT if has_endpoint and has_local_aws else None,
        authorities=AUTHORITIES if has_endpoint and has_local_aws else None,
    )


@lru_cache(maxsize=64)
def _folder_of(interpreter: Path) -> str:
    """Found once: a spawner runs from it all the while."""
    return os.path.dirname(inside(os.path.realpath(interpreter)))


def _check_executable(path: Path, name: str) -> None:
    if not path.stat().st_mode & 0o111:
        raise PermissionError(13, "permission denied", name)
    with path.open("rb") as file:
        magic = file.read(4)
    if not magic.startswith(b"#!") and magic != b"\x7fELF":
        raise OSError(8, "exec format error", name)
