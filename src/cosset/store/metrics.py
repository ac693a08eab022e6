"""The store of metrics: one row for each metric, unit and period, added up, thinned out as it ages; and the bill.

Periods are a second or a minute when they come. As on AWS a second's is kept for 3 hours, a minute's for 15 days, five
minutes' for 63 days, an hour's for 455 days: what is older is added to the next wider period. Every value is in exactly
one row. Read next: metric_tables.py.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Row, delete, func, select

from cosset.clock import Clock
from cosset.observe.metrics import Cell, Distribution, MetricKey, Usage, UsageKey
from cosset.store.database import Store, Transaction
from cosset.store.errors import OverloadedError
from cosset.store.metric_tables import (
    ADD_POINT,
    ADD_SERIES,
    ADD_USAGE,
    CHANGE_POINT,
    DELETE_POINT,
    FIND_SERIES,
    READ_POINTS,
    TOUCH_SERIES,
    USE_MORE,
    points,
    series,
    usage,
)

logger = logging.getLogger(__name__)

MAX_SERIES = 100_000
"""Metrics of one account and region."""
HOUR_S, DAY_S = 3600, 86_400
KEEP_S = 455 * DAY_S
# From periods narrower than the first number, older than the second, to periods of the third.
TIERS = ((60, 3 * HOUR_S, 60), (300, 15 * DAY_S, 300), (3600, 63 * DAY_S, 3600))
_KNOWN_LIMIT = 20_000
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Point:
    start_s: int
    width_s: int
    unit: str
    values: Distribution


class _Place(NamedTuple):
    """Which row: the columns of the key, by their names."""

    series: int
    start_s: int
    width_s: int
    unit: str


class TooManyMetricsError(OverloadedError):
    """An account has as many metrics as are kept."""


class MetricStore:
    """Implements `observe.metric_buffer.MetricSink`."""

    def __init__(self, store: Store, clock: Clock, max_series: int = MAX_SERIES) -> None:
        self._store = store
        self._clock = clock
        self._max_series = max_series
        self._known: dict[MetricKey, tuple[int, int]] = {}

    async def add(
        self, cells: Sequence[Cell], usage: Iterable[tuple[UsageKey, Usage]] = (), *, refuse_new: bool = False
    ) -> None:
        """Durable on return; all of it or nothing, but for new metrics beyond the bound: they are left out.

        Raises: TooManyMetricsError, with `refuse_new` and nothing done, where one would be left out.
        """
        owed = list(usage)
        try:
            found = await self._store.write(lambda tx: self.put(tx, cells, owed))
        except TooManyMetricsError:
            if refuse_new:
                raise
            logger.error("new metrics are left out: an account keeps %d", self._max_series)
            found = await self._store.write(lambda tx: self.put(tx, cells, owed, only_known=True))
        if len(self._known) + len(found) > _KNOWN_LIMIT:
            self._known.clear()
        self._known.update(found)

    def put(
        self,
        tx: Transaction,
        cells: Sequence[Cell],
        usage: Sequence[tuple[UsageKey, Usage]] = (),
        *,
        only_known: bool = False,
    ) -> dict[MetricKey, tuple[int, int]]:
        """What was found out about the series on the way. Raises TooManyMetricsError."""
        latest: dict[MetricKey, int] = {}
        for cell in cells:
            known = self._known.get(cell.key)
            if known is None or known[1] < cell.start_s:
                latest[cell.key] = max(cell.start_s, latest.get(cell.key, 0))
        found = self._touch(tx, latest, only_known=only_known)
        placed: list[tuple[_Place, Distribution]] = []
        for cell in cells:
            place = found.get(cell.key) or self._known.get(cell.key)
            if place is not None:  # or else it is one too many
                placed.append((_Place(place[0], cell.start_s, cell.width_s, cell.unit), cell.values))
        _add_points(tx, placed)
        for owner, used in usage:
            _add_usage(tx, owner, used)
        return found

    def _touch(
        self, tx: Transaction, latest: dict[MetricKey, int], *, only_known: bool
    ) -> dict[MetricKey, tuple[int, int]]:
        """Of series with their last value: each one's number, and the last time that it had a value. Makes those that
        are not there. Few statements for many, as a burst of new functions brings them. Raises TooManyMetricsError."""
        by_digest = {_digest(key): key for key in latest}
        found, behind = {}, []
        for digest, number, last_s in _find_series(tx, list(by_digest)):
            key = by_digest[digest]
            if last_s < latest[key]:
                behind.append({"the_id": number, "the_last_s": latest[key]})
            found[key] = number, max(last_s, latest[key])
        if behind:
            tx.execute(TOUCH_SERIES, sorted(behind, key=lambda one: one["the_id"]))
        missing = {digest: key for digest, key in by_digest.items() if key not in found}
        made = self._make(tx, missing, latest, only_known=only_known)
        for digest, number, last_s in _find_series(tx, made):
            found[by_digest[digest]] = number, last_s
        return found

    def _make(
        self, tx: Transaction, missing: dict[str, MetricKey], latest: dict[MetricKey, int], *, only_known: bool
    ) -> list[str]:
        """Their digests; those of an account and region that has as many as are kept are not among them, or raise."""
        room: dict[tuple[str, str], int] = {}
        rows: list[dict[str, Any]] = []
        for digest, key in missing.items():
            owner = key.account, key.region
            if owner not in room:
                query = select(func.count()).where(series.c.account == key.account, series.c.region == key.region)
                room[owner] = self._max_series - int(tx.execute(query).scalar_one())
            if room[owner] <= 0:
                if only_known:
                    continue
                raise TooManyMetricsError
            room[owner] -= 1
            dimensions = [list(pair) for pair in key.dimensions]
            named = {"account": key.account, "region": key.region, "namespace": key.namespace, "name": key.name}
            rows.append({"digest": digest, **named, "dimensions": dimensions, "last_s": latest[key]})
        if rows:
            tx.execute(ADD_SERIES, rows)
        return [row["digest"] for row in rows]

    async def points(self, key: MetricKey, start_s: int, end_s: int) -> list[Point]:
        """What begins within the time, oldest first."""
        query = (
            select(points)
            .join(series, series.c.id == points.c.series)
            .where(series.c.digest == _digest(key), points.c.start_s >= start_s, points.c.start_s < end_s)
            .order_by(points.c.start_s)
        )
        return await self._store.read(lambda tx: [_point(row) for row in tx.execute(query)])

    async def find(
        self, account: str, region: str, *, namespace: str | None = None, name: str | None = None, since_s: int = 0
    ) -> list[MetricKey]:
        """The metrics that had a value since then, in order of their names."""
        query = (
            select(series)
            .where(series.c.account == account, series.c.region == region, series.c.last_s >= since_s)
            .order_by(series.c.namespace, series.c.name, series.c.id)
        )
        if namespace is not None:
            query = query.where(series.c.namespace == namespace)
        if name is not None:
            query = query.where(series.c.name == name)
        return await self._store.read(lambda tx: [_key(row) for row in tx.execute(query)])

    async def usage(self, account: str | None, month: str) -> list[tuple[UsageKey, Usage]]:
        """What was used in the month; of all accounts where None is given."""
        query = select(usage).where(usage.c.month == month).order_by(usage.c.function_name, usage.c.region)
        if account is not None:
            query = query.where(usage.c.account == account)
        rows = await self._store.read(lambda tx: list(tx.execute(query)))
        return [(_usage_key(row), _usage(row)) for row in rows]

    async def age(self) -> int:
        """Adds what is old to wider periods and forgets what is too old; how many rows went."""
        gone = 0
        now_s = self._clock.now_ms() // 1000
        for narrower, after_s, width_s in TIERS:
            while moved := await self._store.write(_widen(narrower, (now_s - after_s) // width_s * width_s, width_s)):
                gone += moved
        gone += await self._store.write(
            lambda tx: tx.execute(delete(points).where(points.c.start_s < now_s - KEEP_S)).rowcount
        )
        if await self._store.write(
            lambda tx: tx.execute(delete(series).where(series.c.last_s < now_s - KEEP_S)).rowcount
        ):
            self._known.clear()
        return gone


def _find_series(tx: Transaction, digests: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Digest, number, last value, of those that are there."""
    for begin in range(0, len(digests), _BATCH):
        for row in tx.execute(FIND_SERIES, {"the_digests": digests[begin : begin + _BATCH]}):
            yield row.digest, row.id, row.last_s


def _widen(narrower: int, before_s: int, width_s: int) -> Any:
    query = select(points).where(points.c.width_s < narrower, points.c.start_s < before_s).limit(_BATCH)

    def work(tx: Transaction) -> int:
        rows = list(tx.execute(query))
        places = [_Place(row.series, row.start_s, row.width_s, row.unit) for row in rows]
        if places:
            gone = [{f"at_{name}": part for name, part in place._asdict().items()} for place in places]
            tx.execute(DELETE_POINT, gone)
        wider = [place._replace(start_s=place.start_s // width_s * width_s, width_s=width_s) for place in places]
        _add_points(tx, [(place, _point(row).values) for place, row in zip(wider, rows, strict=True)])
        return len(rows)

    return work


def _add_points(tx: Transaction, added: Sequence[tuple[_Place, Distribution]]) -> None:
    """To what is there. Few statements for many points: each of its own would cost more than all the rest."""
    sums: dict[_Place, Distribution] = {}
    for place, values in added:
        if place in sums:
            sums[place].merge(values)
        else:
            sums[place] = values.copy()
    changed, made = [], []
    there = _read_points(tx, sums)
    for place, values in sums.items():
        if place in there:
            there[place].merge(values)
            changed.append({f"at_{name}": part for name, part in place._asdict().items()} | _columns(there[place]))
        else:
            made.append(place._asdict() | _columns(values))
    if changed:
        tx.execute(CHANGE_POINT, changed)
    if made:
        tx.execute(ADD_POINT, made)


def _read_points(tx: Transaction, places: Iterable[_Place]) -> dict[_Place, Distribution]:
    by_start: dict[int, set[int]] = {}
    for place in places:
        by_start.setdefault(place.start_s, set()).add(place.series)
    found = {}
    for start_s, numbers in by_start.items():
        ordered = sorted(numbers)
        for begin in range(0, len(ordered), _BATCH):
            given = {"the_start_s": start_s, "the_series": ordered[begin : begin + _BATCH]}
            for row in tx.execute(READ_POINTS, given):
                found[_Place(row.series, row.start_s, row.width_s, row.unit)] = _point(row).values
    return found


def _columns(values: Distribution) -> dict[str, Any]:
    return {
        "count": values.count,
        "total": values.total,
        "lowest": values.lowest,
        "highest": values.highest,
        "value_counts": values.pack_values(),
    }


def _add_usage(tx: Transaction, owner: UsageKey, used: Usage) -> None:
    named = {
        "account": owner.account,
        "region": owner.region,
        "function_name": owner.function_name,
        "month": owner.month,
        "architecture": owner.architecture,
    }
    amounts = {
        "requests": used.requests,
        "billed_ms": used.billed_ms,
        "memory_mb_ms": used.memory_mb_ms,
        "storage_mb_ms": used.storage_mb_ms,
    }
    where = {f"the_{name}": value for name, value in named.items()}
    more = {f"more_{name}": amount for name, amount in amounts.items()}
    if not tx.execute(USE_MORE, {**where, **more}).rowcount:
        tx.execute(ADD_USAGE, {**named, **amounts})


def _point(row: Row[Any]) -> Point:
    # By name: a row's own `count` is a method.
    found = row._mapping
    values = Distribution.unpack(
        found["count"], found["total"], found["lowest"], found["highest"], found["value_counts"]
    )
    return Point(found["start_s"], found["width_s"], found["unit"], values)


def _key(row: Row[Any]) -> MetricKey:
    dimensions = tuple((name, value) for name, value in row.dimensions)
    return MetricKey(row.account, row.region, row.namespace, row.name, dimensions)


def _usage_key(row: Row[Any]) -> UsageKey:
    return UsageKey(row.account, row.region, row.function_name, row.month, row.architecture)


def _usage(row: Row[Any]) -> Usage:
    return Usage(row.requests, row.billed_ms, row.memory_mb_ms, row.storage_mb_ms)


def _digest(key: MetricKey) -> str:
    text = json.dumps([key.account, key.region, key.namespace, key.name, key.dimensions])
    return hashlib.sha256(text.encode()).hexdigest()
