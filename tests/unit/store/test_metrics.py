"""The store of metrics, on both engines: values added up, found again, thinned out with age; the bill's sums."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from cosset.observe.metrics import Cell, Distribution, MetricKey, Usage, UsageKey
from cosset.store.database import Store
from cosset.store.metrics import DAY_S, HOUR_S, MetricStore, TooManyMetricsError
from support.clock import ManualClock

Open = Callable[..., AbstractAsyncContextManager[Store]]
KEY = MetricKey("111111111111", "us-east-1", "n", "m", (("a", "1"),))
OWNER = UsageKey("111111111111", "us-east-1", "f", "2026-11", "x86_64")


def cell(start_s: int, *values: float, key: MetricKey = KEY, width_s: int = 60, unit: str = "None") -> Cell:
    made = Distribution()
    for value in values:
        made.add(value)
    return Cell(key, unit, start_s, width_s, made)


def run(open_store: Open, work: Callable[[Store, MetricStore, ManualClock], Any]) -> None:
    async def go() -> None:
        clock = ManualClock()
        async with open_store(clock) as store:
            await work(store, MetricStore(store, clock), clock)

    asyncio.run(go())


def test_values_of_one_period_are_added_up(open_store: Open) -> None:
    async def work(store: Store, metrics: MetricStore, clock: ManualClock) -> None:
        await metrics.add([cell(60, 1.0, 2.0), cell(60, 5.0, unit="Count"), cell(120, 7.0)])
        await MetricStore(store, clock).add([cell(60, 3.0)])
        found = await metrics.points(KEY, 0, 120)
        assert [(each.unit, each.values.count, each.values.total) for each in found if each.unit == "None"] == [
            ("None", 3.0, 6.0)
        ]
        assert [each.start_s for each in found] == [60, 60]
        [values] = [each.values for each in found if each.unit == "None"]
        assert (values.lowest, values.highest, values.values) == (1.0, 3.0, {1.0: 1.0, 2.0: 1.0, 3.0: 1.0})
        assert await metrics.find("111111111111", "us-east-1") == [KEY]
        assert await metrics.find("111111111111", "us-east-1", since_s=121) == []
        assert await metrics.find("222222222222", "us-east-1") == []

    run(open_store, work)


def test_what_is_old_is_thinned_out_and_then_forgotten(open_store: Open) -> None:
    async def work(store: Store, metrics: MetricStore, clock: ManualClock) -> None:
        start_s = clock.now_ms() // 1000 // HOUR_S * HOUR_S
        await metrics.add([cell(start_s + second, 1.0, width_s=1) for second in (0, 1, 70)])
        for age_s, widths in ((4 * HOUR_S, [60, 60]), (16 * DAY_S, [300]), (64 * DAY_S, [3600]), (456 * DAY_S, [])):
            clock.advance(start_s + age_s - clock.now_ms() / 1000)
            await metrics.age()
            found = await metrics.points(KEY, start_s, start_s + HOUR_S)
            assert [each.width_s for each in found] == widths
            assert sum(each.values.count for each in found) == (3.0 if widths else 0.0)
        assert await metrics.find(KEY.account, KEY.region) == []
        await metrics.add([cell(start_s + 460 * DAY_S, 1.0)])
        assert await metrics.find(KEY.account, KEY.region) == [KEY]

    run(open_store, work)


def test_an_account_has_so_many_metrics_and_no_more(open_store: Open) -> None:
    async def work(store: Store, metrics: MetricStore, clock: ManualClock) -> None:
        few = MetricStore(store, clock, max_series=1)
        other = MetricKey(KEY.account, KEY.region, "n", "other")
        await few.add([cell(60, 1.0)])
        with pytest.raises(TooManyMetricsError):
            await few.add([cell(60, 1.0), cell(60, 1.0, key=other)], refuse_new=True)
        await few.add([cell(60, 1.0), cell(60, 1.0, key=other)])
        assert await few.find(KEY.account, KEY.region) == [KEY]
        assert [each.values.count for each in await few.points(KEY, 0, 120)] == [2.0]

    run(open_store, work)


def test_many_that_are_new_are_made_beside_those_that_are_known(open_store: Open) -> None:
    async def work(store: Store, metrics: MetricStore, clock: ManualClock) -> None:
        keys = [MetricKey(KEY.account, KEY.region, "n", f"m{number}") for number in range(30)]
        await metrics.add([cell(60, 1.0, key=key) for key in keys[:10]])
        await MetricStore(store, clock).add([cell(start_s, 2.0, key=key) for key in keys for start_s in (120, 60)])
        assert await metrics.find(KEY.account, KEY.region, since_s=120) == sorted(keys, key=lambda key: key.name)
        counts = [[each.values.count for each in await metrics.points(key, 0, 180)] for key in keys]
        assert counts == [[2.0, 1.0]] * 10 + [[1.0, 1.0]] * 20

    run(open_store, work)


def test_use_is_summed_by_month(open_store: Open) -> None:
    async def work(store: Store, metrics: MetricStore, clock: ManualClock) -> None:
        await asyncio.gather(*(metrics.add([], [(OWNER, Usage(1, 2, 3, 4))]) for _ in range(20)))
        assert await metrics.usage(OWNER.account, "2026-11") == [(OWNER, Usage(20, 40, 60, 80))]
        assert await metrics.usage(OWNER.account, "2026-12") == []
        assert await metrics.usage("222222222222", "2026-11") == []

    run(open_store, work)
