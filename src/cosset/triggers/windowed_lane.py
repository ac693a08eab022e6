"""The one lane of a shard whose records are aggregated in tumbling windows.

Each batch is of one window, and its answer's state is kept with the checkpoint; when the window is over, by a later
record or by time, the function is called once more to end it. Read next: windows.py.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from cosset.invocation.destinations import Delivery
from cosset.triggers.batching import Batch
from cosset.triggers.calls import Call, Outcome
from cosset.triggers.lanes import Intake
from cosset.triggers.shard_delivery import RETRY_S, Done, ShardDelivery, ShardWork
from cosset.triggers.sources import Record
from cosset.triggers.windows import NoStateError, Window
from cosset.waiting import first_of

Keep = Callable[[str, Sequence[Record]], Awaitable[None]]


class WindowedLane(Intake):
    """As a Lane. `packed` is the window that was open when the shard was read last; `keep` makes one durable, with
    the records that it has taken in."""

    def __init__(self, work: ShardWork, packed: str, keep: Keep) -> None:
        super().__init__()
        self._settings = work.mapping.settings
        self._size_ms = (self._settings.tumbling_window_s or 1) * 1000
        self._clock = work.clock
        self._keep = keep
        self._window = Window.unpack(packed)
        self._shard_id = work.shard_id
        self._arn = work.mapping.source_arn
        self._caller = work.caller
        self._pause = work.pause
        self._delivery = ShardDelivery(replace(work, done=self._passed(work)), self._call)

    async def run(self) -> None:
        while not self._is_abandoned:
            if self._is_over():
                await self._finish(is_early=False)
            elif self._waiting:
                await self._next()
            elif self._is_closed:
                return
            else:
                await self._wait()

    def _is_over(self) -> bool:
        window = self._window
        if window is None:
            return False
        if self._waiting:
            return not window.holds(self._waiting[0])
        return self._is_closed or self._clock.now_ms() >= window.end_ms

    async def _wait(self) -> None:
        if self._window is None:
            await self._changed.wait()
        else:
            left_s = (self._window.end_ms - self._clock.now_ms()) / 1000
            await first_of(self._changed.wait(), self._clock.sleep(max(0.0, left_s)))

    async def _next(self) -> None:
        """One batch of the open window, or of the one that its first record opens."""
        window = self._window or Window.of(self._waiting[0], self._size_ms)
        self._window = window
        members = window.members(self._shard_id, self._arn, is_final=False, is_early=False)
        batch = Batch(self._settings.batch_size or 1, reserve_bytes=len(members))
        await self._gather(batch, window)
        if self._is_abandoned:
            return
        await self._delivery.deliver(batch.records)
        if self._window is not None and self._window.is_too_large:
            await self._finish(is_early=True)

    async def _gather(self, batch: Batch, window: Window) -> None:
        ends_s = self._clock.monotonic_s() + float(self._settings.window_s or 0)
        while not self._is_abandoned:
            while self._waiting and window.holds(self._waiting[0]) and batch.add(self._waiting[0]):
                self._waiting.popleft()
            left_s = ends_s - self._clock.monotonic_s()
            if self._waiting or not batch.room or self._is_closed or left_s <= 0:
                return
            await first_of(self._changed.wait(), self._clock.sleep(left_s))

    async def _finish(self, *, is_early: bool) -> None:
        """Calls until the function has ended the window. Its own failures are retried; there is nothing to give up."""
        window = self._window
        assert window is not None
        more = window.members(self._shard_id, self._arn, is_final=True, is_early=is_early)
        wait_s, tries = RETRY_S[0], 0
        while True:
            call = await self._caller.call((), more)
            tries += call.reached
            if call.outcome in (Outcome.DONE, Outcome.REFUSED) or 0 <= self._most_retries < tries:
                break
            await self._pause(wait_s)
            wait_s = min(wait_s * 2, RETRY_S[1])
        self._window = None
        await self._keep("", ())

    @property
    def _most_retries(self) -> int:
        return -1 if self._settings.max_retries is None else self._settings.max_retries

    async def _call(self, records: Sequence[Record]) -> Call:
        assert self._window is not None
        more = self._window.members(self._shard_id, self._arn, is_final=False, is_early=False)
        call = await self._caller.call(records, more)
        if call.outcome is not Outcome.DONE or call.result is None or call.failed:
            return call
        try:
            self._window = self._window.after(call.result.payload)
        except NoStateError:
            return replace(call, outcome=Outcome.FAILED, failed=frozenset(record.id for record in records))
        return call

    def _passed(self, work: ShardWork) -> Done:
        """Records that the window has taken in pass with its state; those that were given up, with what is owed."""

        async def done(records: Sequence[Record], owed: Sequence[Delivery]) -> None:
            if owed:
                await work.done(records, owed)
            else:
                await self._keep(self._window.pack() if self._window is not None else "", records)

        return done
