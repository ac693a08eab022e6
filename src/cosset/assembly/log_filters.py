"""Subscription filters of log groups, wired to functions, and metric filters, wired to the store of metrics. Nothing of
either is imported before a group has one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cosset.invocation.push import Push
from cosset.observe.causes import CauseRecorder
from cosset.observe.ports import LogEvent, StreamKey
from cosset.services.logs.filter_book import SUBSCRIPTION_FILTERS, SubscriptionFilter
from cosset.services.logs.filter_rows import filters_by_group
from cosset.services.logs.metric_filter_book import METRIC_FILTERS, MetricFilter
from cosset.store.database import Store
from cosset.store.metrics import MetricStore

if TYPE_CHECKING:
    from cosset.services.logs.following import Following


class LogSubscriptions:
    """Implements observe's LogFollower, and the FunctionGate of services/logs."""

    def __init__(self, store: Store, push: Push, metrics: MetricStore, causes: CauseRecorder) -> None:
        self._causes = causes
        self._store = store
        self._push = push
        self._filters = filters_by_group(store, SUBSCRIPTION_FILTERS)
        self._metrics = metrics
        self._metric_filters = filters_by_group(store, METRIC_FILTERS)
        self._made: Following | None = None

    async def follow(self, batch: Sequence[tuple[StreamKey, Sequence[LogEvent]]], firsts: Sequence[int]) -> None:
        filters = await self._filters.get()
        if filters:
            taken = [
                (wanted, (key, events, first))
                for (key, events), first in zip(batch, firsts, strict=True)
                for wanted in filters.get((key.account, key.region, key.group), ())
            ]
            if taken:
                await self._following().follow(taken)
        metric_filters = await self._metric_filters.get()
        if metric_filters:
            measured = [
                (wanted, events)
                for key, events in batch
                for wanted in metric_filters.get((key.account, key.region, key.group), ())
            ]
            if measured:
                await self._measure(measured)

    async def _measure(self, measured: Sequence[tuple[MetricFilter, Sequence[LogEvent]]]) -> None:
        from cosset.services.logs.measuring import Measuring

        await Measuring(self._metrics).measure(measured)

    async def lets_in(self, asked: SubscriptionFilter) -> bool:
        return await self._following().lets_in(asked)

    def _following(self) -> "Following":
        from cosset.services.logs.following import Following

        if self._made is None:
            self._made = Following(self._store, self._push, self._causes)
        return self._made
