"""What caused what, wired: where it is written, and how destinations of asynchronous events come into it."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from cosset.clock import Clock
from cosset.invocation.destinations import Delivery, Destination
from cosset.observe.cause_buffer import CauseBuffer
from cosset.observe.causes import CauseRecorder, sent_step
from cosset.settings import Settings
from cosset.store.journal import Journal, JournalBounds

_DAY_S = 86_400


def open_causes(stack: AsyncExitStack, settings: Settings, data: Path, clock: Clock) -> CauseBuffer:
    """Its task runs until the stack is closed; what is told until then is written."""

    def journal(name: str, size_mb: int, days: int) -> Journal | None:
        if not size_mb:
            return None
        bounds = JournalBounds(size_mb * 1024 * 1024, days * _DAY_S)
        made = Journal(data / "causes" / name, bounds, clock, settings.min_free_mb)
        stack.callback(made.close)
        return made

    buffer = CauseBuffer(
        journal("steps", settings.causes_mb, settings.causes_days),
        journal("events", settings.events_mb, settings.events_days),
        clock,
        max_event_bytes=settings.event_kb * 1024,
    )
    task = asyncio.create_task(buffer.serve(), name="causes")

    async def close() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await buffer.flush()

    stack.push_async_callback(close)
    return buffer


class RecordedDestination:
    """A Destination whose deliveries are steps: `kind` is what they are there."""

    def __init__(self, destination: Destination, kind: str, recorder: CauseRecorder, clock: Clock) -> None:
        self._destination = destination
        self._kind = kind
        self._recorder = recorder
        self._clock = clock

    @property
    def action(self) -> str:
        return self._destination.action

    async def accepts(self, target_arn: str, *, source_arn: str) -> bool:
        return await self._destination.accepts(target_arn, source_arn=source_arn)

    async def deliver(self, delivery: Delivery) -> None:
        await self._destination.deliver(delivery)
        self._recorder.happened(
            sent_step(
                self._kind,
                delivery.id,
                delivery.target_arn,
                source=delivery.function_arn,
                cause="",
                now_ms=self._clock.now_ms(),
                trace_id=delivery.trace_id,
            )
        )
