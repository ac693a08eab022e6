"""Invocations whose response is read while the function makes it.

Each is a task of its own, so that the function runs to its end when the caller has gone, as on AWS. Refuses to decide
what a caller is told of a failure (services/lambda_ does). Read next: environments/response_stream.py.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from cosset.clock import Clock
from cosset.environments.response_stream import ResponseStream
from cosset.invocation.api import InvocationResult
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)

Run = Callable[[ResponseStream], Awaitable[InvocationResult]]


FREE_BYTES = 6 * 1024 * 1024
BYTES_PER_S = 2 * 1024 * 1024
"""How fast AWS passes a response on once FREE_BYTES of it have gone."""


class Pace:
    """How fast one response may go. `bytes_per_s` None: as fast as it can."""

    def __init__(self, clock: Clock, bytes_per_s: int | None) -> None:
        self._clock = clock
        self._bytes_per_s = bytes_per_s
        self._gone_bytes = 0
        self._slow_since_s: float | None = None

    async def wait(self, size_bytes: int) -> None:
        """Returns when so much more may go."""
        self._gone_bytes += size_bytes
        late_bytes = self._gone_bytes - FREE_BYTES
        if late_bytes <= 0 or self._bytes_per_s is None:
            return
        if self._slow_since_s is None:
            self._slow_since_s = self._clock.monotonic_s()
        due_s = self._slow_since_s + late_bytes / self._bytes_per_s
        left_s = due_s - self._clock.monotonic_s()
        if left_s > 0:
            await self._clock.sleep(left_s)


class RunningStream:
    """Implements invocation.api.StreamedInvocation."""

    def __init__(
        self, version: str, stream: ResponseStream, task: "asyncio.Task[InvocationResult]", pace: "Pace"
    ) -> None:
        self.executed_version = version
        self._stream = stream
        self._task = task
        self._pace = pace

    @property
    def content_type(self) -> str:
        """Of a response that is not streamed: the runtime's own."""
        if self._stream.begun.is_set():
            return self._stream.content_type
        return self._task.result().content_type

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            await self._pace.wait(len(chunk))
            yield chunk
        result = await self.result()
        if not result.streamed and result.function_error is None and result.payload:
            yield result.payload

    async def result(self) -> InvocationResult:
        return await asyncio.shield(self._task)


class Streams:
    """The streamed invocations under way on this node. `bytes_per_s`: of each, after the first FREE_BYTES."""

    def __init__(self, clock: Clock, bytes_per_s: int | None) -> None:
        self._clock = clock
        self._bytes_per_s = bytes_per_s
        self._tasks: set[asyncio.Task[InvocationResult]] = set()

    async def start(self, version: str, run: Run, cancelled: asyncio.Event | None) -> RunningStream:
        """Returns when the response has begun, or ended without a stream. Raises what `run` raises before that."""
        stream = ResponseStream()
        task = asyncio.get_running_loop().create_task(_run(run, stream, cancelled), name="streamed invocation")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        begun = asyncio.ensure_future(stream.begun.wait())
        try:
            await asyncio.wait((begun, task), return_when=asyncio.FIRST_COMPLETED)
        finally:
            begun.cancel()
        if task.done() and not stream.begun.is_set():
            task.result()
        return RunningStream(version, stream, task, Pace(self._clock, self._bytes_per_s))

    def _ended(self, task: "asyncio.Task[InvocationResult]") -> None:
        """The task boundary: whoever asked for the stream may have gone before it failed."""
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, ServiceError):
            logger.error("a streamed invocation failed", exc_info=error)


async def _run(run: Run, stream: ResponseStream, cancelled: asyncio.Event | None) -> InvocationResult:
    leaving = None if cancelled is None else asyncio.create_task(_abandon(stream, cancelled))
    try:
        return await run(stream)
    finally:
        stream.close()
        if leaving is not None:
            leaving.cancel()


async def _abandon(stream: ResponseStream, cancelled: asyncio.Event) -> None:
    await cancelled.wait()
    stream.abandon()
