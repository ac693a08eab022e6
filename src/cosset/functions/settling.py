"""The states that a function passes through by itself: Pending to Active, InProgress to Successful.

Whatever takes time (checking, unpacking, fsync) is done before the call answers, so nothing can fail here. AWS's
intermediate states are shown all the same, for a moment, because clients' waiters, and conflicts between updates,
stand on them. A state that a stop caught half way is settled at the next start.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Callable

from cosset.clock import Clock
from cosset.functions import records
from cosset.functions.model import FunctionKey, FunctionState, FunctionVersion, UpdateStatus
from cosset.store.database import Store, Transaction
from cosset.store.errors import DiskFullError, StoreError
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)

UPDATE_S = 0.5
"""How long an update shows as InProgress."""
RETRY_S = 1.0


class Settling:
    """Brings functions to rest, each in a task of its own. `at_rest` is called with each that has come to it here."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        new_id: Callable[[], str],
        update_s: float = UPDATE_S,
        at_rest: Callable[[FunctionKey], None] = lambda key: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._update_s = update_s
        self._at_rest = at_rest
        self._tasks: set[asyncio.Task[None]] = set()
        self._creating: dict[FunctionKey, asyncio.Task[None]] = {}

    async def settle_left(self) -> None:
        """Settles at once whatever is on its way: what the last stop left, or a node that has gone."""
        for key in await self._store.read(records.unsettled_keys):
            try:
                await self._settle(key)
            except DiskFullError:  # what is settled already still runs, so a node starts all the same
                self._begin(key, RETRY_S)

    def created(self, key: FunctionKey) -> None:
        """Call after the commit. A new function becomes Active at once."""
        task = self._begin(key, 0.0)
        self._creating[key] = task
        task.add_done_callback(lambda done: self._creating.pop(key, None))

    def updated(self, key: FunctionKey) -> None:
        """Call after the commit."""
        self._begin(key, self._update_s)

    async def wait_created(self, key: FunctionKey) -> None:
        """Returns when the function is not about to become Active on this node."""
        if task := self._creating.get(key):
            await asyncio.wait([task])

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, key: FunctionKey, delay_s: float) -> asyncio.Task[None]:
        task = asyncio.create_task(self._settle_after(key, delay_s), name=f"settle {key.arn}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _settle_after(self, key: FunctionKey, delay_s: float) -> None:
        if delay_s > 0:
            await self._clock.sleep(delay_s)
        while True:
            try:
                await self._settle(key)
                return self._at_rest(key)
            except (StoreError, ServiceError) as error:  # a full disk passes; the state waits for it
                logger.warning("%s stays unsettled for now: %s", key.arn, error)
                await self._clock.sleep(RETRY_S)

    async def _settle(self, key: FunctionKey) -> None:
        await self._store.write(lambda tx: settle(tx, key, self._new_id))


def settle(tx: Transaction, key: FunctionKey, new_id: Callable[[], str]) -> None:
    """Every version that is on its way arrives, with a new revision (recorded: test_version_lifecycle)."""
    moved = [version for version in records.read_versions(tx, key) if _is_unsettled(version)]
    for version in moved:
        records.write_version(
            tx,
            dataclasses.replace(
                version,
                state=FunctionState.ACTIVE,
                state_reason=None,
                state_reason_code=None,
                last_update_status=UpdateStatus.SUCCESSFUL,
                last_update_status_reason=None,
                last_update_status_reason_code=None,
                revision_id=new_id(),
            ),
        )
    if moved:
        records.announce(tx, key)


def _is_unsettled(version: FunctionVersion) -> bool:
    return version.state is FunctionState.PENDING or version.last_update_status is UpdateStatus.IN_PROGRESS
