"""Functions that nobody calls for long become Inactive; the next call wakes them, and is itself refused, as on AWS.

AWS does this to take resources back, and names the state so that clients can see it. Here only the state is kept: who
wants to rehearse it sets `inactive_after_days`. When a function was last called is noted in memory and written with the
sweep: a crash forgets half an hour of it. Source: AWS Lambda developer guide, "Lambda function states".
"""

import dataclasses
from collections.abc import Callable

from sqlalchemy import insert, select, update

from cosset.clock import Clock
from cosset.functions import errors, records
from cosset.functions.model import LATEST, FunctionKey, FunctionState, FunctionVersion
from cosset.functions.settling import Settling
from cosset.functions.tables import activity, functions, versions
from cosset.store.database import Store, Transaction
from cosset.wire.errors import ServiceError


class Idleness:
    """Who has been called, and who not for long. `idle_s` 0: nobody becomes Inactive."""

    def __init__(
        self, store: Store, settling: Settling, clock: Clock, new_id: Callable[[], str], idle_s: float
    ) -> None:
        self._store = store
        self._settling = settling
        self._clock = clock
        self._new_id = new_id
        self._idle_s = idle_s
        self._called: set[FunctionKey] = set()

    def note_call(self, key: FunctionKey) -> None:
        if self._idle_s:
            self._called.add(key)

    async def wake(self, key: FunctionKey, version: str) -> ServiceError:
        """The function is Pending from here on, and soon Active. The answer to the call that woke it."""

        def write(tx: Transaction) -> None:
            found = records.read_version(tx, key, version)
            if found is not None and found.state is FunctionState.INACTIVE:
                _write(tx, found, FunctionState.PENDING, "The function is being restored.", "Restoring", self._new_id)

        await self._store.write(write)
        self._settling.updated(key)
        return errors.still_pending(FunctionState.INACTIVE.value)

    async def sweep(self) -> None:
        """Writes down who has been called since the last time; who has not been for long becomes Inactive."""
        if not self._idle_s:
            return
        called, self._called = self._called, set()
        now_ms = self._clock.now_ms()
        before_ms = now_ms - int(self._idle_s * 1000)

        def write(tx: Transaction) -> None:
            _note(tx, called, now_ms)
            for key in _idle_keys(tx, before_ms):
                for version in records.read_versions(tx, key):
                    if version.state is FunctionState.ACTIVE:
                        reason = "The function has not been invoked for a long time."
                        _write(tx, version, FunctionState.INACTIVE, reason, "Idle", self._new_id)

        try:
            await self._store.write(write)
        except ServiceError:
            self._called |= called
            raise


def _note(tx: Transaction, called: set[FunctionKey], now_ms: int) -> None:
    """A function that was never seen before counts from now."""
    for key in called:
        tx.execute(update(activity).where(records.of_function(activity, key)).values(called_ms=now_ms))
    known = select(activity.c.name).where(
        activity.c.account == functions.c.account,
        activity.c.region == functions.c.region,
        activity.c.name == functions.c.name,
    )
    for row in tx.execute(select(functions.c.account, functions.c.region, functions.c.name).where(~known.exists())):
        tx.execute(insert(activity).values(**row._mapping, called_ms=now_ms))


def _idle_keys(tx: Transaction, before_ms: int) -> list[FunctionKey]:
    is_active = select(versions.c.version).where(
        versions.c.account == activity.c.account,
        versions.c.region == activity.c.region,
        versions.c.name == activity.c.name,
        versions.c.version == LATEST,
        versions.c.state == FunctionState.ACTIVE.value,
    )
    query = select(activity).where(activity.c.called_ms < before_ms, is_active.exists())
    return [FunctionKey(row.account, row.region, row.name) for row in tx.execute(query)]


def _write(
    tx: Transaction, version: FunctionVersion, state: FunctionState, reason: str, code: str, new_id: Callable[[], str]
) -> None:
    changed = dataclasses.replace(
        version, state=state, state_reason=reason, state_reason_code=code, revision_id=new_id()
    )
    records.write_version(tx, changed)
    records.announce(tx, version.key)
