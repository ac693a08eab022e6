"""AWS's runtime interface client for Java: fetched once, by an explicit command, from Maven Central.

Exactly these files and no others: each is checked against the digest that is written here before anything is replaced.
Nothing here runs by itself. Stdlib only; imports nothing of Cosset. Read next: jvm.py, which runs them.
"""

import hashlib
import os
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = "https://repo.maven.apache.org/maven2"
_ATTEMPTS = 3
_TIMEOUT_S = 60
_LARGEST_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file of a Maven repository."""

    group: str
    name: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.name}-{self.version}.jar"

    @property
    def path(self) -> str:
        return "/".join([*self.group.split("."), self.name, self.version, self.file_name])


ARTIFACTS = (
    Artifact(
        "com.amazonaws",
        "aws-lambda-java-runtime-interface-client",
        "2.9.0",
        "26568a5f63bf9e921567e77661be425650abc8972bae2aa0b7e99bab4e4239d9",
    ),
    Artifact(
        "com.amazonaws",
        "aws-lambda-java-core",
        "1.4.0",
        "575c24393cc1ad645e83e618956eabd89ffe8cc09efae2cb62bc6589154d68ed",
    ),
    Artifact(
        "com.amazonaws",
        "aws-lambda-java-serialization",
        "1.2.0",
        "1513c1f945a3213f916a4b2de1760c97b51d84d110f82bbbcf9cfac53d5651e7",
    ),
    Artifact(
        "software.amazon.awssdk",
        "utils-lite",
        "2.34.0",
        "efaf784f07ae526f0b5c89d71ef21cf16636131c47d44616e3df9bedc3f4f89a",
    ),
    Artifact(
        "software.amazon.awssdk",
        "annotations",
        "2.34.0",
        "fafdcb55f4e5af603f5219f4a2b080aa0decb562a7c0944f7a7eca82dd47e487",
    ),
)


class JavaClientError(Exception):
    """Nothing was installed; the message says why. What was there before is still there."""


def folder_of(data: Path) -> Path:
    """Where the data folder has it."""
    return data / "runtimes" / "java" / "lib"


def is_installed(folder: Path) -> bool:
    return all((folder / artifact.file_name).is_file() for artifact in ARTIFACTS)


def install_java_client(
    folder: Path,
    report: Callable[[str], None],
    *,
    repository: str = REPOSITORY,
    artifacts: Sequence[Artifact] = ARTIFACTS,
) -> None:
    """Fetches the client into `folder`, in place of what is there.

    Args:
        report: told what is going to be fetched, from where, and how it ended.
        repository: a mirror of Maven Central. What it answers is believed only as far as the digests go.

    Raises: JavaClientError; OSError, when the folder cannot be written.
    """
    report(f"Fetching AWS's runtime interface client for Java from {repository} into {folder}:")
    for artifact in artifacts:
        report(f"  {artifact.group}:{artifact.name}:{artifact.version}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".incoming-", dir=folder.parent))
    try:
        new = staging / "lib"
        new.mkdir()
        for artifact in artifacts:
            (new / artifact.file_name).write_bytes(_fetch(repository, artifact))
        staging.chmod(0o755)
        if folder.exists():
            os.rename(folder, staging / "old")
        os.rename(new, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    report(f"Installed {len(artifacts)} files. Functions of the java runtimes start with them from now on.")


def _fetch(repository: str, artifact: Artifact) -> bytes:
    url = f"{repository.rstrip('/')}/{artifact.path}"
    content = _download(url)
    if hashlib.sha256(content).hexdigest() != artifact.sha256:
        raise JavaClientError(f"{url} is not the file that it should be (its SHA-256 digest differs)")
    return content


def _download(url: str) -> bytes:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
                content: bytes = answer.read(_LARGEST_BYTES + 1)
        except urllib.error.HTTPError as refused:
            with refused:
                if refused.code < 500 or attempt == _ATTEMPTS:
                    raise JavaClientError(f"{url} answered {refused.code} {refused.reason}") from refused
        except (OSError, ValueError) as error:
            if attempt == _ATTEMPTS:
                raise JavaClientError(f"{url} could not be fetched: {error}") from error
        else:
            return content
    raise AssertionError("unreachable")
