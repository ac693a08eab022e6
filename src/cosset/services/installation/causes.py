"""The operations behind `cosset trace`, `cosset map` and `cosset replay`: what caused what, and recorded events.

Only of the caller's account, in the region that the call is signed for. Replaying is not done here: who has the event
invokes the function by Lambda's own operation, with the right that this takes.
"""

import asyncio
import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from cosset.clock import Clock
from cosset.identity.ports import Requirement
from cosset.observe.cause_map import Place, Traffic, count_edges, named
from cosset.observe.cause_tree import Node, Steps, related
from cosset.observe.causes import RecordedEvent, Step, StepKind, Unkept
from cosset.services.operation import Context, Params, Requirements, Result, operation
from cosset.wire.errors import ServiceError

T = TypeVar("T")
MAX_NAME = 2_100
LONGEST_WINDOW_S = 366 * 86_400


class CauseRecord(Protocol):
    """observe/cause_buffer.py. The readers block: for a thread."""

    async def flush(self) -> None: ...

    def steps(self) -> Iterator[Step]: ...

    def event(self, account: str, region: str, request_id: str) -> RecordedEvent | None: ...


class ConfiguredEdges(Protocol):
    """What is set up to trigger what, whether it does or not (assembly/configured_edges.py)."""

    async def of(self, account: str, region: str) -> Sequence[tuple[Place, str]]:
        """Each with what says so: `event source mapping`, `subscription` ..."""
        ...

    async def urls(self, account: str, region: str) -> Mapping[str, str]:
        """What calls through a function's URL come from (an ARN), by the id in the URL."""
        ...


def _reading(action: str) -> Requirements:
    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        return [Requirement(f"cosset:{action}", "*")]

    return requirements


class CauseOperations:
    def __init__(self, record: CauseRecord, configured: ConfiguredEdges, clock: Clock) -> None:
        self._record = record
        self._configured = configured
        self._clock = clock
        # A look through all that is kept takes memory and a thread: one at a time.
        self._turn = asyncio.Lock()

    @operation("GetTrace", _reading("GetTrace"))
    async def get_trace(self, ctx: Context, params: Params) -> Result:
        """The tree around a request, a message, an object or a trace."""
        name = _text(params, "id")

        def read() -> Result | None:
            steps = Steps(related(lambda: self._steps_of(ctx), name))
            asked = steps.find(name)
            if not asked:
                return None
            tree = steps.tree(asked)
            return {"steps": list(_flat(tree.roots)), "left_out": tree.left_out}

        found = await self._look(read)
        if found is None:
            is_empty = await self._look(lambda: next(self._record.steps(), None) is None)
            why = ": the record is empty (settings causes_mb, causes_days)" if is_empty else ""
            raise ServiceError("ResourceNotFoundException", f"Nothing is on record of {name}{why}.", status=404)
        return found

    @operation("GetMap", _reading("GetMap"))
    async def get_map(self, ctx: Context, params: Params) -> Result:
        """What triggered what in the last `since_s` seconds, and what is set up to."""
        since_s = params.get("since_s", 3600)
        if not isinstance(since_s, int) or isinstance(since_s, bool) or not 0 < since_s <= LONGEST_WINDOW_S:
            raise ServiceError("ValidationException", f"since_s must be a number from 1 to {LONGEST_WINDOW_S}.")
        since_ms = self._clock.now_ms() - since_s * 1000
        configured = await self._configured.of(ctx.account, ctx.region)
        urls = await self._configured.urls(ctx.account, ctx.region)

        def read() -> tuple[dict[Place, Traffic], int | None]:
            oldest: list[int] = []

            def noted() -> Iterator[Step]:
                for step in self._steps_of(ctx):
                    if not oldest:
                        oldest.append(step.at_ms)
                    yield step

            return count_edges(noted(), since_ms, urls), oldest[0] if oldest else None

        edges, oldest_ms = await self._look(read)
        for each, means in configured:
            place = Place(each.source, named(each.target, urls))
            traffic = edges.setdefault(place, Traffic())
            # What is set up says more than what was seen; it may be set up twice (a destination, a dead-letter queue).
            is_another = traffic.is_configured and means not in traffic.means
            traffic.means = f"{traffic.means}, {means}" if is_another else means
            traffic.is_configured = True
        shown = [_edge_shown(place, each) for place, each in sorted(edges.items(), key=lambda item: _order(*item))]
        return {"since_ms": since_ms, "oldest_ms": oldest_ms, "edges": shown}

    @operation("GetRecordedEvent", _reading("GetRecordedEvent"))
    async def get_recorded_event(self, ctx: Context, params: Params) -> Result:
        """What a function ran with."""
        request_id = _text(params, "request_id")

        def read() -> RecordedEvent | str:
            found = self._record.event(ctx.account, ctx.region, request_id)
            return found or why_not_kept(step for step in self._steps_of(ctx) if step.id == request_id)

        event = await self._look(read)
        if isinstance(event, str):
            raise ServiceError(
                "ResourceNotFoundException", f"No event of request {request_id} is kept: {event}.", status=404
            )
        return {
            "request_id": event.request_id,
            "function": event.function_name,
            "qualifier": event.qualifier,
            "at_ms": event.at_ms,
            "client_context": event.client_context,
            "payload": base64.b64encode(event.payload).decode(),
        }

    def _steps_of(self, ctx: Context) -> Iterator[Step]:
        return (step for step in self._record.steps() if (step.account, step.region) == (ctx.account, ctx.region))

    async def _look(self, read: Callable[[], T]) -> T:
        async with self._turn:
            await self._record.flush()
            return await asyncio.to_thread(read)


def why_not_kept(steps: Iterable[Step]) -> str:
    """Of the steps with an id that has no recorded event."""
    found: Step | None = None
    for step in steps:
        if found is None or step.kind == StepKind.INVOCATION:
            found = step
    if found is None:
        return (
            "nothing with this id is on record here, which holds what this node saw of this account in this region "
            "(settings causes_mb, causes_days)"
        )
    if found.kind != StepKind.INVOCATION:
        return f"it is no invocation but a {found.kind}; cosset trace shows the invocations that it led to"
    if found.unkept.startswith(Unkept.LARGE):
        return f"it has {found.unkept.removeprefix(Unkept.LARGE)} bytes, more than are kept (setting event_kb)"
    return {
        Unkept.OFF: "none are kept on this node (setting events_mb)",
        Unkept.FUNCTION: f"its function keeps none: the tag cosset:record of {found.resource}",
        Unkept.FULL: "more was waiting to be written just then than there was room for",
    }.get(found.unkept, "it has made room for newer ones (settings events_mb, events_days)")


def _text(params: Params, name: str) -> str:
    value = params.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME:
        raise ServiceError("ValidationException", f"{name} must be a text of 1 to {MAX_NAME} characters.")
    return value


def _flat(roots: Sequence[Node]) -> Iterator[dict[str, Any]]:
    """Each step before what it led to, with its depth: a tree in JSON would be as deep as the chain is long."""
    waiting = [(0, node) for node in reversed(roots)]
    while waiting:
        depth, node = waiting.pop()
        yield {"depth": depth} | _step_shown(node)
        waiting += [(depth + 1, child) for child in reversed(node.children)]


def _step_shown(node: Node) -> dict[str, Any]:
    step = node.step
    shown: dict[str, Any] = {"kind": step.kind, "id": step.id, "resource": step.resource, "at_ms": step.at_ms}
    more: dict[str, Any] = {
        "name": step.name,
        "source": step.source,
        "duration_ms": step.duration_ms,
        "error": step.error,
        "trace_id": step.root,
        "times": node.times if node.times > 1 else None,
        "asked": node.is_asked,
        "again": node.is_again,
    }
    return shown | {name: value for name, value in more.items() if value}


def _order(place: Place, traffic: Traffic) -> tuple[int, str, str]:
    return -traffic.count, place.source, place.target


def _edge_shown(place: Place, traffic: Traffic) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "source": place.source,
        "target": place.target,
        "count": traffic.count,
        "errors": traffic.errors,
        "configured": traffic.is_configured,
        "means": traffic.means,
    }
    return shown | ({"last_ms": traffic.last_ms} if traffic.last_ms else {})
