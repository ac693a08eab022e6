"""Subscription filters of log groups, wired to functions. Nothing of it is imported before a group has a filter."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cosset.invocation.push import Push
from cosset.observe.causes import CauseRecorder
from cosset.observe.ports import LogEvent, StreamKey
from cosset.services.logs.filter_book import Filters, SubscriptionFilter
from cosset.store.database import Store

if TYPE_CHECKING:
    from cosset.services.logs.following import Following


class LogSubscriptions:
    """Implements observe's LogFollower, and the FunctionGate of services/logs."""

    def __init__(self, store: Store, push: Push, causes: CauseRecorder) -> None:
        self._causes = causes
        self._store = store
        self._push = push
        self._filters = Filters(store)
        self._made: Following | None = None

    async def follow(self, batch: Sequence[tuple[StreamKey, Sequence[LogEvent]]], firsts: Sequence[int]) -> None:
        filters = await self._filters.by_group()
        if not filters:
            return
        taken = [
            (wanted, (key, events, first))
            for (key, events), first in zip(batch, firsts, strict=True)
            for wanted in filters.get((key.account, key.region, key.group), ())
        ]
        if taken:
            await self._following().follow(taken)

    async def lets_in(self, asked: SubscriptionFilter) -> bool:
        return await self._following().lets_in(asked)

    def _following(self) -> "Following":
        from cosset.services.logs.following import Following

        if self._made is None:
            self._made = Following(self._store, self._push, self._causes)
        return self._made
