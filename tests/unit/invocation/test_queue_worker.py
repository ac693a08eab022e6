"""The worker of a durable queue outlives a store that refuses for a while, and is handed what comes while it waits."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cosset.invocation.queue_worker import QueueWorker
from cosset.store.database import Store
from cosset.store.errors import DiskFullError
from cosset.store.queue import DurableQueue, Message
from support.clock import ManualClock


class RefusedTwice:
    """Calls through from the third time on."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.refusals = 0

    async def __call__(self, *arguments: Any, **named: Any) -> Any:
        if self.refusals < 2:
            self.refusals += 1
            raise DiskFullError("data")
        return await self.call(*arguments, **named)


@pytest.mark.parametrize("refused", ["recover", "receive", "wait"])
def test_it_waits_until_the_store_answers(tmp_path: Path, refused: str) -> None:
    async def scenario() -> None:
        clock = ManualClock()
        store = await Store.open(data=tmp_path, database=None, clock=clock, min_free_mb=0)
        queue = DurableQueue(store, "events", clock)
        refusing = RefusedTwice(getattr(queue, refused))
        setattr(queue, refused, refusing)
        handled: list[bytes] = []
        done = asyncio.Event()

        async def handle(message: Message) -> None:
            handled.append(message.body)
            await store.write(lambda tx: queue.delete(tx, message))
            done.set()

        worker = QueueWorker(store, queue, handle, clock, noun="event", width=4)
        serving = asyncio.create_task(worker.serve())
        while refusing.refusals < 2:
            await asyncio.sleep(0.001)
            clock.advance(1)
        await store.write(lambda tx: queue.send(tx, b"here"))
        while not done.is_set():
            await asyncio.sleep(0.001)
            clock.advance(1)
        assert handled == [b"here"]
        await worker.stop(1)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await store.close()

    asyncio.run(scenario())


class Busy:
    """A worker of two at once whose handler ends when it is let."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store = store
        self.queue = DurableQueue(store, "events", clock)
        self.receipts = 0
        self._receive = self.queue.receive
        self.queue.receive = self.receive  # type: ignore[method-assign]
        self.begun: list[Message] = []
        self.most = self.under_way = 0
        self.go = asyncio.Event()
        self.worker = QueueWorker(store, self.queue, self.handle, clock, noun="event", width=2)

    async def receive(self, *, limit: int, lease_ms: int) -> list[Message]:
        self.receipts += 1
        return await self._receive(limit=limit, lease_ms=lease_ms)

    async def handle(self, message: Message) -> None:
        self.begun.append(message)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await self.go.wait()
        self.under_way -= 1
        await self.store.write(lambda tx: self.queue.delete(tx, message))

    async def send(self, *bodies: bytes) -> None:
        for body in bodies:
            await self.store.write(lambda tx, body=body: self.queue.send(tx, body))  # type: ignore[misc]


def in_busy(folder: Path, test: Any) -> None:
    async def scenario() -> None:
        clock = ManualClock()
        store = await Store.open(data=folder, database=None, clock=clock, min_free_mb=0)
        busy = Busy(store, clock)
        serving = asyncio.create_task(busy.worker.serve())
        while not busy.queue.is_awaited:
            await asyncio.sleep(0.001)
        try:
            await test(busy)
        finally:
            busy.go.set()
            await busy.worker.stop(1)
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
            await store.close()

    asyncio.run(scenario())


def test_what_is_sent_while_it_waits_begins_without_being_received(tmp_path: Path) -> None:
    async def test(busy: Busy) -> None:
        await busy.send(b"a")
        await asyncio.sleep(0)
        assert [each.body for each in busy.begun] == [b"a"]
        assert busy.receipts == 1  # before it began to wait

    in_busy(tmp_path, test)


def test_no_more_are_under_way_than_there_is_room_for_and_each_runs_once(tmp_path: Path) -> None:
    async def test(busy: Busy) -> None:
        sent = [b"%d" % number for number in range(12)]
        await asyncio.gather(*(busy.send(each) for each in sent))
        busy.go.set()
        while await busy.queue.count():
            await asyncio.sleep(0.001)
        assert sorted(each.body for each in busy.begun) == sorted(sent)
        assert busy.most == 2

    in_busy(tmp_path, test)


def test_promises_to_senders_who_came_to_nothing_are_forgotten(tmp_path: Path) -> None:
    async def test(busy: Busy) -> None:
        def fails(tx: Any) -> None:
            busy.queue.send(tx, b"never")
            raise LookupError

        busy.go.set()
        for _ in range(4):  # twice as many as there are places
            with pytest.raises(LookupError):
                await busy.store.write(fails)
        await busy.send(b"received")
        while busy.receipts < 3 or not busy.queue.is_awaited:  # it looked for it, and again when it had it
            await asyncio.sleep(0.001)
        await busy.send(b"handed")
        while await busy.queue.count():
            await asyncio.sleep(0.001)
        assert [each.body for each in busy.begun] == [b"received", b"handed"]
        assert busy.receipts == 3

    in_busy(tmp_path, test)


def test_what_was_handed_to_a_killed_process_comes_first_when_it_is_back(tmp_path: Path) -> None:
    async def test(busy: Busy) -> None:
        await busy.send(b"a")
        await asyncio.sleep(0)
        assert [each.attempts for each in busy.begun] == [1]
        (message,) = busy.begun
        handled: list[Message] = []

        async def handle(again: Message) -> None:
            handled.append(again)

        other = QueueWorker(busy.store, busy.queue, handle, ManualClock(), noun="event", width=2)
        serving = asyncio.create_task(other.serve())  # as the next process does
        while not handled:
            await asyncio.sleep(0.001)
        assert [(each.body, each.attempts) for each in handled] == [(b"a", 2)]
        assert not await busy.store.write(lambda tx: busy.queue.delete(tx, message))
        await other.stop(1)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    in_busy(tmp_path, test)


def test_what_was_handed_over_above_the_width_begins_when_there_is_room(tmp_path: Path) -> None:
    async def test(busy: Busy) -> None:
        await busy.send(b"a", b"b")
        message = busy.begun[0]
        busy.worker.take(replace(message, body=b"above"))  # as when a promise was forgotten
        assert len(busy.begun) == 2
        busy.go.set()
        while len(busy.begun) < 3:
            await asyncio.sleep(0.001)
        assert busy.begun[2].body == b"above"

    in_busy(tmp_path, test)
