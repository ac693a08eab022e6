"""AWS's platform events of one environment: what Init, each invocation and each extension came to.

Each is made only where somebody wants it. Read next: hub.py, who passes them on.
Source: https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html
"""

import math
from typing import Any

from cosset.clock import Clock
from cosset.environments.api import Answer, EnvironmentSpec, Event, Outcome
from cosset.environments.telemetry.hub import Telemetry
from cosset.observe.log_lines import iso_time


class PlatformEvents:
    """Says what happens, in the order in which it does."""

    def __init__(self, telemetry: Telemetry, spec: EnvironmentSpec, clock: Clock) -> None:
        self._telemetry = telemetry
        self._spec = spec
        self._clock = clock
        self._start_ms = clock.now_ms()
        self._begin_ms = 0
        self._init_ms: float | None = None
        self._is_reset = spec.predecessor is not None
        """Its Init is a *suppressed* one: part of the invocation that it is for."""
        self._spent_ms = 0.0

    def init_started(self) -> dict[str, Any]:
        """The record. A subscriber that comes too late for the event is told all the same."""
        spec = self._spec
        record = self._init() | {
            "runtimeVersion": spec.runtime_version,
            "runtimeVersionArn": spec.runtime_version_arn,
            "functionName": spec.function_name,
            "functionVersion": spec.version,
            "instanceId": spec.instance_id or spec.id,
            "instanceMaxMemory": spec.memory_mb * 1024 * 1024,
        }
        if self._telemetry.is_wanted:
            self._telemetry.emit("platform.initStart", record, self._start_ms)
        return record

    @property
    def start_ms(self) -> int:
        return self._start_ms

    def runtime_ready(self) -> None:
        if self._telemetry.is_wanted:
            self._telemetry.emit("platform.initRuntimeDone", self._init() | {"status": "success"})

    def init_over(self, init_ms: float) -> None:
        if self._is_reset:
            self._spent_ms = init_ms
        else:
            self._init_ms = init_ms
        if self._telemetry.is_wanted:
            metrics = {"durationMs": round(init_ms, 3)}
            self._telemetry.emit("platform.initReport", self._init() | {"status": "success", "metrics": metrics})

    def init_failed(self, status: str, error_type: str, phase_ms: float) -> None:
        if self._telemetry.is_wanted:
            how = self._init() | {"status": status, "errorType": error_type}
            self._telemetry.emit("platform.initRuntimeDone", how)
            self._telemetry.emit("platform.initReport", how | {"metrics": {"durationMs": round(phase_ms, 3)}})

    def invoked(self, event: Event) -> None:
        self._begin_ms = self._clock.now_ms()
        if self._telemetry.is_wanted:
            record = {"requestId": event.request_id, "version": self._spec.version} | _tracing(event)
            self._telemetry.emit("platform.start", record, self._begin_ms)

    def runtime_done(self, event: Event, answer: Answer) -> None:
        if not self._telemetry.is_wanted:
            return
        duration_ms = round(answer.duration_ms, 3)
        record: dict[str, Any] = {"requestId": event.request_id, "status": status_of(answer.outcome)}
        if answer.error_type is not None:
            record["errorType"] = answer.error_type
        record["metrics"] = {"durationMs": duration_ms}
        if answer.outcome in (Outcome.SUCCESS, Outcome.ERROR):
            start = iso_time(self._begin_ms)
            record["metrics"]["producedBytes"] = len(answer.payload)
            record["spans"] = [{"name": "responseLatency", "start": start, "durationMs": duration_ms}]
        elif answer.outcome is not Outcome.TIMEOUT:
            fault = f"RequestId: {event.request_id} Process exited before completing request"
            self._telemetry.emit("platform.fault", fault)
        self._telemetry.emit("platform.runtimeDone", record | _tracing(event))

    def reported(self, event: Event, answer: Answer) -> None:
        """`answer.duration_ms` is that of the runtime and the extensions together."""
        if not self._telemetry.is_wanted:
            return
        init_ms, self._init_ms = self._init_ms, None
        is_timeout = answer.outcome is Outcome.TIMEOUT
        duration_ms = self._spec.timeout_s * 1000.0 if is_timeout else answer.duration_ms + self._spent_ms
        self._spent_ms = 0.0
        metrics: dict[str, Any] = {
            "durationMs": round(duration_ms, 3),
            "billedDurationMs": math.ceil(round(duration_ms + (init_ms or 0.0), 2)),
            "memorySizeMB": self._spec.memory_mb,
            "maxMemoryUsedMB": min(answer.max_memory_mb, self._spec.memory_mb),
        }
        if init_ms is not None:
            metrics["initDurationMs"] = round(init_ms, 3)
        record: dict[str, Any] = {"requestId": event.request_id, "metrics": metrics} | _tracing(event)
        record["status"] = status_of(answer.outcome)
        if answer.error_type is not None:
            record["errorType"] = answer.error_type
        self._telemetry.emit("platform.end", {"requestId": event.request_id})
        self._telemetry.emit("platform.report", record)

    def _init(self) -> dict[str, Any]:
        phase = "invoke" if self._is_reset else "init"
        return {"initializationType": self._spec.initialization_type, "phase": phase}


_STATUS = {
    Outcome.SUCCESS: "success",
    Outcome.ERROR: "failure",
    Outcome.TIMEOUT: "timeout",
    Outcome.EXIT: "error",
    Outcome.OUT_OF_MEMORY: "error",
}


def status_of(outcome: Outcome) -> str:
    """As AWS's reports call it."""
    return _STATUS[outcome]


def _tracing(event: Event) -> dict[str, Any]:
    if not event.trace_id:
        return {}
    return {"tracing": {"type": "X-Amzn-Trace-Id", "value": event.trace_id}}
