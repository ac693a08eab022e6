"""The state machine of one execution environment, whatever isolates it: a Process, a Transport and a LogPipe joined.

Four things can end an invocation: the reply, the deadline, the end of the process, the failure of an extension.
Whichever comes first decides, the others are ignored; after anything but a reply everything is killed before the answer
goes out. Extensions may go on after the reply: the environment is then Busy until `settle`. AWS's error objects for
these ends are made here. Read next: extensions/phases.py, process.py and jail/ (what makes the parts), pool.py (who
keeps the result).
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from cosset.clock import Clock
from cosset.environments.api import (
    Answer,
    EnvironmentGoneError,
    EnvironmentSpec,
    EnvironmentState,
    Event,
    InitError,
    Outcome,
    error_object,
    nothing,
)
from cosset.environments.extensions.phases import FAILURE, SPINDOWN, TIMEOUT, ExtensionPhases
from cosset.environments.extensions.registry import ExtensionFailure
from cosset.environments.log_pipe import LogPipe
from cosset.environments.transport import (
    TRUNCATED,
    Exit,
    Process,
    Reply,
    RuntimeInitError,
    Transport,
    TransportClosedError,
    signal_name,
)

REPLY_GRACE_S = 0.02
"""A runtime may answer and exit at once: how long its last bytes may still be on their way to us."""


class RunningEnvironment:
    """One environment of any tier. The tier makes it, awaits `start`, and hands it out.

    Args:
        process, transport, log_pipe, extensions: owned from here on; `shutdown` lets all of them go.
        started_s: when the tier began to make it (monotonic); Init is measured from there.
    """

    def __init__(
        self,
        spec: EnvironmentSpec,
        process: Process,
        transport: Transport,
        log_pipe: LogPipe,
        clock: Clock,
        started_s: float | None = None,
        extensions: ExtensionPhases | None = None,
    ) -> None:
        self.spec = spec
        self.state = EnvironmentState.INIT
        self.init_ms = 0.0
        self._process = process
        self._transport = transport
        self._log_pipe = log_pipe
        self._clock = clock
        self._extensions = extensions
        self._active = extensions if extensions is not None and extensions.starts_external else None
        """None where there is no extension, as there mostly is not: nothing is then to be told to anyone."""
        self._failure: ExtensionFailure | None = None
        self._event: Event | None = None
        """The one under way, kept where extensions are to be told of its end."""
        self._began_s = 0.0
        self._init_error: str | None = None
        self._has_answered = False
        self._was_initializing = False
        self._failing: asyncio.Task[None] | None = None
        if extensions is not None:
            extensions.on_failure = self._extension_failed
        self._started_s = clock.monotonic_s() if started_s is None else started_s
        self._exit: Exit | None = None
        self._process_ended = False
        self._was_at_work = False
        self._timed_out = False
        self._over = asyncio.Event()
        self._deadline_s = 0.0
        self._ended_s = 0.0
        self._timer: asyncio.Task[None] | None = None
        self._timer_due_s = 0.0
        self._watcher = asyncio.get_running_loop().create_task(self._watch(), name=f"watch {spec.id}")
        self._ending: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Waits for the runtime to ask for its first event, at most `spec.init_timeout_s`.

        Raises: InitError, with nothing left behind.
        """
        assert self.state is EnvironmentState.INIT
        self._arm(self._started_s + self.spec.init_timeout_s)
        try:
            await self._initialize()
        except RuntimeInitError as reported:
            phase_ms, max_memory_mb = self._since_ms(self._started_s), self._process.peak_memory_mb()
            self._init_error = reported.error_type
            await self.shutdown()
            raise InitError(
                reported.error_type,
                "the runtime reported it",
                reported.payload,
                phase_ms,
                max_memory_mb=max_memory_mb,
            ) from None
        except TransportClosedError:
            await self._over.wait()
            raise await self._init_ended() from None
        except asyncio.CancelledError:
            await self.shutdown()
            raise
        if not self._log_pipe.is_drained():
            await self._log_pipe.drain()
        if self._ending is not None:  # it ended while it printed its last
            await self._over.wait()
            raise await self._init_ended()
        self.init_ms = self._since_ms(self._started_s)
        self.state = EnvironmentState.READY
        if self._active is not None:
            self._active.init_over(self.init_ms)

    async def invoke(self, event: Event, begun: Callable[[], None] = nothing) -> Answer:
        if self.state is not EnvironmentState.READY:
            raise EnvironmentGoneError(f"environment {self.spec.id} is {self.state.value}")
        self.state = EnvironmentState.BUSY
        began_s = self._clock.monotonic_s()
        self._arm(began_s + (event.deadline_ms - self._clock.now_ms()) / 1000)
        if self._active is not None:
            self._event, self._began_s, self._has_answered = event, began_s, False
            self._active.invoked(event)
        try:
            replying = self._transport.exchange(event)
            begun()
            reply = await replying
        except TransportClosedError as closed:
            return await self._ended(event, began_s, delivered=closed.delivered)
        except asyncio.CancelledError:
            await self.shutdown()
            raise
        if self._timed_out or (reply.error_type == TRUNCATED and self._process_ended):
            return await self._ended(event, began_s, delivered=True)
        return await self._answered(event, reply, began_s)

    async def settle(self, answer: Answer) -> Answer:
        event, extensions = self._event, self._active
        assert not answer.is_settled
        assert event is not None
        assert extensions is not None
        try:
            await extensions.registry.all_at_rest()
        except TransportClosedError:
            await self.shutdown()
            outcome, error_type, message = self._describe_end()
            return answer._replace(
                outcome=outcome,
                error_type=error_type,
                payload=error_object(error_type, message, event.request_id),
                duration_ms=(self._ended_s - self._began_s) * 1000,
                max_memory_mb=self._process.peak_memory_mb(),
                is_settled=True,
            )
        await self._log_pipe.drain()
        return self._rested(event, answer._replace(duration_ms=self._since_ms(self._began_s), is_settled=True))

    async def shutdown(self) -> None:
        if self._ending is None:
            self._was_initializing = self.state is EnvironmentState.INIT
            self._was_at_work = self.state in (EnvironmentState.INIT, EnvironmentState.BUSY)
            self.state = EnvironmentState.SHUTDOWN
            self._ended_s = self._ended_s or self._clock.monotonic_s()
            self._ending = asyncio.get_running_loop().create_task(self._end(), name=f"end {self.spec.id}")
        await asyncio.shield(self._ending)

    # The three ways an invocation ends.

    async def _answered(self, event: Event, reply: Reply, began_s: float) -> Answer:
        duration_ms = self._since_ms(began_s)
        if not self._log_pipe.is_drained():
            await self._log_pipe.drain()
        answer = Answer(
            outcome=Outcome.SUCCESS if reply.error_type is None else Outcome.ERROR,
            payload=reply.payload,
            duration_ms=duration_ms,
            max_memory_mb=self._process.peak_memory_mb(),
            content_type=reply.content_type,
            error_type=reply.error_type,
            streamed=event.is_streaming,
        )
        if self._active is not None:
            self._has_answered = True
            self._active.events.runtime_done(event, answer)
            if self._active.registry.are_busy and self.state is EnvironmentState.BUSY:
                return answer._replace(is_settled=False)
        return self._rested(event, answer)

    def _rested(self, event: Event, answer: Answer) -> Answer:
        """Nothing inside works on the event any more."""
        if self._active is not None:
            self._active.over(event, answer)
            self._event = None
        if self.state is EnvironmentState.BUSY:
            # A runtime that answered and ended at once has answered all the same, but takes no more events.
            self.state = EnvironmentState.SHUTDOWN if self._process_ended else EnvironmentState.READY
        return answer

    async def _ended(self, event: Event, began_s: float, *, delivered: bool) -> Answer:
        await self._over.wait()
        duration_ms = (self._ended_s - began_s) * 1000
        max_memory_mb = self._process.peak_memory_mb()
        await self.shutdown()
        if not delivered and not self._timed_out:
            raise EnvironmentGoneError(f"environment {self.spec.id} ended before it took the event")
        outcome, error_type, message = self._describe_end()
        return Answer(
            outcome=outcome,
            payload=error_object(error_type, message, event.request_id),
            duration_ms=duration_ms,
            max_memory_mb=max_memory_mb,
            error_type=error_type,
            streamed=event.is_streaming,
        )

    async def _init_ended(self) -> InitError:
        phase_ms, max_memory_mb = self._since_ms(self._started_s), self._process.peak_memory_mb()
        await self.shutdown()
        outcome, error_type, message = self._describe_end()
        status = "timeout" if outcome is Outcome.TIMEOUT else "error"
        return InitError(error_type, message, b"", phase_ms, status, max_memory_mb)

    def _describe_end(self) -> tuple[Outcome, str, str]:
        if self._failure is not None:
            return Outcome.EXIT, self._failure.error_type, self._failure.message
        if self._timed_out:
            message = f"Task timed out after {self.spec.timeout_s:.2f} seconds"
            return Outcome.TIMEOUT, "Sandbox.Timedout", message
        return describe_exit(self._exit or Exit(signal=9))  # None: shut down by us while it was busy

    # Who watches.

    async def _watch(self) -> None:
        """The end of the process ends the environment, in whatever state it is."""
        ended = await self._runtime_end()
        self._process_ended = True
        self._ended_s = self._clock.monotonic_s()
        if self.state in (EnvironmentState.INIT, EnvironmentState.BUSY):
            await self._clock.sleep(REPLY_GRACE_S)
        self._exit = ended
        await self.shutdown()

    async def _runtime_end(self) -> Exit:
        """With external extensions, that of the runtime alone: they outlive it for a while."""
        if self._extensions is None or not self._extensions.starts_external:
            return await self._process.wait()
        ends = [asyncio.ensure_future(end) for end in (self._process.wait(), self._extensions.runtime_ended())]
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for end in ends:
                end.cancel()

    def _extension_failed(self, failure: ExtensionFailure) -> None:
        """It ends the environment, whatever that does."""
        if self._ending is None:
            self._failure = failure
            self._ended_s = self._clock.monotonic_s()
            self._failing = asyncio.get_running_loop().create_task(self.shutdown(), name=f"fail {self.spec.id}")

    def _arm(self, deadline_s: float) -> None:
        """One timer serves many invocations: when it goes off early, it goes on to the deadline that holds then."""
        self._deadline_s = deadline_s
        if self._timer is not None and not self._timer.done():
            if self._timer_due_s <= deadline_s:
                return
            self._timer.cancel()
        self._timer_due_s = deadline_s
        self._timer = asyncio.get_running_loop().create_task(self._time_out(), name=f"deadline {self.spec.id}")

    async def _time_out(self) -> None:
        while (left_s := self._deadline_s - self._clock.monotonic_s()) > 0:
            self._timer_due_s = self._deadline_s
            await self._clock.sleep(left_s)
            if self.state not in (EnvironmentState.INIT, EnvironmentState.BUSY):
                return
        if self.state in (EnvironmentState.INIT, EnvironmentState.BUSY) and self._exit is None:
            self._timed_out = True
            self._ended_s = self._deadline_s
            await self.shutdown()

    async def _end(self) -> None:
        for task in (self._timer, self._watcher):
            if task is not None and task is not asyncio.current_task():
                task.cancel()
        try:
            if self._active is not None:
                await self._shut_extensions_down(self._active)
            # First: a runtime that saw its connection close would print about it.
            await self._process.kill(is_reset=self._is_reset())
        finally:
            self._over.set()
            self._transport.close()
            try:
                if self._extensions is not None:
                    await self._extensions.close()
            finally:
                self._log_pipe.close()

    async def _shut_extensions_down(self, extensions: ExtensionPhases) -> None:
        reason = TIMEOUT if self._timed_out else SPINDOWN
        if self._failure is not None or self._init_error is not None or self._process_ended:
            reason = FAILURE
        self._tell_ended(extensions)
        await extensions.shut_down(reason, is_runtime_alive=not self._process_ended)
        if extensions.starts_external and self._exit is not None:
            await self._process.kill(is_reset=self._is_reset())
            self._exit = replace(self._exit, oom=(await self._process.wait()).oom)  # only now it can be told

    def _is_reset(self) -> bool:
        """It ended of what happened inside while it had something to do: another may be started in its place."""
        has_failed = self._timed_out or self._process_ended or self._failure is not None or self._init_error is not None
        return self._was_at_work and has_failed

    def _tell_ended(self, extensions: ExtensionPhases) -> None:
        """Of an Init or an invocation that ends with its environment: the extensions hear of it during Shutdown."""
        outcome, error_type, _ = self._describe_end()
        if self._was_initializing:
            status = "timeout" if outcome is Outcome.TIMEOUT else "error"
            extensions.init_failed(status, self._init_error or error_type, self._since_ms(self._started_s))
        event, self._event = self._event, None
        if event is None:
            return
        answer = Answer(
            outcome=outcome,
            payload=b"",
            duration_ms=(self._ended_s - self._began_s) * 1000,
            max_memory_mb=self._process.peak_memory_mb(),
            error_type=error_type,
        )
        if not self._has_answered:
            extensions.events.runtime_done(event, answer)
        extensions.events.reported(event, answer)

    async def _initialize(self) -> None:
        """Raises: RuntimeInitError, TransportClosedError."""
        extensions = self._extensions
        if extensions is None:
            await self._transport.ready()
            return
        await extensions.begin()
        await self._transport.ready()
        extensions.registry.close_registration()
        if not extensions.registry.is_empty:
            self._active = extensions
            await extensions.runtime_is_ready()

    def _since_ms(self, start_s: float) -> float:
        return (self._clock.monotonic_s() - start_s) * 1000


def describe_exit(ended: Exit) -> tuple[Outcome, str, str]:
    """How AWS calls the end of a process: outcome, error type, message."""
    if ended.oom:
        return Outcome.OUT_OF_MEMORY, "Runtime.OutOfMemory", "Runtime exited with error: signal: killed"
    if ended.signal is not None:
        return Outcome.EXIT, "Runtime.ExitError", f"Runtime exited with error: signal: {signal_name(ended.signal)}"
    if ended.code:
        return Outcome.EXIT, "Runtime.ExitError", f"Runtime exited with error: exit status {ended.code}"
    return Outcome.EXIT, "Runtime.ExitError", "Runtime exited without providing a reason"
