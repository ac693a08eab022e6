"""SelectObjectContent: what a statement in SQL finds in an object, as a stream of events.

CSV and JSON, plain or compressed; Parquet and scan ranges are refused by name. The statement is read before the object
is; what goes wrong later is told in the stream. Read next: select/query.py.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from cosset.clock import Clock
from cosset.services.operation import Context, Params, Result, operation
from cosset.services.s3.customer_keys import opens
from cosset.services.s3.finding import Finder
from cosset.services.s3.object_facts import check_readable
from cosset.services.s3.object_files import ObjectFiles, Span
from cosset.services.s3.object_writes import ObjectWrites
from cosset.services.s3.requirements import on_object
from cosset.wire.errors import OperationNotImplementedError, ServiceError

_EVENT_BYTES = 128 * 1024
"""What is gathered before it is sent."""
_MOST_EVENT_BYTES = 1024 * 1024


class Selections:
    def __init__(self, writes: ObjectWrites, finder: Finder) -> None:
        self._files: ObjectFiles = writes.files
        self._clock: Clock = writes.clock
        self._finder = finder

    @operation("SelectObjectContent", on_object("GetObject"))
    async def select_object_content(self, ctx: Context, params: Params) -> Result:
        from cosset.services.s3.select.inputs import expander
        from cosset.services.s3.select.query import Query

        if params["ExpressionType"].upper() != "SQL":
            sentence = "The ExpressionType is not valid. Only SQL expressions are supported."
            raise ServiceError("InvalidExpressionType", sentence)
        if params.get("ScanRange"):
            raise OperationNotImplementedError("s3", "SelectObjectContent with a scan range")
        source, now_ms = params["InputSerialization"], self._clock.now_ms()
        now = datetime.fromtimestamp(now_ms / 1000, UTC)
        query = Query(params["Expression"], source, params["OutputSerialization"], now)
        _, found = await self._finder.find(ctx, params, "GET")
        check_readable(found.facts, now_ms)
        key = opens(found.facts.get("encryption", {}).get("customer"), params)
        body = await self._files.read(found.stored, Span(0, found.size), key)
        expand = expander(source.get("CompressionType") or "NONE")
        shows_progress = bool((params.get("RequestProgress") or {}).get("Enabled"))
        return {"Payload": _events(query, body, expand, shows_progress=shows_progress)}


async def _events(
    query: Any, body: AsyncIterator[bytes], expand: Any, *, shows_progress: bool
) -> AsyncIterator[Mapping[str, Any]]:
    """Raises ServiceError, which the stream tells."""
    scanned = processed = returned = 0
    waiting = b""

    def details() -> dict[str, Any]:
        return {"Details": {"BytesScanned": scanned, "BytesProcessed": processed, "BytesReturned": returned}}

    async for chunk in body:
        scanned += len(chunk)
        pieces: Iterator[bytes] = expand(chunk)
        while (step := await asyncio.to_thread(_step, query, pieces)) is not None:
            processed += step[0]
            waiting += step[1]
            if len(waiting) >= _EVENT_BYTES:
                returned += len(waiting)
                for event in _records(waiting):
                    yield event
                waiting = b""
                if shows_progress:
                    yield {"Progress": details()}
        if query.is_done:
            break
    if hasattr(body, "aclose"):
        await body.aclose()
    waiting += await asyncio.to_thread(query.finish)
    returned += len(waiting)
    for event in _records(waiting):
        yield event
    yield {"Stats": details()}
    yield {"End": {}}


def _step(query: Any, pieces: Iterator[bytes]) -> tuple[int, bytes] | None:
    """The next piece, at work: how large it was, and what came of it. None: there is no more of this chunk."""
    piece = None if query.is_done else next(pieces, None)
    return None if piece is None else (len(piece), query.feed(piece))


def _records(found: bytes) -> Iterator[Mapping[str, Any]]:
    for start in range(0, len(found), _MOST_EVENT_BYTES):
        yield {"Records": {"Payload": found[start : start + _MOST_EVENT_BYTES]}}
