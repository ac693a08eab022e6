"""Invocations whose response is read while the function makes it.

Each is a task of its own, so that the function runs to its end when the caller has gone, as on AWS. Refuses to decide
what a caller is told of a failure (services/lambda_ does). Read next: environments/response_stream.py.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from cosset.environments.response_stream import ResponseStream
from cosset.invocation.api import InvocationResult
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)

Run = Callable[[ResponseStream], Awaitable[InvocationResult]]


class RunningStream:
    """Implements invocation.api.StreamedInvocation."""

    def __init__(self, version: str, stream: ResponseStream, task: "asyncio.Task[InvocationResult]") -> None:
        self.executed_version = version
        self._stream = stream
        self._task = task

    @property
    def content_type(self) -> str:
        """Of a response that is not streamed: the runtime's own."""
        if self._stream.begun.is_set():
            return self._stream.content_type
        return self._task.result().content_type

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            yield chunk
        result = await self.result()
        if not result.streamed and result.function_error is None and result.payload:
            yield result.payload

    async def result(self) -> InvocationResult:
        return await asyncio.shield(self._task)


class Streams:
    """The streamed invocations under way on this node."""

    def __init__(self) -> None:
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
        return RunningStream(version, stream, task)

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
