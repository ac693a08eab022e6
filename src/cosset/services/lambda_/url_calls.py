"""Runs the function behind a URL for one request that may reach it, whole or streamed.

Who may is settled before (gateway/function_urls.py). What the function did wrong is a 502 that says nothing of it, as
on AWS: the log has it. Read next: url_events.py, url_responses.py.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from cosset.functions.url_records import BUFFERED
from cosset.identity.access_book import function_of
from cosset.invocation.api import Invocation, Invoker, StreamedInvocation
from cosset.services.lambda_ import url_cors
from cosset.services.lambda_.url_events import UrlCall, write_event
from cosset.services.lambda_.url_responses import (
    BODILESS,
    MAX_PRELUDE_BYTES,
    PRELUDE_END,
    STREAM_CONTENT_TYPE,
    BadResponseError,
    UrlResponse,
    read_prelude,
    read_response,
)
from cosset.wire.message import Body, BodyBrokenError, Response

_OFF_LOOP_BYTES = 262_144
_Given = TypeVar("_Given")
_Made = TypeVar("_Made")
_FAILED = UrlResponse(502, [("Content-Type", "application/json")], b"Internal Server Error")


class UrlCalls:
    """Makes invocations of requests."""

    def __init__(self, invoker: Invoker) -> None:
        self._invoker = invoker

    async def answer(self, call: UrlCall, gone: asyncio.Event) -> Response:
        """Raises: ServiceError, for what keeps the function from running (throttled, too large ...)."""
        invocation = _invocation(call, await _off_loop(len(call.body), write_event, call), gone)
        if (call.url.invoke_mode or BUFFERED) == BUFFERED:
            return _finish(call, await self._whole(invocation))
        streamed = await self._invoker.invoke_streamed(invocation)
        head, body = await _read_streamed(streamed)
        return _finish(call, head, body)

    async def _whole(self, invocation: Invocation) -> UrlResponse:
        result = await self._invoker.invoke(invocation)
        if result.function_error is not None:
            return _FAILED
        try:
            if result.content_type == STREAM_CONTENT_TYPE:
                prelude, _, body = result.payload.partition(PRELUDE_END)
                head = read_prelude(prelude)
                return UrlResponse(head.status, head.headers, b"" if head.status in BODILESS else body)
            if result.content_type != "application/json":
                return UrlResponse(200, [("Content-Type", result.content_type)], result.payload)
            return await _off_loop(len(result.payload), read_response, result.payload)
        except BadResponseError:
            return _FAILED


async def _read_streamed(streamed: StreamedInvocation) -> tuple[UrlResponse, Body | None]:
    """The head, and the body where it is still to come. What does not stream is passed on as it is."""
    chunks = streamed.chunks()
    if streamed.content_type != STREAM_CONTENT_TYPE:
        first = await anext(chunks, None)
        if first is None and (await streamed.result()).function_error is not None:
            return _FAILED, None
        return UrlResponse(200, [("Content-Type", streamed.content_type)]), _body(first or b"", chunks, streamed)
    buffer = b""
    async for chunk in chunks:
        buffer += chunk
        prelude, end, rest = buffer.partition(PRELUDE_END)
        if end:
            try:
                head = read_prelude(prelude)
                return head, _body(rest, chunks, streamed, is_silent=head.status in BODILESS)
            except BadResponseError:
                break
        if len(buffer) > MAX_PRELUDE_BYTES:
            break
    return _FAILED, None


async def _body(
    first: bytes, chunks: AsyncIterator[bytes], streamed: StreamedInvocation, *, is_silent: bool = False
) -> AsyncIterator[bytes]:
    """`is_silent`: the function is let run to its end, and nothing of it is passed on.

    Raises: BodyBrokenError, when the function fails on the way: the client must not take it for the whole.
    """
    if first and not is_silent:
        yield first
    async for chunk in chunks:
        if not is_silent:
            yield chunk
    if (await streamed.result()).function_error is not None:
        raise BodyBrokenError


def _finish(call: UrlCall, answer: UrlResponse, body: Body | None = None) -> Response:
    headers = url_cors.add_headers(call.url.cors, call.request, list(answer.headers))
    headers += identify(call.request_id, call.trace_id)
    return Response(answer.status, headers, answer.body if body is None else body)


def identify(request_id: str, trace_id: str) -> list[tuple[str, str]]:
    """Recorded: TestRequestIdHandling::test_request_id_invoke_url."""
    return [("x-amzn-RequestId", request_id), ("X-Amzn-Trace-Id", f"{trace_id};Sampled=0")]


async def _off_loop(size_bytes: int, work: Callable[[_Given], _Made], given: _Given) -> _Made:
    """JSON of a few megabytes would hold up everybody: it is read and written in a thread."""
    return await asyncio.to_thread(work, given) if size_bytes > _OFF_LOOP_BYTES else work(given)


def _source(call: UrlCall) -> str:
    """Who called, as the map has it: who signed, or the URL itself, of which all that is known is that it was open."""
    if call.caller is None:
        return f"{call.url.key.arn}/url"
    principal = call.caller.principal
    return function_of(principal) or principal.arn


def _invocation(call: UrlCall, event: bytes, gone: asyncio.Event) -> Invocation:
    url = call.url
    return Invocation(
        account=url.key.account,
        region=url.key.region,
        function_name=url.key.name,
        qualifier=url.qualifier or None,
        payload=event,
        request_id=call.request_id,
        invoked_arn=url.arn,
        trace_id=call.trace_id,
        source=_source(call),
        cancelled=gone,
    )
