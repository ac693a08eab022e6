"""One event through one environment: take or start it, log START and END and REPORT, hand the event over, let go.

Refuses to queue or to retry what a function did wrong. An environment that turns out to be gone before it took the
event is replaced by another. Read next: environments/pool.py below, dispatcher.py above.
"""

import secrets
import time
from dataclasses import dataclass, replace

from cosset.clock import Clock
from cosset.environments.api import (
    Answer,
    EnvironmentGoneError,
    EnvironmentSpec,
    Event,
    InitError,
    Outcome,
    TierUnavailableError,
)
from cosset.environments.pool import Pool, PoolFullError, PoolKey, Resident
from cosset.environments.response_stream import ResponseStream
from cosset.identity.ports import SessionIssuer
from cosset.invocation.admission import ThrottledError
from cosset.invocation.api import Invocation, InvocationResult, Target
from cosset.invocation.environment_log import EnvironmentLog
from cosset.invocation.platform_log import PlatformLog
from cosset.observe.ports import LogWriter, StreamKey
from cosset.wire.errors import ServiceError

SESSION_S = 12 * 3600
"""How long the credentials in an environment hold; the pool lets environments go well before."""

DELIVERIES = 3
"""How many environments may turn out to be gone before the call is given up as our own failure."""


@dataclass(frozen=True, slots=True)
class _Started:
    """A taken environment, and its Init when this invocation was the one that started it. `spent_ms`: how much of the
    invocation's own time went into a second Init."""

    resident: Resident
    log: EnvironmentLog
    init_ms: float | None = None
    spent_ms: float = 0.0


class Execution:
    """Runs events of targets in environments of the pool."""

    def __init__(self, pool: Pool, sessions: SessionIssuer, logs: LogWriter, clock: Clock) -> None:
        self._pool = pool
        self._sessions = sessions
        self._logs = logs
        self._clock = clock

    async def run(
        self, target: Target, invocation: Invocation, stream: ResponseStream | None = None
    ) -> InvocationResult:
        """Runs the event to its end, whatever the end is. A response that the function streams goes to `stream`; the
        environment is busy until it has ended.

        Raises:
            ServiceError: TooManyRequestsException when the node is full, ServiceException when the platform failed.
        """
        for _ in range(DELIVERIES):
            try:
                started = await self._take(target, invocation)
            except InitFailedError as failed:
                return failed.result
            if invocation.want_log_tail:
                started.log.begin_tail()
            try:
                answer = await self._deliver(target, invocation, started, stream)
            except EnvironmentGoneError:
                started.log.end_tail()
                self._pool.discard(started.resident)
                continue
            except BaseException:
                self._pool.discard(started.resident)
                raise
            tail = started.log.end_tail() if invocation.want_log_tail else None
            self._pool.release(started.resident)
            return _result(target, answer, tail)
        raise ServiceError(
            "ServiceException", "The environments of this function end before they take an event.", status=500
        )

    async def _take(self, target: Target, invocation: Invocation) -> _Started:
        key = PoolKey(target.arn, target.version, target.revision)
        resident = self._pool.take(key)
        if resident is not None:
            assert isinstance(resident.sink, EnvironmentLog)
            return _Started(resident, resident.sink)
        return await self._start(key, target, invocation)

    async def _start(self, key: PoolKey, target: Target, invocation: Invocation) -> _Started:
        environment_id = secrets.token_hex(16)
        stream = _stream_name(self._clock.now_ms(), target.version, environment_id)
        log = EnvironmentLog(StreamKey(target.account, target.region, target.log_group, stream), self._logs)
        lines = PlatformLog(log, target, invocation, self._clock)
        if invocation.want_log_tail:
            log.begin_tail()
        credentials = await self._sessions.issue(target.role, target.name, SESSION_S, target.arn)
        lines.init_start(environment_id)
        spec = EnvironmentSpec(
            id=environment_id,
            account=target.account,
            region=target.region,
            function_name=target.name,
            function_arn=target.arn,
            version=target.version,
            runtime=target.runtime,
            handler=target.handler,
            memory_mb=target.memory_mb,
            timeout_s=target.timeout_s,
            ephemeral_storage_mb=target.ephemeral_storage_mb,
            code_dir=target.code_dir,
            layer_dirs=target.layer_dirs,
            variables=target.variables,
            log_group=target.log_group,
            log_stream=stream,
            log_format=target.log_format,
            application_log_level=target.application_log_level,
            system_log_level=target.system_log_level,
            architecture=target.architecture,
            credentials=credentials,
        )
        try:
            resident = await self._make(key, spec, log)
        except InitError as error:
            lines.init_failed(error, "init")
            return await self._start_again(key, target, invocation, spec, log)
        return _Started(resident, log, resident.environment.init_ms)

    async def _start_again(
        self, key: PoolKey, target: Target, invocation: Invocation, spec: EnvironmentSpec, log: EnvironmentLog
    ) -> _Started:
        """AWS tries a failed Init once more, as part of the invocation: within the function's own timeout, and in the
        same log stream.

        Raises: InitFailedError.
        """
        lines = PlatformLog(log, target, invocation, self._clock)
        began_s = self._clock.monotonic_s()
        try:
            resident = await self._make(
                key, replace(spec, id=secrets.token_hex(16), init_timeout_s=target.timeout_s), log
            )
        except InitError as error:
            lines.init_failed(error, "invoke")
            lines.never_began(error)
            raise InitFailedError(_init_failure(target, invocation, log, error)) from None
        return _Started(resident, log, spent_ms=(self._clock.monotonic_s() - began_s) * 1000)

    async def _make(self, key: PoolKey, spec: EnvironmentSpec, log: EnvironmentLog) -> Resident:
        """Raises: InitError, ThrottledError, ServiceError."""
        try:
            return await self._pool.start(key, spec, log)
        except PoolFullError:
            raise ThrottledError("ConcurrentInvocationLimitExceeded") from None
        except TierUnavailableError as error:
            raise ServiceError("ServiceException", str(error), status=500) from error

    async def _deliver(
        self, target: Target, invocation: Invocation, started: _Started, stream: ResponseStream | None
    ) -> Answer:
        lines = PlatformLog(started.log, target, invocation, self._clock)
        lines.start()
        answer = await started.resident.environment.invoke(
            Event(
                request_id=invocation.request_id,
                payload=invocation.payload,
                deadline_ms=self._clock.now_ms() + target.timeout_s * 1000 - int(started.spent_ms),
                invoked_arn=invocation.invoked_arn,
                trace_id=invocation.trace_id,
                client_context=invocation.client_context,
                cognito_identity=invocation.cognito_identity,
                stream=stream,
            )
        )
        started.resident.invocations += 1
        if started.spent_ms:
            answer = replace(answer, duration_ms=answer.duration_ms + started.spent_ms)
        lines.finish(answer, started.init_ms)
        return answer


class InitFailedError(Exception):
    """Init failed; the invocation has its result all the same. Stays inside this module's run."""

    def __init__(self, result: InvocationResult) -> None:
        super().__init__("init failed")
        self.result = result


def _init_failure(target: Target, invocation: Invocation, log: EnvironmentLog, error: InitError) -> InvocationResult:
    return InvocationResult(
        payload=error.payload_for(invocation.request_id),
        executed_version=target.version,
        function_error="Unhandled",
        log_tail=log.end_tail() if invocation.want_log_tail else None,
    )


def _result(target: Target, answer: Answer, tail: bytes | None) -> InvocationResult:
    return InvocationResult(
        payload=answer.payload,
        executed_version=target.version,
        content_type=answer.content_type,
        function_error=None if answer.outcome is Outcome.SUCCESS else "Unhandled",
        log_tail=tail,
        streamed=answer.streamed,
    )


def _stream_name(now_ms: int, version: str, environment_id: str) -> str:
    """AWS's name for the stream of one environment: 2026/11/21/[$LATEST]0123456789abcdef0123456789abcdef."""
    return f"{time.strftime('%Y/%m/%d', time.gmtime(now_ms / 1000))}/[{version}]{environment_id}"
