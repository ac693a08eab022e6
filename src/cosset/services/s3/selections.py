"""SelectObjectContent: what a statement in SQL finds in an object, as a stream of events.

CSV and JSON, plain or compressed; Parquet and scan ranges are refused by name. The statement is read before the object
is; what goes wrong later is told in the stream. A few statements work at once, piece by piece in turn: the threads are
those that write and read objects, too. Read next: select/query.py.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cosset.clock import Clock
from cosset.identity.principal import PrincipalKind
from cosset.services.operation import Context, Params, Result, operation
from cosset.services.s3.customer_keys import opens
from cosset.services.s3.errors import access_denied, no_such_key
from cosset.services.s3.finding import Finder
from cosset.services.s3.object_facts import check_readable
from cosset.services.s3.object_files import ObjectFiles, Span
from cosset.services.s3.object_writes import ObjectWrites
from cosset.services.s3.requirements import on_object
from cosset.wire.errors import OperationNotImplementedError, ServiceError

if TYPE_CHECKING:
    from cosset.services.s3.select.query import Query

_EVENT_BYTES = 128 * 1024
"""What is gathered before it is sent."""
_MOST_EVENT_BYTES = 1024 * 1024
_AT_WORK = 2
_TRIES = 3
"""Looks for an object that is being overwritten faster than its files can be opened."""


class Selections:
    def __init__(self, writes: ObjectWrites, finder: Finder) -> None:
        self._files: ObjectFiles = writes.files
        self._clock: Clock = writes.clock
        self._finder = finder
        self._turns = asyncio.Semaphore(_AT_WORK)

    @operation("SelectObjectContent", on_object("GetObject"))
    async def select_object_content(self, ctx: Context, params: Params) -> Result:
        """Nobody in particular finds nothing, whatever a bucket lets nobody read: as on AWS."""
        from cosset.services.s3.select.inputs import expander
        from cosset.services.s3.select.query import Query

        if ctx.principal.kind is PrincipalKind.ANONYMOUS:
            raise access_denied()
        if params["ExpressionType"].upper() != "SQL":
            sentence = "The ExpressionType is not valid. Only SQL expressions are supported."
            raise ServiceError("InvalidExpressionType", sentence)
        if params.get("ScanRange"):
            raise OperationNotImplementedError("s3", "SelectObjectContent with a scan range")
        source, now_ms = params["InputSerialization"], self._clock.now_ms()
        now = datetime.fromtimestamp(now_ms / 1000, UTC)
        query = Query(params["Expression"], source, params["OutputSerialization"], now)
        body = await self._open(ctx, params, now_ms)
        expand = expander(source.get("CompressionType") or "NONE")
        shows_progress = bool((params.get("RequestProgress") or {}).get("Enabled"))
        work = _Work(query, expand, self._turns)
        return {"Payload": _events(work, body, shows_progress=shows_progress)}

    async def _open(self, ctx: Context, params: Params, now_ms: int) -> AsyncIterator[bytes]:
        """Raises ServiceError."""
        for left in reversed(range(_TRIES)):
            _, found = await self._finder.find(ctx, params, "GET")
            check_readable(found.facts, now_ms)
            key = opens(found.facts.get("encryption", {}).get("customer"), params)
            try:
                return await self._files.read(found.stored, Span(0, found.size), key)
            except FileNotFoundError:
                if not left:
                    raise
        raise no_such_key(params["Key"])


class _Work:
    """A statement on its way through an object. What it does it does in threads, when its turn comes."""

    def __init__(self, query: "Query", expand: Callable[[bytes], Iterator[bytes]], turns: asyncio.Semaphore) -> None:
        self._query = query
        self._expand = expand
        self._turns = turns
        self.scanned = self.processed = self.returned = 0

    @property
    def is_done(self) -> bool:
        return self._query.is_done

    async def take(self, chunk: bytes) -> AsyncIterator[bytes]:
        """What comes of it, piece by piece. Raises ServiceError."""
        self.scanned += len(chunk)
        pieces = self._expand(chunk)
        while True:
            async with self._turns:
                found = await asyncio.to_thread(self._step, pieces)
            if found is None:
                return
            yield found

    def _step(self, pieces: Iterator[bytes]) -> bytes | None:
        """None: there is no more of this chunk."""
        piece = None if self._query.is_done else next(pieces, None)
        if piece is None:
            return None
        self.processed += len(piece)
        return self._query.feed(piece)

    async def finish(self) -> bytes:
        """Raises ServiceError."""
        async with self._turns:
            return await asyncio.to_thread(self._query.finish)

    def details(self) -> Mapping[str, Any]:
        counted = {"BytesScanned": self.scanned, "BytesProcessed": self.processed, "BytesReturned": self.returned}
        return {"Details": counted}


async def _events(work: _Work, body: AsyncIterator[bytes], *, shows_progress: bool) -> AsyncIterator[Mapping[str, Any]]:
    """Raises ServiceError, which the stream tells."""
    waiting = b""
    try:
        async for chunk in body:
            async for found in work.take(chunk):
                waiting += found
                if len(waiting) < _EVENT_BYTES:
                    continue
                work.returned += len(waiting)
                for event in _records(waiting):
                    yield event
                waiting = b""
                if shows_progress:
                    yield {"Progress": work.details()}
            if work.is_done:
                break
        waiting += await work.finish()
    finally:
        if isinstance(body, AsyncGenerator):
            await body.aclose()
    work.returned += len(waiting)
    for event in _records(waiting):
        yield event
    yield {"Stats": work.details()}
    yield {"End": {}}


def _records(found: bytes) -> Iterator[Mapping[str, Any]]:
    for start in range(0, len(found), _MOST_EVENT_BYTES):
        yield {"Records": {"Payload": found[start : start + _MOST_EVENT_BYTES]}}
