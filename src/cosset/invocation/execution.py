"""One event through one environment: take or start it, log START and END and REPORT, hand the event over, let go.

Refuses to queue or to retry what a function did wrong. An environment that turns out to be gone before it took the
event is replaced by another. Read next: starting.py and environments/pool.py below, dispatcher.py above.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from cosset.clock import Clock
from cosset.environments.api import (
    Answer,
    EnvironmentGoneError,
    Event,
    InitError,
    Outcome,
)
from cosset.environments.pool import Pool, Resident
from cosset.environments.response_stream import ResponseStream
from cosset.invocation.admission import Place
from cosset.invocation.api import Invocation, InvocationResult, Target
from cosset.invocation.environment_log import EnvironmentLog
from cosset.invocation.metering import Metering
from cosset.invocation.platform_log import InitLog, PlatformLog
from cosset.invocation.resets import Resets
from cosset.invocation.starting import ON_DEMAND, Planned, Starter, key_of
from cosset.invocation.underway import Underway
from cosset.observe.log_lines import Report
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)

DELIVERIES = 3
"""How many environments may turn out to be gone before the call is given up as our own failure."""


Later = Callable[[Callable[[], None]], object]
"""Calls back when what is being done now is done: `call_soon` of an event loop."""


def _at_once(callback: Callable[[], None]) -> None:
    callback()


@dataclass(frozen=True, slots=True)
class _Started:
    """A taken environment, and its Init when this invocation was the one that started it. `spent_ms`: how much of the
    invocation's own time went into a second Init."""

    resident: Resident
    log: EnvironmentLog
    init_ms: float | None = None
    spent_ms: float = 0.0


class Execution:
    """Runs events of targets in environments of the pool.

    `later`: when the end of an invocation is logged and measured that nobody waits for who wants to see it.
    """

    def __init__(
        self,
        pool: Pool,
        starter: Starter,
        clock: Clock,
        metering: Metering | None = None,
        underway: Underway | None = None,
        later: Later = _at_once,
    ) -> None:
        self._later = later
        self._underway = underway or Underway()
        self._pool = pool
        self._starter = starter
        self._clock = clock
        self._metering = metering
        self._resets = Resets(clock, pool.forget, pool.idle_timeout_s)
        self._settling: set[asyncio.Task[None]] = set()

    async def run(
        self,
        target: Target,
        invocation: Invocation,
        stream: ResponseStream | None = None,
        place: Place | None = None,
    ) -> InvocationResult:
        """Runs the event to its end, whatever the end is. A response that the function streams goes to `stream`; the
        environment is busy until it has ended.

        With `place`, what the invocation holds, the result waits neither for the last lines of the log, which come
        `later`, nor for the function's extensions: what is in `place` is then held until they have ended, in the
        background. A log's tail is whole only with both, though.

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
                if answer.is_settled and self._may_wait(invocation, answer, place):
                    self._finish_later(target, invocation, started, answer)
                elif answer.is_settled:
                    self._finish(target, invocation, started, answer, self._clock.now_ms())
            except EnvironmentGoneError:
                started.log.end_tail()
                self._pool.discard(started.resident)
                continue
            except BaseException:
                self._pool.discard(started.resident)
                raise
            if not answer.is_settled:
                settling = self._settle(target, invocation, started, answer)
                if place is not None and not invocation.want_log_tail:
                    self._settle_later(settling, place.move())
                    return _result(target, invocation, answer, None)
                await settling
            tail = started.log.end_tail() if invocation.want_log_tail else None
            if answer.is_settled:
                self._pool.release(started.resident)
            return _result(target, invocation, answer, tail)
        raise ServiceError(
            "ServiceException", "The environments of this function end before they take an event.", status=500
        )

    async def _settle(self, target: Target, invocation: Invocation, started: _Started, answer: Answer) -> None:
        """Waits for the extensions; then the log tells the end, and the environment is free."""
        try:
            final = await started.resident.environment.settle(answer)
            if self._metering is not None:
                self._metering.extensions_ran(target, invocation, final.duration_ms - answer.duration_ms)
            self._finish(target, invocation, started, final, self._clock.now_ms())
        except BaseException:
            self._pool.discard(started.resident)
            raise
        self._pool.release(started.resident)

    def _settle_later(self, settling: Coroutine[None, None, None], held: Place) -> None:
        async def settle() -> None:
            with held:
                await settling

        task = asyncio.get_running_loop().create_task(settle(), name="extensions at work")
        self._settling.add(task)
        task.add_done_callback(self._settled)

    def _settled(self, task: asyncio.Task[None]) -> None:
        """The task boundary: the caller has its answer and hears of nothing any more."""
        self._settling.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("an invocation did not settle", exc_info=error)

    async def _take(self, target: Target, invocation: Invocation) -> _Started:
        resident = self._pool.take(key_of(target))
        if resident is None:
            reset = self._resets.take(key_of(target))
            if reset is not None:
                return await self._start_again(target, invocation, reset)
            return await self._start(target, invocation)
        assert isinstance(resident.sink, EnvironmentLog)
        # The Init of a provisioned environment is shown by the first REPORT too, though nobody waited for it.
        is_first = resident.is_provisioned and not resident.invocations
        return _Started(resident, resident.sink, resident.environment.init_ms if is_first else None)

    async def _start(self, target: Target, invocation: Invocation) -> _Started:
        planned = await self._starter.plan(target, ON_DEMAND, want_tail=invocation.want_log_tail)
        try:
            resident = await self._starter.make(planned)
        except InitError as error:
            planned.lines.failed(error, "init")
            return await self._start_again(target, invocation, planned)
        return _Started(resident, planned.log, resident.environment.init_ms)

    async def _start_again(self, target: Target, invocation: Invocation, before: Planned) -> _Started:
        """AWS tries a failed Init once more, as part of the invocation: within the function's own timeout, and in the
        same log stream. So it does after the environment has been reset, which a failed Init does too.

        Raises: InitFailedError, ServiceError.
        """
        planned, began_s = before.again(target.timeout_s), self._clock.monotonic_s()
        try:
            resident = await self._starter.make(planned)
        except InitError as error:
            planned.lines.failed(error, "invoke")
            self._resets.add(planned)
            lines = PlatformLog(planned.log, target, invocation)
            self._measure(target, invocation, lines.never_began(error, self._clock.now_ms()))
            raise InitFailedError(_init_failure(target, invocation, planned.log, error)) from None
        except ServiceError:  # it has not begun
            self._resets.add(before)
            raise
        return _Started(resident, planned.log, spent_ms=(self._clock.monotonic_s() - began_s) * 1000)

    async def _deliver(
        self, target: Target, invocation: Invocation, started: _Started, stream: ResponseStream | None
    ) -> Answer:
        environment, now_ms = started.resident.environment, self._clock.now_ms()
        access_key_id = environment.spec.credentials.access_key_id

        def begun() -> None:
            PlatformLog(started.log, target, invocation).start(now_ms)
            self._underway.begin(access_key_id, invocation.trace_id)

        event = Event(
            request_id=invocation.request_id,
            payload=invocation.payload,
            deadline_ms=now_ms + target.timeout_s * 1000 - int(started.spent_ms),
            invoked_arn=invocation.invoked_arn,
            trace_id=invocation.trace_id,
            client_context=invocation.client_context,
            cognito_identity=invocation.cognito_identity,
            stream=stream,
        )
        try:
            answer = await environment.invoke(event, begun)
        finally:
            self._underway.end(access_key_id)
        started.resident.invocations += 1
        started.resident.used_mb = max(answer.max_memory_mb, 1)
        return answer

    def _may_wait(self, invocation: Invocation, answer: Answer, place: Place | None) -> bool:
        """The last lines of the log may: nobody is told that they are there, and nothing is started again."""
        return place is not None and not invocation.want_log_tail and not answer.environment_is_spent

    def _finish_later(self, target: Target, invocation: Invocation, started: _Started, answer: Answer) -> None:
        now_ms = self._clock.now_ms()
        started.log.end_later(lambda: self._finish(target, invocation, started, answer, now_ms))
        self._later(started.log.write_last_lines)

    def _finish(self, target: Target, invocation: Invocation, started: _Started, answer: Answer, now_ms: int) -> None:
        if started.spent_ms:
            answer = answer._replace(duration_ms=answer.duration_ms + started.spent_ms)
        lines = PlatformLog(started.log, target, invocation)
        self._measure(target, invocation, lines.finish(answer, started.init_ms, now_ms))
        resident = started.resident
        if answer.environment_is_spent and resident.is_provisioned:
            self._pool.forget(resident.environment.spec.id)  # another takes its place at once
        elif answer.environment_is_spent:
            init_lines = InitLog(started.log, target, ON_DEMAND, self._clock)
            self._resets.add(Planned(resident.key, resident.environment.spec, started.log, init_lines))

    def _measure(self, target: Target, invocation: Invocation, report: Report) -> None:
        if self._metering is not None:
            self._metering.ran(target, invocation, report)


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
        trace_id=invocation.trace_id,
    )


def _result(target: Target, invocation: Invocation, answer: Answer, tail: bytes | None) -> InvocationResult:
    return InvocationResult(
        payload=answer.payload,
        executed_version=target.version,
        content_type=answer.content_type,
        function_error=None if answer.outcome is Outcome.SUCCESS else "Unhandled",
        log_tail=tail,
        streamed=answer.streamed,
        trace_id=invocation.trace_id,
    )
