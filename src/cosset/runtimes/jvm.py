"""The JVM of this machine as a managed Java runtime: whether a `java` is one, and the command that makes it serve.

What runs in it is AWS's own runtime interface client (java_client.py): it finds the function's classes in /var/task,
/var/task/lib/*.jar and /opt/java/lib/*.jar, and knows every form of handler. Stdlib only; imports nothing of Cosset.
"""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

MAIN = "com.amazonaws.services.lambda.runtime.api.client.AWSLambda"
OLDEST = (11,)
"""Older names (java8, java8.al2) are served by a newer one: before 11 a JVM has no module image to be known by."""
_HEAP_SHARE = 0.85
"""Of the function's memory; the rest is for code, classes, threads and what is read natively."""
_NATIVE_WARNINGS_SINCE = (24,)


def home_of(interpreter: Path) -> Path:
    """The JVM's own folder, of which `bin/java` is this."""
    return interpreter.parent.parent


def probe(path: Path, timeout_s: float) -> tuple[Path, tuple[int, ...]] | None:
    """Runs it: the real path of its `java` and its version. None: it is no JVM that can serve."""
    command = [str(path), "-XshowSettings:properties", "-version"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return None
    said = dict(re.findall(r"^\s+(java\.home|java\.version) = (\S+)$", done.stderr, re.MULTILINE))
    version = tuple(map(int, re.findall(r"\d+", said.get("java.version", ""))[:3]))
    java = Path(said.get("java.home", "/nonexistent")) / "bin" / "java"
    if done.returncode != 0 or not version or not is_home(home_of(java)):
        return None
    return java.resolve(), version


def is_home(folder: Path) -> bool:
    """Whether a JVM lies there: what else may be in the folder is shown to functions too."""
    return (folder / "lib" / "modules").is_file() and (folder / "bin" / "java").is_file()


def command(
    java: str,
    version: tuple[int, ...],
    libraries: str,
    *,
    memory_mb: int,
    handler: str,
    variables: Mapping[str, str],
    trust_store: str | None = None,
) -> list[str]:
    """What to start, in /var/task.

    Args:
        libraries: the folder with AWS's client.
        variables: of the function. What it says itself in JAVA_TOOL_OPTIONS, it gets: a JVM would let the command win.
        trust_store: the authorities to be trusted, in Java's own format; None: the JVM's.
    """
    told = variables.get("JAVA_TOOL_OPTIONS", "")
    started = [
        java,
        *(option for said, option in _options(version, memory_mb, trust_store) if not re.search(said, told)),
        "-cp",
        f"{libraries}/*",
        MAIN,
        handler,
    ]
    wrapper = variables.get("AWS_LAMBDA_EXEC_WRAPPER")
    return [wrapper, *started] if wrapper else started


def _options(version: tuple[int, ...], memory_mb: int, trust_store: str | None) -> list[tuple[str, str]]:
    """Each behind a pattern that a function's own options match when it decides that itself."""
    options = [
        ("-Xmx|MaxHeapSize|MaxRAM", f"-Xmx{int(memory_mb * _HEAP_SHARE)}m"),
        (r"-XX:\+Use\w+GC", "-XX:+UseSerialGC"),
        ("TieredStopAtLevel", "-XX:TieredStopAtLevel=1"),
        ("java.io", "--add-opens=java.base/java.io=ALL-UNNAMED"),  # for AWS's client, which writes to a descriptor
        ("UsePerfData", "-XX:-UsePerfData"),  # it would lie in the function's /tmp
    ]
    if version >= _NATIVE_WARNINGS_SINCE:  # AWS's client has a native part and warns of it otherwise, at every start
        options.append(("--enable-native-access", "--enable-native-access=ALL-UNNAMED"))
        options.append(("--sun-misc-unsafe-memory-access", "--sun-misc-unsafe-memory-access=allow"))
    if trust_store is not None:
        options.append(("trustStore", f"-Djavax.net.ssl.trustStore={trust_store}"))
        options.append(("trustStore", "-Djavax.net.ssl.trustStoreType=JKS"))
    return options
