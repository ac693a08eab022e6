"""The front of this room: synchronous and asynchronous invocations, from the resolved target to the result.

Refuses to authorize (the gateway has) and to know what a function is (the TargetResolver does). A synchronous
invocation writes nothing to the database. Read next: execution.py, then asynchronous.py.
"""

import asyncio

from cosset.clock import Clock
from cosset.environments.response_stream import ResponseStream
from cosset.invocation import lineage
from cosset.invocation.admission import Admission
from cosset.invocation.api import Invocation, InvocationResult, StreamedInvocation, Target, TargetResolver
from cosset.invocation.asynchronous import AsyncEvents
from cosset.invocation.execution import Execution
from cosset.invocation.limits import ASYNC_PAYLOAD_BYTES, SYNC_PAYLOAD_BYTES, check_payload
from cosset.invocation.metering import Metering
from cosset.invocation.recursion import follow
from cosset.invocation.streaming import BYTES_PER_S, Streams
from cosset.observe.function_metrics import Unmetered
from cosset.wire.errors import ServiceError


class Dispatcher:
    """Implements invocation.api.Invoker on one node. `stream_bytes_per_s`: how fast a large response streams; None: as
    fast as it can."""

    def __init__(
        self,
        targets: TargetResolver,
        admission: Admission,
        execution: Execution,
        events: AsyncEvents,
        clock: Clock,
        *,
        metering: Metering | None = None,
        stream_bytes_per_s: int | None = BYTES_PER_S,
    ) -> None:
        self._targets = targets
        self._admission = admission
        self._metering = metering or Metering(Unmetered(), admission)
        self._execution = execution
        self._events = events
        self._clock = clock
        self._streams = Streams(clock, stream_bytes_per_s)

    async def invoke(self, invocation: Invocation) -> InvocationResult:
        check_payload(invocation.payload, "RequestResponse", SYNC_PAYLOAD_BYTES)
        target = await self._resolve(invocation)
        invocation = self._follow(invocation, target)
        with self._metering.admit(target, invocation) as place:
            return await self._execution.run(target, invocation, place=place)

    async def invoke_to_end(self, invocation: Invocation) -> InvocationResult:
        """As `invoke`, but returns only when the function's extensions have ended too, and the log with them."""
        check_payload(invocation.payload, "RequestResponse", SYNC_PAYLOAD_BYTES)
        target = await self._resolve(invocation)
        invocation = self._follow(invocation, target)
        with self._metering.admit(target, invocation):
            return await self._execution.run(target, invocation)

    async def invoke_streamed(self, invocation: Invocation) -> StreamedInvocation:
        check_payload(invocation.payload, "RequestResponse", SYNC_PAYLOAD_BYTES)
        target = await self._resolve(invocation)
        followed = self._follow(invocation, target)

        async def run(stream: ResponseStream) -> InvocationResult:
            with self._metering.admit(target, followed) as place:
                return await self._execution.run(target, followed, stream, place)

        return await self._streams.start(target.version, run, invocation.cancelled)

    async def invoke_async(self, invocation: Invocation) -> str:
        check_payload(invocation.payload, "Event", ASYNC_PAYLOAD_BYTES)
        await self._resolve(invocation)
        trace_id = lineage.begin(invocation.trace_id, self._clock.now_ms())
        await self._events.accept(invocation._replace(trace_id=trace_id))
        return trace_id

    async def drain(self, timeout_s: float) -> bool:
        """Waits until nothing is under way; False when something still is at the timeout."""
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        while self._admission.under_way:
            if asyncio.get_running_loop().time() > deadline_s:
                return False
            await asyncio.sleep(0.02)
        return True

    def _follow(self, invocation: Invocation, target: Target) -> Invocation:
        try:
            return follow(invocation, target, self._clock.now_ms())
        except ServiceError as error:
            self._metering.refused(target, invocation, error)
            raise

    async def _resolve(self, invocation: Invocation) -> Target:
        return await self._targets.resolve(
            invocation.account, invocation.region, invocation.function_name, invocation.qualifier
        )
