"""A function's configuration at the edge: AWS's members read into a Change, a FunctionVersion written as AWS's members.

A setting that has an effect on AWS and would have none here is refused by name (G7). Unset members are left out, as
AWS leaves them out.
"""

from collections.abc import Mapping
from typing import Any

from cosset.functions import errors
from cosset.functions.model import LATEST, Change, FunctionVersion, LoggingChange
from cosset.services.operation import Params, Result

# Members that do something on AWS and nothing here yet: what their empty value is, which asks for nothing.
_NOT_YET: Mapping[str, str] = {
    "PublishTo": "publishing to $LATEST.PUBLISHED (PublishTo)",
    "TenancyConfig": "tenant isolation (TenancyConfig)",
    "CapacityProviderConfig": "capacity providers (CapacityProviderConfig)",
    "DurableConfig": "durable functions (DurableConfig)",
    "RuntimeConfig": "runtime configuration (RuntimeConfig)",
    "AcceleratorConfig": "accelerators (AcceleratorConfig)",
}


def read_change(params: Params) -> Change:
    """What CreateFunction and UpdateFunctionConfiguration were asked to set.

    Raises:
        ServiceError: a member that is not implemented was given.
    """
    refuse_not_yet(params)
    return Change(
        runtime=params.get("Runtime"),
        role=params.get("Role"),
        handler=params.get("Handler"),
        description=params.get("Description"),
        timeout_s=params.get("Timeout"),
        memory_mb=params.get("MemorySize"),
        ephemeral_storage_mb=params.get("EphemeralStorage", {}).get("Size"),
        variables=_read_variables(params),
        tracing_mode=params.get("TracingConfig", {}).get("Mode"),
        snap_start=params.get("SnapStart", {}).get("ApplyOn"),
        logging=_read_logging(params.get("LoggingConfig")),
        architectures=read_architectures(params),
        layers=None if params.get("Layers") is None else tuple(params["Layers"]),
        extra=_read_extra(params),
    )


def read_architectures(params: Params) -> tuple[str, ...] | None:
    given = params.get("Architectures")
    return tuple(given) if given else None


def refuse_not_yet(params: Params) -> None:
    for member, what in _NOT_YET.items():
        if params.get(member):
            raise errors.not_here(what)


def write_configuration(version: FunctionVersion, *, qualifier: str | None = None, listed: bool = False) -> Result:
    """FunctionConfiguration. `qualifier` is what the caller named, which the ARN repeats.

    Args:
        listed: as an item of a list, without the states and the runtime version (recorded: test_version_lifecycle).
    """
    arn = version.key.qualified_arn(qualifier) if qualifier else version.key.arn
    result: dict[str, Any] = {
        "FunctionName": version.key.name,
        "FunctionArn": arn,
        "Runtime": version.runtime,
        "Role": version.role,
        "Handler": version.handler,
        "CodeSize": version.code.size_bytes,
        "Description": version.description,
        "Timeout": version.timeout_s,
        "MemorySize": version.memory_mb,
        "LastModified": version.last_modified,
        "CodeSha256": version.code.sha256,
        "Version": version.version,
        "TracingConfig": {"Mode": version.tracing_mode},
        "RevisionId": version.revision_id,
        "PackageType": version.package_type,
        "Architectures": list(version.architectures),
        "EphemeralStorage": {"Size": version.ephemeral_storage_mb},
        "SnapStart": {"ApplyOn": version.snap_start, "OptimizationStatus": _optimization_status(version)},
        "LoggingConfig": _write_logging(version),
        **version.extra,
    }
    if version.layers:
        result["Layers"] = [{"Arn": layer.arn, "CodeSize": layer.size_bytes} for layer in version.layers]
    if version.variables is not None:
        result["Environment"] = {"Variables": dict(version.variables)}
    if not listed:
        result |= _write_states(version)
        result["RuntimeVersionConfig"] = {"RuntimeVersionArn": version.runtime_version_arn}
    return {name: value for name, value in result.items() if value is not None}


def write_published(version: FunctionVersion) -> Result:
    """The answer to a change of code: the ARN is qualified when a version was published. That to a creation is not."""
    return write_configuration(version, qualifier=None if version.version == LATEST else version.version)


def _read_variables(params: Params) -> Mapping[str, str] | None:
    environment = params.get("Environment")
    return None if environment is None else environment.get("Variables", {})


def _read_logging(given: Mapping[str, str] | None) -> LoggingChange | None:
    if given is None:
        return None
    return LoggingChange(
        log_format=given.get("LogFormat"),
        log_group=given.get("LogGroup"),
        application_log_level=given.get("ApplicationLogLevel"),
        system_log_level=given.get("SystemLogLevel"),
    )


def _read_extra(params: Params) -> Mapping[str, Any]:
    """Members that are kept as they are. A value of None takes one away."""
    extra: dict[str, Any] = {}
    vpc = params.get("VpcConfig")
    if vpc is not None:
        extra["VpcConfig"] = {
            "SubnetIds": list(vpc.get("SubnetIds") or ()),
            "SecurityGroupIds": list(vpc.get("SecurityGroupIds") or ()),
            "VpcId": "",
            "Ipv6AllowedForDualStack": bool(vpc.get("Ipv6AllowedForDualStack")),
        }
    target = params.get("DeadLetterConfig", {}).get("TargetArn")
    if target is not None:  # an empty one takes it away; without one it stays (recorded: test_dead_letter_queue)
        extra["DeadLetterConfig"] = {"TargetArn": target} if target else None
    if params.get("KMSKeyArn") is not None:
        extra["KMSKeyArn"] = params["KMSKeyArn"] or None
    if params.get("FileSystemConfigs") is not None:
        extra["FileSystemConfigs"] = list(params["FileSystemConfigs"]) or None
    return extra


def _optimization_status(version: FunctionVersion) -> str:
    """On for what was published with SnapStart, as AWS shows it; that no snapshot is kept here, docs/lambda.md says."""
    return "On" if version.version != LATEST and version.snap_start == "PublishedVersions" else "Off"


def _write_states(version: FunctionVersion) -> Result:
    status = version.last_update_status
    return {
        "State": version.state.value,
        "StateReason": version.state_reason,
        "StateReasonCode": version.state_reason_code,
        "LastUpdateStatus": None if status is None else status.value,
        "LastUpdateStatusReason": version.last_update_status_reason,
        "LastUpdateStatusReasonCode": version.last_update_status_reason_code,
    }


def _write_logging(version: FunctionVersion) -> Result:
    logging = version.logging
    result = {
        "LogFormat": logging.log_format,
        "ApplicationLogLevel": logging.application_log_level,
        "SystemLogLevel": logging.system_log_level,
        "LogGroup": logging.log_group,
    }
    return {name: value for name, value in result.items() if value is not None}
