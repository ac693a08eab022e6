"""Takes messages from a durable queue and gives each to a handler in a task of its own, under a lease kept alive.

While it has found nothing, what is sent on this node is handed to it in the sender's own transaction (decision 0041).
A handler settles its message itself (deletes or releases it). One that fails is logged, and its message comes again
when the lease ends. Read next: store/queue.py for what a lease is.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from cosset.clock import Clock
from cosset.store.database import Store
from cosset.store.queue import DurableQueue, Message
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)

LEASE_MS = 60_000
WAIT_S = 5.0
RETRY_S = 1.0

T = TypeVar("T")


class QueueWorker:
    """Implements store.queue.Taker. `noun` is what the messages are, for the log. `width`: messages under way at once
    on this node."""

    lease_ms = LEASE_MS

    def __init__(
        self,
        store: Store,
        queue: DurableQueue,
        handler: Callable[[Message], Awaitable[None]],
        clock: Clock,
        *,
        noun: str,
        width: int,
    ) -> None:
        self._store = store
        self._queue = queue
        self._handler = handler
        self._clock = clock
        self._noun = noun
        self._width = width
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        # Places that senders were promised since something was last taken. Their transactions may come to nothing, so
        # it is a guess, made anew all the time; what comes above the width waits in `_handed` for a place.
        self._promised = 0
        self._handed: deque[tuple[Message, int]] = deque()

    async def serve(self) -> None:
        """Runs until it is cancelled, after `stop`. What a killed process had under way comes first."""
        await self._insist(self._queue.recover)
        while not self._stopping:
            room = self._width - len(self._tasks)
            receive = partial(self._queue.receive, limit=room, lease_ms=LEASE_MS)
            messages = await self._insist(receive) if room else []
            for message in messages:
                self._begin(message)
            if not room:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            elif not messages:
                await self._wait()

    async def _wait(self) -> None:
        """Until something may be due: an idle node writes nothing. What is sent here meanwhile is handed over."""
        is_due = False
        while not is_due:
            self._promised = 0
            with self._queue.handing_to(self):
                is_due = await self._insist(partial(self._queue.wait, WAIT_S))

    def has_place(self) -> bool:
        has_place = not self._stopping and len(self._tasks) + self._promised < self._width
        self._promised += has_place
        return has_place

    def take(self, message: Message) -> None:
        self._promised = max(0, self._promised - 1)
        if self._stopping or len(self._handed) >= self._width:
            return  # it comes again when its lease ends
        if len(self._tasks) < self._width:
            self._begin(message)
        else:
            self._handed.append((message, self._clock.now_ms() + LEASE_MS))

    def _begin(self, message: Message) -> None:
        task = asyncio.get_running_loop().create_task(self.handle(message), name=f"{self._noun} {message.id}")
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        while self._handed and not self._stopping and len(self._tasks) < self._width:
            message, until_ms = self._handed.popleft()
            if self._clock.now_ms() < until_ms:
                self._begin(message)

    async def stop(self, timeout_s: float) -> None:
        """Takes no more messages; waits for those under way, at most this long. What is left keeps its place."""
        self._stopping = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        for task in self._tasks:
            task.cancel()

    async def handle(self, message: Message) -> None:
        """The task boundary of one message: nothing it does may end the worker."""
        keeper = asyncio.get_running_loop().create_task(self._keep_lease(message))
        try:
            await self._handler(message)
        except ServiceError as error:
            # A full disk, an overload: no fault of the code's, and its place says nothing.
            logger.warning("%s %s waits until its lease ends: %s", self._noun, message.id, error)
        except Exception:
            logger.exception("%s %s could not be settled; it comes again when its lease ends", self._noun, message.id)
        finally:
            keeper.cancel()

    async def settle(self, write: Callable[[Transaction], object]) -> None:
        """Writes what became of a message, once the store takes it: what ran need not run again because the disk was
        full for a while. The lease may end meanwhile; then whoever has the message settles it again."""
        await self._insist(partial(self._store.write, write))

    async def _insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Asks until the store answers: a full disk, an overload, a lost database pass, and end no worker."""
        while True:
            try:
                return await ask()
            except ServiceError as error:
                logger.warning("the store keeps the work on each %s waiting: %s", self._noun, error)
                await self._clock.sleep(RETRY_S)

    async def _keep_lease(self, message: Message) -> None:
        while True:
            await self._clock.sleep(LEASE_MS / 3000)
            try:
                held = await self._store.write(lambda tx: self._queue.extend(tx, message, LEASE_MS))
            except ServiceError as error:
                logger.warning("the lease of %s %s was not extended: %s", self._noun, message.id, error)
                continue
            if not held:
                return
