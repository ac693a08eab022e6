"""Looks after alarms and old metrics, whether anybody calls CloudWatch or not.

Light on purpose: a node without alarms imports nothing of what evaluates them. It asks the database once, then waits
until an alarm is put, on whatever node. Every node evaluates; a move happens once, since it is a transaction that
finds the alarm as it was seen. Read next: evaluation.py, alarm_actions.py.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from sqlalchemy import select

from cosset.clock import Clock
from cosset.services.cloudwatch.tables import alarms
from cosset.store.database import Store
from cosset.store.errors import StoreError
from cosset.store.metrics import MetricStore
from cosset.store.queue_tables import messages
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)

CHANGES = "cloudwatch/alarms"
"""The topic on which alarms that are put or moved are announced."""
ACTIONS_QUEUE = "alarm-actions"
TICK_S = 5.0
AGE_S = 3600.0


class Keeper(Protocol):
    """What is made when there is an alarm: evaluates, and works through what is owed."""

    async def evaluate_all(self) -> int: ...

    async def serve_actions(self) -> None: ...

    async def stop_actions(self, timeout_s: float) -> None: ...


class AlarmWatch:
    """`serve` runs as a task of the node, until it is cancelled."""

    def __init__(self, store: Store, clock: Clock, make: Callable[[], Keeper]) -> None:
        self._store = store
        self._clock = clock
        self._make = make
        self._changed = asyncio.Event()
        store.on_change(CHANGES, lambda key: self._changed.set())

    async def serve(self) -> None:
        if not await _insist(self._has_work, self._clock):
            await self._changed.wait()
        keeper = self._make()
        actions = asyncio.create_task(keeper.serve_actions(), name="alarm actions")
        try:
            while True:
                self._changed.clear()
                if not await _insist(keeper.evaluate_all, self._clock):
                    await self._changed.wait()
                await self._clock.sleep(TICK_S)
        finally:
            await keeper.stop_actions(0)
            actions.cancel()
            with suppress(asyncio.CancelledError):
                await actions

    async def _has_work(self) -> bool:
        """Alarms, or actions that are still owed."""
        there = select(alarms.c.name).limit(1)
        owed = select(messages.c.id).where(messages.c.queue == ACTIONS_QUEUE).limit(1)
        return await self._store.read(lambda tx: any(tx.execute(each).first() is not None for each in (there, owed)))


async def age_metrics(metrics: MetricStore, clock: Clock) -> None:
    """Every hour. Runs as a task of the node, until it is cancelled."""
    while True:
        await clock.sleep(AGE_S)
        try:
            await metrics.age()
        except (StoreError, ServiceError) as error:
            logger.warning("old metrics are not thinned out yet: %s", error)


async def _insist(ask: Callable[[], Awaitable[int]], clock: Clock) -> int:
    """Asks until there is an answer. The task boundary of the watch: what goes wrong once must not end it."""
    while True:
        try:
            return await ask()
        except (StoreError, ServiceError) as error:
            logger.warning("alarms are not evaluated: %s", error)
        except Exception:
            logger.exception("alarms are not evaluated")
        await clock.sleep(TICK_S)
