"""What AWS checks by hand about a function's settings, beyond its model, in its own sentences. Pure functions."""

import json
from collections.abc import Mapping
from typing import Any

from cosset.functions import errors
from cosset.functions.model import Change

MAX_VARIABLES_BYTES = 4096
MAX_TIMEOUT_S = 900
MAX_MEMORY_MB = 10240
MAX_EPHEMERAL_STORAGE_MB = 10240
"""Of functions that run on demand. AWS's model allows what its managed instances may have, which is more."""

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html: the keys that functions cannot set.
RESERVED_VARIABLES = frozenset(
    {
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    }
)


def check_variables(variables: Mapping[str, str]) -> None:
    """Reserved names and the 4 KB limit."""
    cannot = "Lambda was unable to configure your environment variables because the environment variables you have "
    reserved = [name for name in variables if name in RESERVED_VARIABLES]
    if reserved:
        raise errors.invalid_parameter(
            f"{cannot}provided contains reserved keys that are currently not supported for modification. "
            f"Reserved keys used in this request: {', '.join(reserved)}"
        )
    measured = json.dumps(dict(variables), separators=(",", ":"), ensure_ascii=False)
    if len(measured.encode()) > MAX_VARIABLES_BYTES:
        raise errors.invalid_parameter(f"{cannot}provided exceeded the 4KB limit. String measured: {measured}")


def check_mandatory(change: Change) -> None:
    """What a function from a zip cannot be created without."""
    if not change.runtime or not change.handler:
        raise errors.invalid_parameter(
            "Runtime and Handler are mandatory parameters for functions created with deployment packages."
        )


def check_size(change: Change) -> None:
    """More time, memory or disk than a function on demand may have."""
    for member, given, most in (
        ("MemorySize", change.memory_mb, MAX_MEMORY_MB),
        ("Timeout", change.timeout_s, MAX_TIMEOUT_S),
        ("EphemeralStorage", change.ephemeral_storage_mb, MAX_EPHEMERAL_STORAGE_MB),
    ):
        if given is not None and given > most:
            raise errors.invalid_parameter(
                f"'{member}' value failed to satisfy constraint: Member must have value less than or equal to {most}"
            )


def check_network(settings: Mapping[str, Any]) -> None:
    """What AWS asks of VpcConfig, FileSystemConfigs and KMSKeyArn together, given as their AWS members."""
    vpc = settings.get("VpcConfig", {})
    if bool(vpc.get("SubnetIds")) != bool(vpc.get("SecurityGroupIds")):
        raise errors.invalid_parameter("SubnetIds and SecurityIds must coexist or be both empty list.")
    for file_system in settings.get("FileSystemConfigs", ()):
        if not vpc.get("SubnetIds"):
            raise errors.invalid_parameter(
                f"Function must be configured to execute in a VPC to reference access point {file_system['Arn']}."
            )
    key = settings.get("KMSKeyArn")
    if key is not None and key.split(":")[2:3] != ["kms"]:
        raise errors.invalid_parameter(f"Invalid KMS key ARN: {key}")


def check_snap_start(runtime: str | None, snap_start: str) -> None:
    """SnapStart is for the runtimes that AWS has it for (recorded: test_snapstart_exceptions)."""
    if snap_start == "None" or runtime is None:
        return
    supported = (runtime.startswith("java") and runtime not in ("java8", "java8.al2")) or (
        runtime.startswith(("python", "dotnet")) and runtime in _SNAP_START_RUNTIMES
    )
    if not supported:
        raise errors.invalid_parameter(f"{runtime} is not supported for SnapStart enabled functions.")


_SNAP_START_RUNTIMES = frozenset({"python3.12", "python3.13", "python3.14", "dotnet8", "dotnet10"})
