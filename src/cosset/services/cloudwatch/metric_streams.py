"""Metric streams, as settings: kept, started and stopped, answered. Nothing is sent: there is no Firehose here to take
it, and docs/operations.md says so."""

import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from cosset.clock import Clock
from cosset.identity.ports import Requirement
from cosset.services.cloudwatch.errors import invalid_combination, no_such_resource
from cosset.services.cloudwatch.names import anywhere, on_streams, read_tags, read_token, stream_arn, write_token
from cosset.services.cloudwatch.tables import metric_streams
from cosset.services.cloudwatch.tags import drop_tags, write_tags
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)
_PAGE = 500
_MOST_STREAMS = 100
_SHOWN = ("IncludeFilters", "ExcludeFilters", "FirehoseArn", "RoleArn", "OutputFormat", "StatisticsConfigurations")


def _putting(ctx: Context, params: Params) -> Sequence[Requirement]:
    passed = {"iam:PassedToService": "streams.metrics.cloudwatch.amazonaws.com"}
    return [*on_streams("PutMetricStream")(ctx, params), Requirement("iam:PassRole", str(params["RoleArn"]), passed)]


class MetricStreams:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    @operation("PutMetricStream", _putting)
    async def put_metric_stream(self, ctx: Context, params: Params) -> Result:
        if params.get("IncludeFilters") and params.get("ExcludeFilters"):
            raise invalid_combination("IncludeFilters and ExcludeFilters are mutually exclusive.")
        name, now_ms = params["Name"], self._clock.now_ms()
        settings = {key: params[key] for key in _SHOWN if key in params}
        settings["IncludeLinkedAccountsMetrics"] = params.get("IncludeLinkedAccountsMetrics", False)
        arn = stream_arn(ctx, name)

        def work(tx: Transaction) -> None:
            changed = {"settings": settings, "changed_ms": now_ms}
            if not tx.execute(update(metric_streams).where(*_place(ctx, name)).values(**changed)).rowcount:
                count = select(func.count()).where(metric_streams.c.account == ctx.account)
                if tx.execute(count).scalar_one() >= _MOST_STREAMS:
                    raise ServiceError("LimitExceededException", "There are as many metric streams as there may be.")
                named = {"account": ctx.account, "region": ctx.region, "name": name}
                tx.execute(insert(metric_streams).values(**named, **changed, state="running", created_ms=now_ms))
                write_tags(tx, arn, read_tags(params.get("Tags")))

        await self._store.write(work)
        logger.warning("metric stream %s is kept, and sends nothing: no Firehose is served here", name)
        return {"Arn": arn}

    @operation("GetMetricStream", on_streams("GetMetricStream"))
    async def get_metric_stream(self, ctx: Context, params: Params) -> Result:
        query = select(metric_streams).where(*_place(ctx, params["Name"]))
        row = await self._store.read(lambda tx: tx.execute(query).one_or_none())
        if row is None:
            raise no_such_resource(f"Metric stream {params['Name']} does not exist")
        return {**_entry(ctx, row), **row.settings}

    @operation("ListMetricStreams", anywhere("ListMetricStreams"))
    async def list_metric_streams(self, ctx: Context, params: Params) -> Result:
        query = (
            select(metric_streams)
            .where(metric_streams.c.account == ctx.account, metric_streams.c.region == ctx.region)
            .order_by(metric_streams.c.name)
        )
        rows = await self._store.read(lambda tx: list(tx.execute(query)))
        begin, most = read_token(params.get("NextToken")), params.get("MaxResults", _PAGE)
        entries = [
            {**_entry(ctx, row), **{key: row.settings.get(key) for key in ("FirehoseArn", "OutputFormat")}}
            for row in rows[begin : begin + most]
        ]
        more = {"NextToken": write_token(begin + most)} if begin + most < len(rows) else {}
        return {"Entries": entries, **more}

    @operation("StartMetricStreams", on_streams("StartMetricStreams"))
    async def start_metric_streams(self, ctx: Context, params: Params) -> Result:
        return await self._set_state(ctx, params["Names"], "running")

    @operation("StopMetricStreams", on_streams("StopMetricStreams"))
    async def stop_metric_streams(self, ctx: Context, params: Params) -> Result:
        return await self._set_state(ctx, params["Names"], "stopped")

    @operation("DeleteMetricStream", on_streams("DeleteMetricStream"))
    async def delete_metric_stream(self, ctx: Context, params: Params) -> Result:
        def work(tx: Transaction) -> None:
            tx.execute(delete(metric_streams).where(*_place(ctx, params["Name"])))
            drop_tags(tx, stream_arn(ctx, params["Name"]))

        await self._store.write(work)
        return {}

    async def _set_state(self, ctx: Context, names: Sequence[str], state: str) -> Result:
        def work(tx: Transaction) -> None:
            for name in names:
                changed = {"state": state, "changed_ms": self._clock.now_ms()}
                tx.execute(update(metric_streams).where(*_place(ctx, name)).values(**changed))

        await self._store.write(work)
        return {}


def _place(ctx: Context, name: str) -> tuple[Any, ...]:
    table = metric_streams.c
    return table.account == ctx.account, table.region == ctx.region, table.name == name


def _entry(ctx: Context, row: Any) -> dict[str, Any]:
    return {
        "Arn": stream_arn(ctx, row.name),
        "Name": row.name,
        "State": row.state,
        "CreationDate": row.created_ms / 1000,
        "LastUpdateDate": row.changed_ms / 1000,
    }
