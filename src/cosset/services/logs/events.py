"""The operations on log events: put, get from one stream, filter over a group."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cosset.clock import Clock
from cosset.observe.pattern import Matcher, compile_pattern
from cosset.observe.pattern_errors import InvalidPatternError, UnsupportedPatternError
from cosset.observe.ports import LogFollower, StreamKey
from cosset.services.logs.batch import read_batch
from cosset.services.logs.errors import invalid_parameter, no_such_stream
from cosset.services.logs.group_book import LogGroup
from cosset.services.logs.groups import need_group
from cosset.services.logs.names import group_name, on_group, on_stream
from cosset.services.logs.retention import oldest_kept_ms
from cosset.services.logs.streams import sequence_token
from cosset.services.logs.tokens import EventToken, event_id, read_position, write_token
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store
from cosset.store.log_rows import Position, StoredEvent
from cosset.store.segments import MAX_BYTES, SegmentStore
from cosset.wire.errors import OperationNotImplementedError

_MAX_EVENTS = 10_000
_SCANS_A_CALL = 20
"""FilterLogEvents looks at up to this many times 10,000 events before it gives a token instead of more events."""
_FOREVER_MS = 2**62


class LogEvents:
    def __init__(self, store: Store, segments: SegmentStore, follower: LogFollower, clock: Clock) -> None:
        self._store = store
        self._segments = segments
        self._follower = follower
        self._clock = clock

    @operation("PutLogEvents", on_stream("PutLogEvents"))
    async def put_log_events(self, ctx: Context, params: Params) -> Result:
        group, key = await self._need_stream(ctx, params)
        now_ms = self._clock.now_ms()
        batch = read_batch(params["logEvents"], now_ms, oldest_kept_ms(group, now_ms), ctx.trace_id or "")
        if batch.accepted:
            kept = [(key, batch.accepted)]
            await self._follower.follow(kept, await self._segments.append(kept))
        result: Result = {"nextSequenceToken": sequence_token(now_ms)}
        if batch.rejected:
            result["rejectedLogEventsInfo"] = dict(batch.rejected)
        if params.get("entity"):
            result["rejectedEntityInfo"] = {"errorType": "UnsupportedLogGroupType"}
        return result

    @operation("GetLogEvents", on_stream("GetLogEvents"))
    async def get_log_events(self, ctx: Context, params: Params) -> Result:
        group, key = await self._need_stream(ctx, params)
        start_ms = max(_time(params, "startTime", 0), oldest_kept_ms(group, self._clock.now_ms()))
        token = EventToken.parse(params["nextToken"]) if "nextToken" in params else None
        backward = token.backward if token is not None else not params.get("startFromHead", False)
        events = await self._segments.read_stream(
            key,
            start_ms=start_ms,
            end_ms=_time(params, "endTime", _FOREVER_MS),
            position=None if token is None else token.position,
            backward=backward,
            limit=params.get("limit", _MAX_EVENTS),
            max_bytes=MAX_BYTES,
        )
        if events is None:
            raise no_such_stream()
        forward, back = _tokens_around(events, token, start_ms)
        shown = [
            {"timestamp": event.timestamp_ms, "message": event.message, "ingestionTime": event.ingested_ms}
            for event in events
        ]
        return {"events": shown, "nextForwardToken": str(forward), "nextBackwardToken": str(back)}

    @operation("FilterLogEvents", on_group("FilterLogEvents"))
    async def filter_log_events(self, ctx: Context, params: Params) -> Result:
        if params.get("logStreamNames") and params.get("logStreamNamePrefix"):
            raise invalid_parameter("logStreamNames and logStreamNamePrefix are mutually exclusive parameters.")
        if params.get("startFromHead") is False and "nextToken" not in params:
            raise OperationNotImplementedError("logs", "FilterLogEvents from the latest event backwards")
        name = group_name(params)
        group = await self._store.read(lambda tx: need_group(tx, ctx, name))
        for stream in params.get("logStreamNames", []):
            if await self._segments.get_stream(StreamKey(ctx.account, ctx.region, name, stream)) is None:
                raise no_such_stream()
        search = _Search(
            matcher=_compile(params.get("filterPattern", "")),
            limit=params.get("limit", _MAX_EVENTS),
            position=read_position(params["nextToken"]) if "nextToken" in params else None,
        )
        start_ms = max(_time(params, "startTime", 0), oldest_kept_ms(group, self._clock.now_ms()))
        await self._search(ctx, name, params, search, start_ms)
        result: Result = {"events": [_filtered(event) for event in search.found], "searchedLogStreams": []}
        if search.position is not None:
            result["nextToken"] = write_token(list(search.position))
        return result

    async def _search(self, ctx: Context, group: str, params: Params, search: "_Search", start_ms: int) -> None:
        """Leaves in `search` what matched, and where to go on (None at the end)."""
        for _ in range(_SCANS_A_CALL):
            scan = await self._segments.scan(
                ctx.account,
                ctx.region,
                group,
                streams=params.get("logStreamNames"),
                prefix=params.get("logStreamNamePrefix", ""),
                start_ms=start_ms,
                # Here, unlike in GetLogEvents, the end is part of the range.
                end_ms=_time(params, "endTime", _FOREVER_MS) + 1,
                position=search.position,
            )
            if search.take(scan.events):
                return
            search.position = scan.resume
            if scan.resume is None or ctx.cancelled.is_set():
                return

    async def _need_stream(self, ctx: Context, params: Params) -> tuple[LogGroup, StreamKey]:
        name = group_name(params)
        group = await self._store.read(lambda tx: need_group(tx, ctx, name))
        key = StreamKey(ctx.account, ctx.region, name, params["logStreamName"])
        if await self._segments.get_stream(key) is None:
            raise no_such_stream()
        return group, key


@dataclass(slots=True)
class _Search:
    """A page of FilterLogEvents while it fills: at most `limit` events and one megabyte."""

    matcher: Matcher
    limit: int
    position: Position | None
    found: list[StoredEvent] = field(default_factory=list)
    size: int = 0

    def take(self, events: Sequence[StoredEvent]) -> bool:
        """Adds what matches. True: the page is full, and `position` is behind its last event."""
        for event in events:
            if not self.matcher(event.message):
                continue
            self.found.append(event)
            self.size += len(event.message)
            if len(self.found) >= self.limit or self.size >= MAX_BYTES:
                self.position = event.position
                return True
        return False


def _time(params: Params, name: str, default: int) -> int:
    """A client may ask for any number; the store's are 64 bits wide."""
    return min(int(params.get(name, default)), _FOREVER_MS)


def _compile(pattern: str) -> Callable[[str], bool]:
    try:
        return compile_pattern(pattern)
    except InvalidPatternError as error:
        raise invalid_parameter(str(error)) from None
    except UnsupportedPatternError as error:
        raise OperationNotImplementedError("logs", f"FilterLogEvents with {error}") from None


def _filtered(event: StoredEvent) -> dict[str, Any]:
    return {
        "logStreamName": event.stream,
        "timestamp": event.timestamp_ms,
        "message": event.message,
        "ingestionTime": event.ingested_ms,
        "eventId": event_id(event.position),
    }


def _tokens_around(
    events: Sequence[StoredEvent], token: EventToken | None, start_ms: int
) -> tuple[EventToken, EventToken]:
    """Tokens for what follows and for what precedes. At an end, that direction's token is the one that was given;
    the other then leads back over the event beside it, which is why it stands one further."""
    if events:
        return EventToken(False, events[-1].position), EventToken(True, events[0].position)
    if token is None:
        edge = Position(start_ms, 0)
        return EventToken(False, edge), EventToken(True, edge)
    at = token.position
    if token.backward:
        return EventToken(False, Position(at.timestamp_ms, max(at.seq - 1, 0))), token
    return token, EventToken(True, Position(at.timestamp_ms, at.seq + 1))
