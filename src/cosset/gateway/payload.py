"""What a signature says of the body: a hash, nothing (UNSIGNED-PAYLOAD), or that the body is signed chunk by chunk.

Proves bodies against it, at once or while they stream. Decoding aws-chunked bodies is `chunked.py`.
"""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from functools import partial
from urllib.parse import unquote

from cosset.gateway.claims import Claim
from cosset.gateway.refusals import Reason, RefusedError
from cosset.wire.errors import ServiceError
from cosset.wire.message import Body, Request
from cosset.wire.views import Chunk, Take, ViewedBody, viewed

UNSIGNED = "UNSIGNED-PAYLOAD"
CHUNKED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
CHUNKED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
CHUNKED_UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
CHUNKED_KINDS = frozenset({CHUNKED, CHUNKED_TRAILER, CHUNKED_UNSIGNED_TRAILER})

HASH_ON_LOOP_BYTES = 256 * 1024
"""A body above this is hashed in a thread (6 MB take 3.3 ms)."""
_COUNT_ON_LOOP_BYTES = 64 * 1024
"""A piece of a body that streams."""


def declared_payload(request: Request, claim: Claim, *, s3: bool) -> str | None:
    """The payload line that the client signed, where the request says it; None where it is the body's own hash.

    Raises:
        RefusedError: a kind of payload that is not known.
        ServiceError: S3 must be told, and was not.
    """
    declared = request.headers.get("x-amz-content-sha256")
    if claim.presigned:
        declared = _from_query(request.query) or declared or (UNSIGNED if s3 else None)
    if declared is None:
        if s3:
            raise ServiceError("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
        return None
    if declared in CHUNKED_KINDS or declared == UNSIGNED or _is_sha256(declared):
        return declared
    detail = "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, " + ", ".join(sorted(CHUNKED_KINDS))
    raise RefusedError(Reason.PAYLOAD_MISMATCH, f"{detail}, or a valid sha256 value.")


def _from_query(query: str) -> str | None:
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name == "X-Amz-Content-Sha256":
            return unquote(value)
    return None


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and all(character in "0123456789abcdef" for character in text)


async def hash_body(body: Chunk) -> str:
    if len(body) <= HASH_ON_LOOP_BYTES:
        return hashlib.sha256(body).hexdigest()
    return (await asyncio.to_thread(hashlib.sha256, body)).hexdigest()


async def check_body(body: bytes, declared: str) -> None:
    """Raises: RefusedError when a declared hash is not the body's."""
    if _is_sha256(declared) and not hmac.compare_digest(await hash_body(body), declared):
        raise RefusedError(Reason.PAYLOAD_MISMATCH)


def checked_stream(body: Body, declared: str) -> AsyncIterator[bytes]:
    """The same body; behind its end the hash is compared. A handler that has not seen the end has not seen a proven
    body, and commits nothing. Counted in a thread, while the handler works on the same piece.

    Raises:
        RefusedError: at the end, when the hash is another.
    """
    return _Checked(body, declared)


class _Checked(ViewedBody):
    def __init__(self, body: Body, declared: str) -> None:
        self._body = viewed(body)
        self._declared = declared
        self._digest = hashlib.sha256()
        self._counting: asyncio.Future[None] | None = None

    @property
    def good_for(self) -> int:
        return self._body.good_for

    @property
    def is_fast(self) -> bool:
        return self._body.is_fast

    async def pour(self, take: Take) -> None:
        await self._counted()
        await self._body.pour(partial(self._take_poured, take))

    def _take_poured(self, take: Take, view: Chunk) -> None:
        take(view)
        self._digest.update(view)

    async def _counted(self) -> None:
        if self._counting is not None:
            await self._counting
            self._counting = None

    async def next_view(self) -> Chunk | None:
        view = await self._body.next_view()
        await self._counted()
        if view is None:
            if not hmac.compare_digest(self._digest.hexdigest(), self._declared):
                raise RefusedError(Reason.PAYLOAD_MISMATCH)
        elif len(view) <= _COUNT_ON_LOOP_BYTES:
            self._digest.update(view)
        else:
            self._counting = asyncio.get_running_loop().run_in_executor(None, self._digest.update, view)
        return view
