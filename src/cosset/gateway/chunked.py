"""aws-chunked bodies, decoded as they arrive: chunk signatures, the trailer's signature and its checksum all verified.

A signed chunk is given on only after its signature held, so it is kept whole until then and therefore bounded. Refuses
checksums that it cannot compute rather than skipping them.
Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and sigv4-streaming-trailers.html
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from cosset.gateway.claims import ALGORITHM, Claim
from cosset.gateway.payload import CHUNKED_KINDS, CHUNKED_UNSIGNED_TRAILER, hash_body
from cosset.gateway.refusals import Reason, RefusedError
from cosset.wire.errors import ServiceError
from cosset.wire.message import Body, Headers
from cosset.wire.views import Chunk, ViewedBody, viewed

MIN_CHUNK_BYTES = 8_192
"""Of any chunk but the last."""
MAX_SIGNED_CHUNK_BYTES = 16 * 1024 * 1024
MAX_LINE_BYTES = 8 * 1024
MAX_TRAILERS = 16
VIEW_BYTES = 256 * 1024
"""What is gathered of small chunks before it is given on."""
_BUFFERS = 4
_AHEAD_BYTES = 256

_EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,12}")


class _Digest(Protocol):
    def update(self, data: Chunk) -> None: ...
    def digest(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Chunking:
    """How the body of one request is chunked. `key` signs chunks, None where they are not signed."""

    claim: Claim | None
    key: bytes | None
    decoded_bytes: int | None
    trailers: tuple[str, ...]

    @classmethod
    def of(cls, headers: Headers, claim: Claim, declared: str, key: bytes) -> "Chunking":
        """Raises: ServiceError when the headers that announce the chunks make no sense, in S3's words."""
        return cls._read(headers, claim, declared, None if declared == CHUNKED_UNSIGNED_TRAILER else key)

    @classmethod
    def unsigned(cls, headers: Headers, declared: str) -> "Chunking":
        """Of a request that nobody signed. Raises: ServiceError."""
        return cls._read(headers, None, declared, None)

    @classmethod
    def _read(cls, headers: Headers, claim: Claim | None, declared: str, key: bytes | None) -> "Chunking":
        assert declared in CHUNKED_KINDS
        length = headers.get("x-amz-decoded-content-length")
        if length is not None and not re.fullmatch(r"\d{1,15}", length, re.ASCII):
            raise ServiceError("MissingContentLength", "You must provide the Content-Length HTTP header.", status=411)
        named = headers.get("x-amz-trailer", "") or ""
        trailers = tuple(name.strip().lower() for name in named.split(",") if name.strip())
        if declared != CHUNKED_UNSIGNED_TRAILER and declared.endswith("-TRAILER") != bool(trailers):
            raise _malformed_trailer()
        if any(not name.startswith("x-amz-checksum-") for name in trailers):
            raise _unsupported_trailer()
        return cls(
            claim=claim,
            key=key,
            decoded_bytes=None if length is None else int(length),
            trailers=trailers,
        )


def _incomplete() -> ServiceError:
    return ServiceError("IncompleteBody", "The request body terminated unexpectedly", status=400)


class _Reader:
    """Lines and pieces out of a body, copied out of its views once."""

    def __init__(self, source: ViewedBody) -> None:
        self._source = source
        self._view = memoryview(b"")

    async def _more(self) -> None:
        if await self.at_end():
            raise _incomplete()

    async def line(self) -> bytes:
        line = b""
        while True:
            if not self._view:
                await self._more()
            ahead = bytes(self._view[:_AHEAD_BYTES])
            taken = ahead.find(b"\n") + 1 or len(ahead)
            line += ahead[:taken]
            self._view = self._view[taken:]
            if line.endswith(b"\r\n"):
                return line[:-2]
            if len(line) > MAX_LINE_BYTES:
                raise _incomplete()

    async def some_into(self, target: memoryview) -> int:
        """How many: at least one byte, at most what fits."""
        if not self._view:
            await self._more()
        size = min(len(target), len(self._view))
        target[:size] = self._view[:size]
        self._view = self._view[size:]
        return size

    async def all_into(self, target: memoryview) -> None:
        while target:
            target = target[await self.some_into(target) :]

    async def line_end(self) -> None:
        end = bytearray(2)
        await self.all_into(memoryview(end))
        if end != b"\r\n":
            raise _incomplete()

    async def at_end(self) -> bool:
        while not self._view:
            view = await self._source.next_view()
            if view is None:
                return True
            self._view = memoryview(view)
        return False


class ChunkedBody(ViewedBody):
    """Decodes one body, many chunks into one view.

    Raises:
        RefusedError: a chunk's or the trailer's signature is not the client's.
        ServiceError: IncompleteBody, BadDigest, InvalidRequest, MalformedTrailerError.
    """

    def __init__(self, source: Body, chunking: Chunking) -> None:
        self._reader = _Reader(viewed(source))
        self._chunking = chunking
        self._previous = chunking.claim.signature if chunking.claim is not None else ""
        self._checksums = {
            name: _start_checksum(name) for name in chunking.trailers if name.startswith("x-amz-checksum-")
        }
        self._decoded = 0
        self._buffers = deque(bytearray() for _ in range(_BUFFERS))
        self._left = 0
        """Of an unsigned chunk under way."""
        self._size = MIN_CHUNK_BYTES
        """Of the last chunk, and how many there were."""
        self._count = 0
        self._has_ended = False

    @property
    def good_for(self) -> int:
        return _BUFFERS

    async def next_view(self) -> memoryview | None:
        filled = 0
        self._buffers.rotate()
        self._make_room(0, VIEW_BYTES)
        while not self._has_ended and filled < VIEW_BYTES:
            filled += await (self._unsigned_piece(filled) if self._left else self._chunk(filled))
        return memoryview(self._buffers[0])[:filled] if filled else None

    def _make_room(self, filled: int, size: int) -> memoryview:
        """Where the next `size` bytes go, behind those that are there. A buffer that was given on keeps its place."""
        there = self._buffers[0]
        if len(there) < filled + size:
            self._buffers[0] = bytearray(filled + size)
            self._buffers[0][:filled] = memoryview(there)[:filled]
        return memoryview(self._buffers[0])[filled : filled + size]

    async def _chunk(self, filled: int) -> int:
        """Begins with the next one, which is read whole where it is signed. How many bytes came of it."""
        size, signature = self._read_head(await self._reader.line())
        if size == 0:
            self._check_chunk(_EMPTY_SHA256, signature)
            await self._end()
            return 0
        if self._chunking.decoded_bytes is not None and self._decoded + size > self._chunking.decoded_bytes:
            raise _incomplete()
        self._check_size(size)
        if self._chunking.key is None:
            self._left = size
            return 0
        if size > MAX_SIGNED_CHUNK_BYTES:
            raise ServiceError("InvalidChunkSizeError", "Chunk size is too large", status=403)
        data = self._make_room(filled, size)
        await self._reader.all_into(data)
        self._check_chunk(await hash_body(data), signature)
        self._take(data)
        await self._reader.line_end()
        return size

    def _check_size(self, size: int) -> None:
        self._count += 1
        if self._size < MIN_CHUNK_BYTES:
            sentence = f"Only the last chunk is allowed to have a size less than {MIN_CHUNK_BYTES} bytes"
            fields = {"Chunk": str(self._count), "BadChunkSize": str(self._size)}
            raise ServiceError("InvalidChunkSizeError", sentence, status=403, fields=fields)
        self._size = size

    async def _unsigned_piece(self, filled: int) -> int:
        data = self._make_room(filled, min(self._left, VIEW_BYTES - filled))
        size = await self._reader.some_into(data)
        self._take(data[:size])
        self._left -= size
        if not self._left:
            await self._reader.line_end()
        return size

    async def _end(self) -> None:
        await self._read_trailers()
        if self._chunking.decoded_bytes is not None and self._decoded != self._chunking.decoded_bytes:
            raise _incomplete()
        self._has_ended = True

    def _take(self, data: memoryview) -> None:
        self._decoded += len(data)
        for checksum in self._checksums.values():
            checksum.update(data)

    def _read_head(self, line: bytes) -> tuple[int, str]:
        size, _, rest = line.partition(b";")
        if not _SIZE.fullmatch(size):
            raise _incomplete()
        name, _, signature = rest.partition(b"=")
        if self._chunking.key is not None and (name != b"chunk-signature" or not signature):
            raise _incomplete()
        return int(size, 16), signature.decode("latin-1")

    def _check_chunk(self, digest: str, signature: str) -> None:
        self._check(f"{ALGORITHM}-PAYLOAD", f"{_EMPTY_SHA256}\n{digest}", signature)

    def _check(self, kind: str, last_lines: str, signature: str) -> None:
        key, claim = self._chunking.key, self._chunking.claim
        if key is None or claim is None:
            return
        to_sign = f"{kind}\n{claim.timestamp}\n{claim.scope}\n{self._previous}\n{last_lines}"
        expected = hmac.digest(key, to_sign.encode(), "sha256").hex()
        if not hmac.compare_digest(expected.encode(), signature.encode("latin-1", "replace")):
            raise RefusedError(Reason.MISMATCH)
        self._previous = signature

    async def _read_trailers(self) -> None:
        """The lines after the last chunk, up to an empty one or, as some clients leave it out, the end of the body."""
        found: dict[str, str] = {}
        canonical, signature = "", ""
        while not await self._reader.at_end():
            line = await self._reader.line()
            if not line:
                if not await self._reader.at_end():
                    raise _incomplete()
                break
            name, colon, value = line.decode("latin-1").partition(":")
            name, value = name.lower(), value.strip(" \t")
            if name == "x-amz-trailer-signature":
                signature = value
            elif colon and name in self._chunking.trailers and name not in found and len(found) < MAX_TRAILERS:
                found[name] = value
                canonical += f"{name}:{value}\n"
            else:
                raise _malformed_trailer()
        if set(found) != set(self._chunking.trailers):
            raise _malformed_trailer()
        if found:
            self._check(f"{ALGORITHM}-TRAILER", hashlib.sha256(canonical.encode("latin-1")).hexdigest(), signature)
        for name, checksum in self._checksums.items():
            _compare_checksum(name, checksum, found[name])


def _malformed_trailer() -> ServiceError:
    return ServiceError(
        "MalformedTrailerError",
        "The request contained trailing data that was not well-formed or did not conform to our published schema.",
        status=400,
    )


def _unsupported_trailer() -> ServiceError:
    sentence = "The value specified in the x-amz-trailer header is not supported"
    return ServiceError("InvalidRequest", sentence, status=400)


def _start_checksum(name: str) -> _Digest:
    """Raises: ServiceError InvalidRequest, OperationNotImplementedError for one that is not counted here."""
    from cosset.services.s3.checksums import ALGORITHMS, begin

    algorithm = name.removeprefix("x-amz-checksum-").upper()
    if algorithm in ALGORITHMS:
        return begin(algorithm)
    raise _unsupported_trailer()


def _compare_checksum(name: str, checksum: _Digest, given: str) -> None:
    algorithm, counted = name.removeprefix("x-amz-checksum-").upper(), checksum.digest()
    try:
        expected = base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        expected = b""
    if len(expected) != len(counted):
        raise ServiceError("InvalidRequest", f"Value for {name} trailing header is invalid.", status=400)
    if not hmac.compare_digest(expected, counted):
        raise ServiceError(
            "BadDigest", f"The {algorithm} you specified did not match the calculated checksum.", status=400
        )
