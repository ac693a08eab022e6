"""The lines that the platform itself writes into a function's log: INIT_START, START, END, REPORT and their kin.

Pure functions from what happened to the message of one log event, in AWS's text and JSON formats to the character.
Sources: recorded answers (lambda: REPORT and INIT_START with their tabs and newline), and AWS's pages "Viewing
CloudWatch logs for Lambda functions" and "Lambda Telemetry API Event schema reference". Writes nothing.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

JSON_FORMAT = "JSON"

# AWS's table of levels (Lambda developer guide, "System log level event mapping"); what did not succeed is WARN.
_LEVELS = {"DEBUG": 0, "INFO": 1, "WARN": 2}
_LEVEL_OF_TYPE = {
    "platform.initStart": "INFO",
    "platform.initRuntimeDone": "DEBUG",
    "platform.initReport": "DEBUG",
    "platform.start": "INFO",
    "platform.runtimeDone": "DEBUG",
    "platform.report": "INFO",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class InitStart:
    """An environment begins its initialization. `runtime_version` is `python:3.13.v10`, `instance_id` names the
    environment; `time_ms` is epoch. `kind` is `on-demand` or `provisioned-concurrency`."""

    time_ms: int
    runtime_version: str
    runtime_version_arn: str
    function_name: str
    function_version: str
    memory_mb: int
    instance_id: str
    kind: str = "on-demand"


@dataclass(frozen=True, slots=True, kw_only=True)
class InitReport:
    """An initialization ended other than well, or nobody waited for it. `status` is `success`, `error` or `timeout`,
    `phase` `init` or `invoke`."""

    time_ms: int
    duration_ms: float
    status: str
    error_type: str | None = None
    phase: str = "init"
    kind: str = "on-demand"


@dataclass(frozen=True, slots=True, kw_only=True)
class InitRuntimeDone:
    """The runtime is done with its initialization. Only the JSON format has it; fields as in InitReport."""

    time_ms: int
    status: str
    error_type: str | None = None
    phase: str = "init"
    kind: str = "on-demand"


class RuntimeDone(NamedTuple):
    """The runtime is done with an event, though extensions may go on. Only the JSON format has it. `produced_bytes`:
    of its response; None: it gave none."""

    time_ms: int
    request_id: str
    duration_ms: float
    status: str = "success"
    produced_bytes: int | None = None
    error_type: str | None = None
    trace_id: str | None = None


class Start(NamedTuple):
    """An invocation reaches its environment."""

    time_ms: int
    request_id: str
    version: str
    trace_id: str | None = None


class Report(NamedTuple):
    """An invocation is over. `init_duration_ms` only on the first of its environment.

    `status` is `success`, `failure` (the handler raised), `error` (the runtime ended) or `timeout`.
    """

    time_ms: int
    request_id: str
    duration_ms: float
    memory_mb: int
    max_memory_used_mb: int
    init_duration_ms: float | None = None
    status: str = "success"
    error_type: str | None = None
    trace_id: str | None = None

    @property
    def billed_duration_ms(self) -> int:
        """Whole milliseconds, rounded up. AWS bills the initialization too since August 2025."""
        return math.ceil(round(self.duration_ms + (self.init_duration_ms or 0.0), 2))


Record = InitStart | InitRuntimeDone | InitReport | Start | RuntimeDone | Report


def init_start_line(record: InitStart) -> str:
    return f"INIT_START Runtime Version: {record.runtime_version}\tRuntime Version ARN: {record.runtime_version_arn}\n"


def init_report_line(record: InitReport) -> str:
    fields = [f"Init Duration: {record.duration_ms:.2f} ms", f"Phase: {record.phase}", f"Status: {record.status}"]
    if record.error_type is not None:
        fields.append(f"Error Type: {record.error_type}")
    return "INIT_REPORT " + "\t".join(fields) + "\n"


def start_line(record: Start) -> str:
    return f"START RequestId: {record.request_id} Version: {record.version}\n"


def end_line(request_id: str) -> str:
    return f"END RequestId: {request_id}\n"


def report_line(record: Report) -> str:
    """With AWS's tabs: one after each field, the last included, unless that says how it ended other than well."""
    usual = (
        f"REPORT RequestId: {record.request_id}\tDuration: {record.duration_ms:.2f} ms\t"
        f"Billed Duration: {record.billed_duration_ms} ms\tMemory Size: {record.memory_mb} MB\t"
        f"Max Memory Used: {record.max_memory_used_mb} MB"
    )
    if record.init_duration_ms is None and record.status in ("success", "failure"):
        return f"{usual}\t\n"
    fields = [usual]
    if record.init_duration_ms is not None:
        fields.append(f"Init Duration: {record.init_duration_ms:.2f} ms")
    if record.status in ("error", "timeout"):
        fields.append(f"Status: {record.status}")
    else:
        fields.append("")
    if record.status == "error" and record.error_type is not None:
        fields.append(f"Error Type: {record.error_type}")
    return "\t".join(fields) + "\n"


def platform_record(record: Record) -> str:
    """The record as one line of JSON, as functions with the JSON log format get it."""
    kind, fields = _document(record)
    document = {"time": iso_time(record.time_ms), "type": kind, "record": fields}
    return json.dumps(document, separators=(",", ":")) + "\n"


def platform_message(record: Record, log_format: str, system_log_level: str | None) -> str | None:
    """The message for this function's configuration; None when its system log level leaves the record out, or the text
    format, which has no levels."""
    if log_format != JSON_FORMAT:
        return _text(record)
    kind, _ = _document(record)
    level = _LEVEL_OF_TYPE[kind]
    if isinstance(record, InitReport) and record.kind != "on-demand":
        level = "INFO"
    if not isinstance(record, InitStart | Start) and record.status != "success":
        level = "WARN"
    if _LEVELS[level] < _LEVELS[system_log_level or "INFO"]:
        return None
    return platform_record(record)


def iso_time(time_ms: int) -> str:
    """`2026-01-02T03:04:05.678Z`."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(record: Record) -> str | None:
    if isinstance(record, Report):
        return report_line(record)
    if isinstance(record, Start):
        return start_line(record)
    if isinstance(record, InitStart):
        return init_start_line(record)
    return init_report_line(record) if isinstance(record, InitReport) else None


def _document(record: Record) -> tuple[str, Mapping[str, Any]]:
    if isinstance(record, InitStart):
        return "platform.initStart", {
            "initializationType": record.kind,
            "phase": "init",
            "runtimeVersion": record.runtime_version,
            "runtimeVersionArn": record.runtime_version_arn,
            "functionName": record.function_name,
            "functionVersion": record.function_version,
            "instanceId": record.instance_id,
            "instanceMaxMemory": record.memory_mb * 1024 * 1024,
        }
    if isinstance(record, InitRuntimeDone | InitReport):
        fields: dict[str, Any] = {
            "initializationType": record.kind,
            "phase": record.phase,
            "status": record.status,
        } | _present(errorType=record.error_type)
        if isinstance(record, InitRuntimeDone):
            return "platform.initRuntimeDone", fields
        return "platform.initReport", fields | {"metrics": {"durationMs": round(record.duration_ms, 3)}}
    if isinstance(record, Start):
        fields = {"requestId": record.request_id, "version": record.version}
        return "platform.start", fields | _tracing(record.trace_id)
    if isinstance(record, RuntimeDone):
        done: dict[str, Any] = {"durationMs": round(record.duration_ms, 3)}
        if record.produced_bytes is not None:
            done["producedBytes"] = record.produced_bytes
        fields = {"requestId": record.request_id, "status": record.status} | _present(errorType=record.error_type)
        return "platform.runtimeDone", fields | {"metrics": done} | _tracing(record.trace_id)
    metrics: dict[str, Any] = {
        "durationMs": round(record.duration_ms, 3),
        "billedDurationMs": record.billed_duration_ms,
        "memorySizeMB": record.memory_mb,
        "maxMemoryUsedMB": record.max_memory_used_mb,
    }
    if record.init_duration_ms is not None:
        metrics["initDurationMs"] = round(record.init_duration_ms, 3)
    fields = {"requestId": record.request_id, "metrics": metrics} | _tracing(record.trace_id)
    return "platform.report", fields | {"status": record.status} | _present(errorType=record.error_type)


def _present(**fields: str | None) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value is not None}


def _tracing(trace_id: str | None) -> dict[str, Any]:
    if not trace_id:
        return {}
    return {"tracing": {"type": "X-Amzn-Trace-Id", "value": trace_id}}
