"""Hears what other nodes announce through PostgreSQL, and knows when it does not.

While it is deaf, and once it hears again, every callback is told that anything may have changed, twice a second: so
nothing that was kept meanwhile is older than that.
"""

import asyncio
import json
import logging
from contextlib import suppress

import psycopg
from psycopg import AsyncConnection
from psycopg.pq.abc import PGconn

from cosset.clock import Clock
from cosset.store.changes import ChangeFeed

logger = logging.getLogger(__name__)

CHANNEL = "cosset"
BEAT_S = 0.4
"""How often the connection is asked whether it lives; with one more for the answer, deafness shows within a second."""
RETRY_S = 0.5


class Listener:
    """One connection that only listens, on the event loop."""

    def __init__(self, conninfo: str, node: str, feed: ChangeFeed, clock: Clock) -> None:
        self._conninfo = conninfo
        self._own = f'["{node}"'
        self._feed = feed
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []
        self._tried = asyncio.Event()
        self.hearing = False

    async def start(self) -> None:
        """Returns when it hears, or has failed to for the first time."""
        self._tasks = [
            asyncio.create_task(self._run(), name="store-listener"),
            asyncio.create_task(self._distrust(), name="store-distrust"),
        ]
        await self._tried.wait()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self.hearing = False

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except (psycopg.Error, OSError, TimeoutError) as error:
                if self.hearing or not self._tried.is_set():
                    why = " ".join(str(error).split()) or "no answer"
                    logger.warning("this node hears no changes of other nodes: %s", why)
                    self._feed.deliver_everything()
            finally:
                self.hearing = False
                self._tried.set()
            await self._clock.sleep(RETRY_S)

    async def _distrust(self) -> None:
        """While it is deaf, however long a connection takes to fail."""
        while True:
            await self._clock.sleep(RETRY_S)
            if not self.hearing:
                self._feed.deliver_everything()

    async def _listen(self) -> None:
        async with asyncio.timeout(10):
            connection = await AsyncConnection.connect(self._conninfo, autocommit=True)
        try:
            connection.add_notify_handler(lambda notify: self._heard(notify.payload))
            await connection.execute(f"LISTEN {CHANNEL}")
            self.hearing = True
            if self._tried.is_set():
                logger.warning("this node hears the changes of other nodes again")
                self._feed.deliver_everything()
            self._tried.set()
            while True:
                await self._hear(connection.pgconn)
                async with asyncio.timeout(BEAT_S):
                    await connection.execute("SELECT 1")
        finally:
            await connection.close()

    async def _hear(self, connection: PGconn) -> None:
        """What comes within a beat, in callbacks: most of it is this node's own, and of no interest."""
        loop = asyncio.get_running_loop()
        lost: asyncio.Future[psycopg.Error] = loop.create_future()

        def read() -> None:
            try:
                connection.consume_input()
                while (notify := connection.notifies()) is not None:
                    self._heard(notify.extra.decode(errors="replace"))
            except psycopg.Error as error:
                if not lost.done():
                    lost.set_result(error)

        loop.add_reader(connection.socket, read)
        try:
            await asyncio.wait((lost,), timeout=BEAT_S)
        finally:
            loop.remove_reader(connection.socket)
        if lost.done():
            raise lost.result()

    def _heard(self, payload: str) -> None:
        if payload.startswith(self._own):
            return
        try:
            _, topic, key = json.loads(payload)
        except ValueError:
            logger.warning("something else speaks on the channel %s: %.100s", CHANNEL, payload)
            return
        self._feed.deliver([(topic, key)])
