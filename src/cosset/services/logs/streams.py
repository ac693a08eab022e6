"""The log stream operations."""

from typing import Any

from cosset.observe.ports import StreamKey
from cosset.services.logs.errors import invalid_parameter, no_such_stream, stream_exists
from cosset.services.logs.groups import need_group
from cosset.services.logs.names import group_name, on_group, on_stream
from cosset.services.logs.tokens import read_cursor, write_token
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store
from cosset.store.log_rows import StreamRow
from cosset.store.segments import SegmentStore

_DEFAULT_LIMIT = 50


class LogStreams:
    def __init__(self, store: Store, segments: SegmentStore) -> None:
        self._store = store
        self._segments = segments

    @operation("CreateLogStream", on_stream("CreateLogStream"))
    async def create_log_stream(self, ctx: Context, params: Params) -> None:
        key = await self._key(ctx, params)
        if not await self._segments.create_stream(key):
            raise stream_exists()

    @operation("DeleteLogStream", on_stream("DeleteLogStream"))
    async def delete_log_stream(self, ctx: Context, params: Params) -> None:
        key = await self._key(ctx, params)
        if not await self._segments.delete_stream(key):
            raise no_such_stream()

    @operation("DescribeLogStreams", on_group("DescribeLogStreams"))
    async def describe_log_streams(self, ctx: Context, params: Params) -> Result:
        name, prefix = group_name(params), params.get("logStreamNamePrefix", "")
        by_last_event = params.get("orderBy") == "LastEventTime"
        if by_last_event and prefix:
            raise invalid_parameter("Cannot order by LastEventTime with a logStreamNamePrefix.")
        after = read_cursor(params["nextToken"]) if "nextToken" in params else None
        group = await self._store.read(lambda tx: need_group(tx, ctx, name))
        limit = params.get("limit", _DEFAULT_LIMIT)
        rows = await self._segments.list_streams(
            ctx.account,
            ctx.region,
            name,
            prefix=prefix,
            by_last_event=by_last_event,
            descending=params.get("descending", False),
            after=after,
            limit=limit + 1,
        )
        shown = rows[:limit]
        result: Result = {"logStreams": [_shown(group.arn, row) for row in shown]}
        if len(rows) > limit:
            result["nextToken"] = write_token(list(shown[-1].cursor))
        return result

    async def _key(self, ctx: Context, params: Params) -> StreamKey:
        name = params["logGroupName"]
        await self._store.read(lambda tx: need_group(tx, ctx, name))
        return StreamKey(ctx.account, ctx.region, name, params["logStreamName"])


def _shown(group_arn: str, row: StreamRow) -> dict[str, Any]:
    """`storedBytes` is zero: AWS counts bytes for groups only since 2019."""
    shown: dict[str, Any] = {
        "logStreamName": row.name,
        "creationTime": row.created_ms,
        "arn": f"{group_arn}:log-stream:{row.name}",
        "storedBytes": 0,
    }
    if row.last_event_ms is not None:
        shown["firstEventTimestamp"] = row.first_event_ms
        shown["lastEventTimestamp"] = row.last_event_ms
        shown["lastIngestionTime"] = row.last_ingested_ms
        shown["uploadSequenceToken"] = sequence_token(row.last_ingested_ms or 0)
    return shown


def sequence_token(ingested_ms: int) -> str:
    """AWS no longer reads sequence tokens and still gives them: 56 digits."""
    return f"{49_000_000:08d}{ingested_ms:048d}"
