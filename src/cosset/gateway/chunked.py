"""aws-chunked bodies, decoded as they arrive: chunk signatures, the trailer's signature and its checksum all verified.

A signed chunk is given on only after its signature held, so it is kept whole until then and therefore bounded; unsigned
chunks pass straight through. Refuses checksums that it cannot compute rather than skipping them.
Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and sigv4-streaming-trailers.html
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from cosset.gateway.claims import ALGORITHM, Claim
from cosset.gateway.payload import CHUNKED_KINDS, CHUNKED_UNSIGNED_TRAILER, hash_body
from cosset.gateway.refusals import Reason, RefusedError
from cosset.wire.errors import ServiceError
from cosset.wire.message import Headers

MAX_SIGNED_CHUNK_BYTES = 16 * 1024 * 1024
MAX_LINE_BYTES = 8 * 1024
MAX_TRAILERS = 16

_EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,12}")


class _Digest(Protocol):
    def update(self, data: bytes) -> None: ...
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
    """Lines and pieces out of a stream of chunks, keeping no more than it must."""

    def __init__(self, source: AsyncIterator[bytes]) -> None:
        self._source = source
        self._held = bytearray()

    async def _more(self) -> None:
        async for chunk in self._source:
            if chunk:
                self._held += chunk
                return
        raise _incomplete()

    async def line(self) -> bytes:
        while (end := self._held.find(b"\r\n")) < 0:
            if len(self._held) > MAX_LINE_BYTES:
                raise _incomplete()
            await self._more()
        line = bytes(self._held[:end])
        del self._held[: end + 2]
        return line

    async def some(self, limit: int) -> bytes:
        """At least one byte, at most `limit`."""
        if not self._held:
            await self._more()
        piece = bytes(self._held[:limit])
        del self._held[:limit]
        return piece

    async def exactly(self, size: int) -> bytes:
        while len(self._held) < size:
            await self._more()
        return await self.some(size) if size else b""

    async def line_end(self) -> None:
        if await self.exactly(2) != b"\r\n":
            raise _incomplete()

    async def at_end(self) -> bool:
        if self._held:
            return False
        async for chunk in self._source:
            if chunk:
                self._held += chunk
                return False
        return True


class ChunkedBody:
    """Decodes one body; iterate it once.

    Raises:
        RefusedError: a chunk's or the trailer's signature is not the client's.
        ServiceError: IncompleteBody, BadDigest, InvalidRequest, MalformedTrailerError.
    """

    def __init__(self, source: AsyncIterator[bytes], chunking: Chunking) -> None:
        self._reader = _Reader(source)
        self._chunking = chunking
        self._previous = chunking.claim.signature if chunking.claim is not None else ""
        self._checksums = {
            name: _start_checksum(name) for name in chunking.trailers if name.startswith("x-amz-checksum-")
        }
        self._decoded = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            size, signature = self._read_head(await self._reader.line())
            if size == 0:
                self._check_chunk(_EMPTY_SHA256, signature)
                break
            if self._chunking.decoded_bytes is not None and self._decoded + size > self._chunking.decoded_bytes:
                raise _incomplete()
            if self._chunking.key is None:
                while size:
                    piece = await self._reader.some(size)
                    size -= len(piece)
                    self._take(piece)
                    yield piece
            else:
                if size > MAX_SIGNED_CHUNK_BYTES:
                    raise ServiceError("InvalidChunkSizeError", "Chunk size is too large", status=403)
                data = await self._reader.exactly(size)
                self._check_chunk(await hash_body(data), signature)
                self._take(data)
                yield data
            await self._reader.line_end()
        await self._read_trailers()
        if self._chunking.decoded_bytes is not None and self._decoded != self._chunking.decoded_bytes:
            raise _incomplete()

    def _take(self, data: bytes) -> None:
        self._decoded += len(data)
        for checksum in self._checksums.values():
            checksum.update(data)

    def _read_head(self, line: bytes) -> tuple[int, str]:
        size, _, rest = line.partition(b";")
        if not _SIZE.fullmatch(size):
            raise _incomplete()
        name, _, signature = rest.partition(b"=")
        return int(size, 16), signature.decode("latin-1") if name == b"chunk-signature" else ""

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
    """Raises: OperationNotImplementedError for one that cannot be counted on this machine."""
    from cosset.services.s3.checksums import ALGORITHMS, begin

    algorithm = name.removeprefix("x-amz-checksum-").upper()
    if algorithm in ALGORITHMS:
        return begin(algorithm)
    raise _unsupported_trailer()


def _compare_checksum(name: str, checksum: _Digest, given: str) -> None:
    algorithm = name.removeprefix("x-amz-checksum-").upper()
    try:
        same = hmac.compare_digest(base64.b64decode(given, validate=True), checksum.digest())
    except (binascii.Error, ValueError):
        raise ServiceError("InvalidRequest", f"Value for {name} trailing header is invalid.", status=400) from None
    if not same:
        raise ServiceError(
            "BadDigest", f"The {algorithm} you specified did not match the calculated checksum.", status=400
        )
