"""From what a caller wants to the next FunctionVersion: defaults, changes, published copies. Pure, knows no store."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from typing import Any

from cosset.functions import checks, errors
from cosset.functions.model import (
    LATEST,
    Change,
    Code,
    FunctionKey,
    FunctionState,
    FunctionVersion,
    LoggingChange,
    LoggingConfig,
    UpdateStatus,
)

CREATING = "The function is being created."
CREATING_CODE = "Creating"

# What makes two versions the same to PublishVersion.
_NOT_CONTENT = frozenset(
    {
        "key",
        "version",
        "last_modified",
        "revision_id",
        "state",
        "state_reason",
        "state_reason_code",
        "last_update_status",
        "last_update_status_reason",
        "last_update_status_reason_code",
        "serving_id",
        "fingerprint",
        "runtime_update_on",
        "runtime_pin",
    }
)


def new_function(
    key: FunctionKey, change: Change, code: Code, *, modified: str, new_id: Callable[[], str]
) -> FunctionVersion:
    """`$LATEST` of a new function, Pending, with AWS's defaults for what was not given."""
    first = FunctionVersion(
        key=key,
        version=LATEST,
        runtime=None,
        role="",
        handler=None,
        code=code,
        description="",
        timeout_s=3,
        memory_mb=128,
        ephemeral_storage_mb=512,
        last_modified=modified,
        revision_id=new_id(),
        serving_id=new_id(),
        logging=LoggingConfig("Text", f"/aws/lambda/{key.name}"),
        state=FunctionState.PENDING,
        state_reason=CREATING,
        state_reason_code=CREATING_CODE,
        last_update_status=None,
    )
    return apply_change(first, change)


def apply_change(version: FunctionVersion, change: Change) -> FunctionVersion:
    """`version` with what the caller gave."""
    given: dict[str, Any] = {name: value for name in _CHANGED_AS_GIVEN if (value := getattr(change, name)) is not None}
    if change.logging is not None:
        given["logging"] = change_logging(version.logging, change.logging)
    if change.extra:
        extra = {**version.extra, **change.extra}
        given["extra"] = {name: value for name, value in extra.items() if value is not None}
        checks.check_network(given["extra"])
    return dataclasses.replace(version, **given)


_CHANGED_AS_GIVEN = (
    "runtime",
    "role",
    "handler",
    "description",
    "timeout_s",
    "memory_mb",
    "ephemeral_storage_mb",
    "variables",
    "tracing_mode",
    "snap_start",
    "architectures",
)


def change_logging(current: LoggingConfig, change: LoggingChange) -> LoggingConfig:
    """JSON has levels, INFO where none are given; Text has none (recorded: TestLoggingConfig)."""
    log_format = change.log_format or current.log_format
    log_group = change.log_group or current.log_group
    if log_format != "JSON":
        if change.application_log_level or change.system_log_level:
            raise errors.invalid_parameter("Log level configuration is supported only for the JSON log format.")
        return LoggingConfig(log_format, log_group)
    return LoggingConfig(
        log_format,
        log_group,
        change.application_log_level or current.application_log_level or "INFO",
        change.system_log_level or current.system_log_level or "INFO",
    )


def in_progress(version: FunctionVersion, *, modified: str, new_id: Callable[[], str]) -> FunctionVersion:
    """An updated `$LATEST`: its idle environments must not serve any more."""
    return dataclasses.replace(
        version,
        last_modified=modified,
        revision_id=new_id(),
        serving_id=new_id(),
        last_update_status=UpdateStatus.IN_PROGRESS,
        last_update_status_reason=CREATING,
        last_update_status_reason_code=CREATING_CODE,
    )


def published(
    latest: FunctionVersion, number: int, *, description: str | None, pending: bool, new_id: Callable[[], str]
) -> FunctionVersion:
    """The version `number` made of `$LATEST`. Pending when it comes with new code, else Active at once
    (recorded: test_lambda_versions_with_code_changes)."""
    return dataclasses.replace(
        latest,
        version=str(number),
        description=latest.description if description is None else description,
        revision_id=new_id(),
        serving_id=new_id(),
        fingerprint=fingerprint(latest),
        state=FunctionState.PENDING if pending else FunctionState.ACTIVE,
        state_reason=CREATING if pending else None,
        state_reason_code=CREATING_CODE if pending else None,
        last_update_status=None if pending else UpdateStatus.SUCCESSFUL,
        last_update_status_reason=None,
        last_update_status_reason_code=None,
    )


def fingerprint(version: FunctionVersion) -> str:
    """Equal for equal code and settings, the description included."""
    content = {
        field.name: getattr(version, field.name)
        for field in dataclasses.fields(version)
        if field.name not in _NOT_CONTENT
    }
    text = json.dumps(content, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else dict(value)
