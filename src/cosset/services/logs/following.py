"""What subscription filters do: of the events that a group takes in, those that match go to the filter's function.

They are committed to the queue of asynchronous invocations before the writer hears that its events are kept: nothing
is lost, and a writer that tries again is delivered again. The function's own policy decides, under the group's ARN. A
function that subscribes to its own log, whatever the way round, is stopped by the guard against loops: events carry
the trace of the invocation that printed them. Format: CloudWatch Logs user guide, "Subscription filters".
"""

import base64
import gzip
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol
from uuid import NAMESPACE_URL, uuid5

from cosset.invocation import lineage
from cosset.invocation.push import PushedEvent, PushRefusedError
from cosset.observe.causes import MAX_CAUSES, CauseRecorder, Step, StepKind, Unrecorded, cause_in, key_of, root_in
from cosset.observe.pattern import Matcher, compile_pattern
from cosset.observe.ports import LogEvent, StreamKey
from cosset.services.logs.filter_book import SubscriptionFilter
from cosset.services.logs.tokens import event_id
from cosset.store.database import Store
from cosset.store.log_rows import EVENT_OVERHEAD_BYTES, Position
from cosset.store.transaction import Transaction

logger = logging.getLogger(__name__)

MAX_BYTES = 512 * 1024
"""Messages that go together. What does not shrink at all is then below what a function takes, base64 and all."""
_MAX_TOLD = 1_000

Taken = tuple[StreamKey, Sequence[LogEvent], int]
"""Events of one stream as they were kept, and the number of the first of them."""
_Numbered = tuple[int, LogEvent]


class FunctionPusher(Protocol):
    """`invocation.push.Push`."""

    async def check(self, event: PushedEvent) -> None: ...

    async def allow(self, event: PushedEvent) -> None: ...

    def push_within(self, tx: Transaction, event: PushedEvent) -> None: ...


class Following:
    def __init__(self, store: Store, functions: FunctionPusher, causes: CauseRecorder | None = None) -> None:
        self._causes = causes or Unrecorded()
        self._store = store
        self._functions = functions
        self._told: set[SubscriptionFilter] = set()

    async def lets_in(self, asked: SubscriptionFilter) -> bool:
        """Whether the filter's function takes events from its group."""
        event = await self._allowed(_pushed(asked, "check", b"{}", ""))
        if event is None:
            return False
        try:
            await self._functions.check(event)
        except PushRefusedError:
            return False
        return True

    async def follow(self, taken: Sequence[tuple[SubscriptionFilter, Taken]]) -> None:
        """Returns when every delivery is committed. Raises ServiceError: not now, and then none is."""
        compiled: dict[str, Matcher] = {}
        ready: list[PushedEvent] = []
        steps: list[Step] = []
        for wanted, (key, events, first) in taken:
            matches = compiled.get(wanted.pattern)
            if matches is None:
                matches = compiled[wanted.pattern] = compile_pattern(wanted.pattern)
            matched = [(first + at, event) for at, event in enumerate(events) if matches(event.message)]
            for part in _parts(matched):
                event = await self._allowed(_delivery(wanted, key, part))
                if event is None:
                    self._tell(wanted, len(part))
                else:
                    ready.append(event)
                    steps.append(_step(wanted, key, part, event.id))
        if ready:
            await self._store.write(lambda tx: self._push(tx, ready))
        for step in steps:
            self._causes.happened(step)

    def _push(self, tx: Transaction, ready: Sequence[PushedEvent]) -> None:
        for event in ready:
            self._functions.push_within(tx, event)

    async def _allowed(self, event: PushedEvent) -> PushedEvent | None:
        """The event under the principal that the function's policy lets in: the region's, or the one for all.

        What the function is at does not matter: logs must not wait for it.
        """
        try:
            await self._functions.allow(event)
            return event
        except PushRefusedError:
            event = _for_all_regions(event)
        try:
            await self._functions.allow(event)
            return event
        except PushRefusedError as refused:
            logger.info("%s does not take log events: %s", event.function_arn, refused)
            return None

    def _tell(self, wanted: SubscriptionFilter, lost: int) -> None:
        """Once a filter: it may be every event."""
        if wanted not in self._told and len(self._told) < _MAX_TOLD:
            self._told.add(wanted)
            what = f"subscription filter {wanted.name} of {wanted.group}"
            logger.error("%s: %s takes none of its events; %d are lost", what, wanted.destination_arn, lost)


def _parts(events: Sequence[_Numbered]) -> Iterator[list[_Numbered]]:
    """As much as goes together. One event may be larger by itself."""
    part: list[_Numbered] = []
    size = 0
    for each in events:
        added = len(each[1].message.encode("utf-8", "replace")) + EVENT_OVERHEAD_BYTES
        if part and size + added > MAX_BYTES:
            yield part
            part, size = [], 0
        part.append(each)
        size += added
    if part:
        yield part


def _delivery(wanted: SubscriptionFilter, key: StreamKey, part: Sequence[_Numbered]) -> PushedEvent:
    shown = [
        {
            "id": event_id(Position(event.timestamp_ms, number)),
            "timestamp": event.timestamp_ms,
            "message": event.message.encode("utf-8", "replace").decode(),
        }
        for number, event in part
    ]
    data = {
        "messageType": "DATA_MESSAGE",
        "owner": key.account,
        "logGroup": key.group,
        "logStream": key.stream,
        "subscriptionFilters": [wanted.name],
        "logEvents": shown,
    }
    packed = gzip.compress(json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode(), 6, mtime=0)
    payload: dict[str, Any] = {"awslogs": {"data": base64.b64encode(packed).decode("ascii")}}
    # The same however often these events are tried.
    name = str(uuid5(NAMESPACE_URL, f"{wanted.source_arn}/{wanted.name}/{part[0][0]}"))
    trace_id = lineage.deepest(event.trace_id for _, event in part)
    trace_id = lineage.led_by(trace_id, key_of(name, StepKind.LOG_EVENTS), part[-1][1].ingested_ms)
    return _pushed(wanted, name, json.dumps(payload).encode(), trace_id)


def _step(wanted: SubscriptionFilter, key: StreamKey, part: Sequence[_Numbered], name: str) -> Step:
    """Caused by the invocations that printed these events."""
    traces = dict.fromkeys(event.trace_id for _, event in part)
    causes = dict.fromkeys(cause for trace_id in traces for cause in cause_in(trace_id))
    return Step(
        kind=StepKind.LOG_EVENTS,
        id=name,
        account=key.account,
        region=key.region,
        resource=wanted.source_arn,
        at_ms=part[-1][1].ingested_ms,
        name=f"subscription filter {wanted.name}",
        source=_printer(key) if causes else "",
        causes=tuple(causes)[:MAX_CAUSES],
        root=next((root for trace_id in traces if (root := root_in(trace_id))), ""),
    )


def _printer(key: StreamKey) -> str:
    """The function whose stream it is: Lambda names streams DATE/[VERSION]... in a group of the function's own, and
    DATE/FUNCTION[VERSION]... in others."""
    own = key.group.removeprefix("/aws/lambda/")
    name = own if own != key.group else key.stream.rpartition("/")[2].partition("[")[0]
    return f"arn:aws:lambda:{key.region}:{key.account}:function:{name}" if name else ""


def _pushed(wanted: SubscriptionFilter, name: str, payload: bytes, trace_id: str) -> PushedEvent:
    return PushedEvent(
        id=name,
        function_arn=wanted.destination_arn,
        payload=payload,
        principal=f"logs.{wanted.region}.amazonaws.com",
        source_arn=wanted.source_arn,
        source_account=wanted.account,
        trace_id=trace_id,
    )


def _for_all_regions(event: PushedEvent) -> PushedEvent:
    return replace(event, principal="logs.amazonaws.com")
