"""What the platform writes into the log of one environment: of its Init, and around each invocation START, END, REPORT.

Decides when a line is written; how it reads is observe/log_lines.py.
"""

from cosset.clock import Clock
from cosset.environments.api import Answer, InitError, Outcome
from cosset.invocation import lineage
from cosset.invocation.api import Invocation, Target
from cosset.invocation.environment_log import EnvironmentLog
from cosset.observe import log_lines

_STATUS = {
    Outcome.SUCCESS: "success",
    Outcome.ERROR: "failure",
    Outcome.TIMEOUT: "timeout",
    Outcome.EXIT: "error",
    Outcome.OUT_OF_MEMORY: "error",
}


class InitLog:
    """The platform's own lines for the Init of one environment."""

    def __init__(self, log: EnvironmentLog, target: Target, initialization_type: str, clock: Clock) -> None:
        self._log = log
        self._target = target
        self._kind = initialization_type
        self._clock = clock

    def started(self, environment_id: str) -> None:
        target = self._target
        self._write(
            log_lines.InitStart(
                time_ms=self._clock.now_ms(),
                runtime_version=target.runtime_version,
                runtime_version_arn=target.runtime_version_arn,
                function_name=target.function_name,
                function_version=target.version,
                memory_mb=target.memory_mb,
                instance_id=environment_id,
                kind=self._kind,
            )
        )

    def succeeded(self, init_ms: float) -> None:
        """AWS's text format says so of those that nobody waited for."""
        is_text = self._target.log_format != log_lines.JSON_FORMAT
        if is_text and self._kind == "on-demand":
            return
        now_ms = self._clock.now_ms()
        self._write(log_lines.InitRuntimeDone(time_ms=now_ms, status="success", kind=self._kind))
        self._write(log_lines.InitReport(time_ms=now_ms, duration_ms=init_ms, status="success", kind=self._kind))

    def failed(self, error: InitError, phase: str) -> None:
        """The environment did not become Ready; `phase` is `init`, and `invoke` for the second try."""
        now_ms = self._clock.now_ms()
        error_type = error.error_type if error.status == "error" else None
        self._write(
            log_lines.InitRuntimeDone(
                time_ms=now_ms, status=error.status, error_type=error_type, phase=phase, kind=self._kind
            )
        )
        self._write(
            log_lines.InitReport(
                time_ms=now_ms,
                duration_ms=error.phase_ms,
                status=error.status,
                error_type=error_type,
                phase=phase,
                kind=self._kind,
            )
        )

    def _write(self, record: log_lines.Record) -> None:
        _write(self._log, record, self._target)


class PlatformLog:
    """The platform's own lines for one invocation in one environment."""

    def __init__(self, log: EnvironmentLog, target: Target, invocation: Invocation) -> None:
        self._log = log
        self._target = target
        self._invocation = invocation

    def start(self, time_ms: int) -> None:
        self._log.carry(self._invocation.trace_id)
        start = log_lines.Start(
            time_ms=time_ms,
            request_id=self._invocation.request_id,
            version=self._target.version,
            trace_id=self._sampled_trace(),
        )
        _write(self._log, start, self._target)

    def finish(self, answer: Answer, init_ms: float | None, time_ms: int) -> log_lines.Report:
        """Says how the invocation ended: END, and REPORT, which it returns. AWS has no other lines for that any more,
        also where the platform saw the end and not the runtime; what timed out has taken exactly its time."""
        is_timeout = answer.outcome is Outcome.TIMEOUT
        duration_ms = self._target.timeout_s * 1000.0 if is_timeout else answer.duration_ms
        if self._target.log_format == log_lines.JSON_FORMAT:
            self._runtime_done(answer, duration_ms, time_ms)
        return self._end_and_report(
            time_ms, duration_ms, answer.max_memory_mb, init_ms, _STATUS[answer.outcome], answer.error_type
        )

    def _runtime_done(self, answer: Answer, duration_ms: float, time_ms: int) -> None:
        done = log_lines.RuntimeDone(
            time_ms=time_ms,
            request_id=self._invocation.request_id,
            duration_ms=duration_ms,
            status=_STATUS[answer.outcome],
            produced_bytes=None if answer.environment_is_spent else len(answer.payload),
            error_type=answer.error_type,
            trace_id=self._sampled_trace(),
        )
        _write(self._log, done, self._target)

    def never_began(self, error: InitError, time_ms: int) -> log_lines.Report:
        """The lines of an invocation whose second Init failed too: that Init was all of it."""
        self.start(time_ms)
        duration_ms = self._target.timeout_s * 1000.0 if error.status == "timeout" else error.phase_ms
        return self._end_and_report(time_ms, duration_ms, error.max_memory_mb, None, error.status, error.error_type)

    def _end_and_report(
        self,
        time_ms: int,
        duration_ms: float,
        max_memory_mb: int,
        init_ms: float | None,
        status: str,
        error_type: str | None,
    ) -> log_lines.Report:
        target = self._target
        report = log_lines.Report(
            time_ms=time_ms,
            request_id=self._invocation.request_id,
            duration_ms=duration_ms,
            memory_mb=target.memory_mb,
            max_memory_used_mb=min(max_memory_mb, target.memory_mb),
            init_duration_ms=init_ms,
            status=status,
            error_type=error_type,
            trace_id=self._sampled_trace(),
        )
        message = log_lines.platform_message(report, target.log_format, target.system_log_level)
        if target.log_format != log_lines.JSON_FORMAT:
            self._log.write_all(time_ms, (log_lines.end_line(report.request_id), message or ""))
        elif message is not None:
            self._log.write(time_ms, message)
        return report

    def _sampled_trace(self) -> str | None:
        """Every invocation has a trace header; the log names only those that are traced."""
        trace_id = self._invocation.trace_id
        return trace_id if lineage.is_sampled(trace_id) else None


def _write(log: EnvironmentLog, record: log_lines.Record, target: Target) -> None:
    """Unless the function's system log level leaves it out."""
    message = log_lines.platform_message(record, target.log_format, target.system_log_level)
    if message is not None:
        log.write(record.time_ms, message)
