"""The front of this room: synchronous and asynchronous invocations, from the resolved target to the result.

Refuses to authorize (the gateway has) and to know what a function is (the TargetResolver does). A synchronous
invocation writes nothing to the database. Read next: execution.py, then asynchronous.py.
"""

import asyncio

from cosset.clock import Clock
from cosset.environments.response_stream import ResponseStream
from cosset.invocation.admission import Admission
from cosset.invocation.api import Invocation, InvocationResult, StreamedInvocation, Target, TargetResolver
from cosset.invocation.asynchronous import AsyncEvents
from cosset.invocation.execution import Execution
from cosset.invocation.limits import ASYNC_PAYLOAD_BYTES, SYNC_PAYLOAD_BYTES, check_payload
from cosset.invocation.recursion import follow
from cosset.invocation.streaming import Streams


class Dispatcher:
    """Implements invocation.api.Invoker on one node."""

    def __init__(
        self,
        targets: TargetResolver,
        admission: Admission,
        execution: Execution,
        events: AsyncEvents,
        clock: Clock,
    ) -> None:
        self._targets = targets
        self._admission = admission
        self._execution = execution
        self._events = events
        self._clock = clock
        self._streams = Streams()

    async def invoke(self, invocation: Invocation) -> InvocationResult:
        check_payload(invocation.payload, "RequestResponse", SYNC_PAYLOAD_BYTES)
        target = await self._resolve(invocation)
        invocation = follow(invocation, target, self._clock.now_ms())
        with self._admission.admit(target):
            return await self._execution.run(target, invocation)

    async def invoke_streamed(self, invocation: Invocation) -> StreamedInvocation:
        check_payload(invocation.payload, "RequestResponse", SYNC_PAYLOAD_BYTES)
        target = await self._resolve(invocation)
        followed = follow(invocation, target, self._clock.now_ms())

        async def run(stream: ResponseStream) -> InvocationResult:
            with self._admission.admit(target):
                return await self._execution.run(target, followed, stream)

        return await self._streams.start(target.version, run, invocation.cancelled)

    async def invoke_async(self, invocation: Invocation) -> None:
        check_payload(invocation.payload, "Event", ASYNC_PAYLOAD_BYTES)
        await self._resolve(invocation)
        await self._events.accept(invocation)

    async def drain(self, timeout_s: float) -> bool:
        """Waits until nothing is under way; False when something still is at the timeout."""
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        while self._admission.under_way:
            if asyncio.get_running_loop().time() > deadline_s:
                return False
            await asyncio.sleep(0.02)
        return True

    async def _resolve(self, invocation: Invocation) -> Target:
        return await self._targets.resolve(
            invocation.account, invocation.region, invocation.function_name, invocation.qualifier
        )
