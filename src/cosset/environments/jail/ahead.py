"""What may be begun before an environment has its function, so that less is left to do when it gets one.

A Node process that waits: only where the function sets nothing that Node reads as it starts. A Python with the AWS SDK
loaded: only for code that names the SDK and brings nothing that could be meant by one of the modules then loaded, so
that what a function brings always wins. In doubt nothing is begun. Read next: tier.py; ../launcher/spares.py.
"""

import os
import sys
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_NODE_READS = ("NODE_", "UV_", "LD_", "LC_", "LANG", "TZ", "OPENSSL_", "SSL_CERT_", "ICU_", "MALLOC_", "GLIBC_")
"""What variables begin with that the process itself looks at, or the libraries in it, when it starts."""
WRAPPER = "AWS_LAMBDA_EXEC_WRAPPER"
_SDK_NAMES = (b"boto3", b"botocore")
_MOVES_PATH = (b"sys.path", b"addsitedir", b"zipimport")
"""What is in a source that may look for modules elsewhere, in an archive or a folder that it makes itself."""
_MAX_FILES = 200
_MAX_NAMES = 5_000
_MAX_FILE_BYTES = 256 * 1024
_MAX_KNOWN = 2_000

SDK_MODULES = frozenset({"boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3"})
SDK_LOOKS_FOR = frozenset({"awscrt", "certifi", "brotli", "brotlicffi", "zstandard", "h2", "socks", "OpenSSL", "idna"})
"""What it takes if it is there, when it is loaded."""


def standby_variables(variables: Mapping[str, str], defaults: Mapping[str, str]) -> dict[str, str]:
    """What a Node process is started with that is to wait for a function with these variables; empty: none is to.
    `defaults` are the variables of a function that sets none."""
    started = {name: value for name, value in defaults.items() if name.startswith(_NODE_READS)}
    wanted = {name: value for name, value in variables.items() if name.startswith(_NODE_READS)}
    return started if started == wanted and WRAPPER not in variables else {}


class SdkUse:
    """Which functions a Python with the SDK loaded is for. Looks into a package once: it never changes."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[Path, ...], bool] = OrderedDict()

    def is_wanted(self, code: Path, layers: Sequence[Path], variables: Mapping[str, str]) -> bool:
        """`variables` are the function's own. May be asked in a thread too: whoever looks comes to the same."""
        if "PYTHONPATH" in variables or WRAPPER in variables:
            return False
        key = (code, *layers)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = (
                _names_sdk(code)
                and not any(map(_is_ours, _top_level(code, layers)))
                and not any(_brings_sdk(folder) for folder in (code, *layers))
            )
            if len(self._known) > _MAX_KNOWN:
                self._known.popitem(last=False)
        return known


def _is_ours(name: str) -> bool:
    return name in SDK_MODULES or name in SDK_LOOKS_FOR or name in sys.stdlib_module_names


def _top_level(code: Path, layers: Sequence[Path]) -> Iterator[str]:
    """Names by which something of the function's could be imported."""
    for folder in (code, *(layer / "python" for layer in layers)):
        yield from _names_in(folder)
    for layer in layers:
        for packages in (layer / "python" / "lib").glob("python3*/site-packages"):
            yield from _names_in(packages)


def _names_in(folder: Path) -> list[str]:
    try:
        return [name.partition(".")[0] for name in os.listdir(folder)]
    except OSError:
        return []


def _brings_sdk(folder: Path) -> bool:
    """Whether anything in it, however deep, has a name of the SDK's: whoever vendors modules adds its place later."""
    seen = 0
    for _, folders, files in os.walk(folder):
        seen += len(folders) + len(files)
        if seen > _MAX_NAMES or any(name.partition(".")[0] in SDK_MODULES for name in (*folders, *files)):
            return True
    return False


def _names_sdk(code: Path) -> bool:
    """Whether a source file at the top of the package, or one folder below, has the SDK's name in it, and none there
    looks for modules in other places."""
    is_named = False
    found = 0
    for pattern in ("*.py", "*/*.py"):
        for path in code.glob(pattern):
            found += 1
            if found > _MAX_FILES:
                return False
            try:
                with path.open("rb") as file:
                    source = file.read(_MAX_FILE_BYTES)
            except OSError:
                continue
            if any(mark in source for mark in _MOVES_PATH):
                return False
            is_named = is_named or any(name in source for name in _SDK_NAMES)
    return is_named
