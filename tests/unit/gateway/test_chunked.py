"""aws-chunked bodies: AWS's documented example, botocore's own encoder, and every way to break one."""

import asyncio
import base64
import hashlib
import hmac
import io
import zlib
from collections.abc import AsyncIterator, Iterator, Sequence
from unittest.mock import patch

import pytest
from awscrt import checksums
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum
from hypothesis import example, given
from hypothesis import strategies as st

from cosset.clock import SystemClock
from cosset.gateway import chunked
from cosset.gateway.chunked import MAX_LINE_BYTES, MAX_SIGNED_CHUNK_BYTES, ChunkedBody, Chunking
from cosset.gateway.claims import Claim
from cosset.gateway.payload import CHUNKED, CHUNKED_TRAILER, CHUNKED_UNSIGNED_TRAILER
from cosset.gateway.refusals import RefusedError
from cosset.gateway.sigv4 import Verifier
from cosset.wire.errors import ServiceError
from cosset.wire.message import Headers

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
EMPTY = hashlib.sha256(b"").hexdigest()


@pytest.fixture(scope="module", autouse=True)
def _small_chunks() -> Iterator[None]:
    """Or every test would have to make large ones."""
    with patch.object(chunked, "MIN_CHUNK_BYTES", 1):
        yield


def claim_with(signature: str) -> Claim:
    return Claim(
        access_key_id="AKIAIOSFODNN7EXAMPLE",
        date="20130524",
        region="us-east-1",
        service="s3",
        signed_headers=("host",),
        signature=signature,
        timestamp="20130524T000000Z",
    )


SEED = claim_with("4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9")
KEY = Verifier(SystemClock(), 300).signing_key(SECRET, SEED)


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def decode(
    data: bytes, declared: str, *, trailers: str | None = None, length: int | None = None, size: int = 1000
) -> bytes:
    headers = []
    if trailers is not None:
        headers.append(("x-amz-trailer", trailers))
    if length is not None:
        headers.append(("x-amz-decoded-content-length", str(length)))

    async def collect() -> bytes:
        body = ChunkedBody(pieces(data, size), Chunking.of(Headers(headers), SEED, declared, KEY))
        return b"".join([chunk async for chunk in body])

    return asyncio.run(collect())


def sign_chunks(chunks: Sequence[bytes], trailers: Sequence[tuple[str, str]] = ()) -> bytes:
    """A signer of its own, written from AWS's pages."""
    previous, out = SEED.signature, b""

    def chain(kind: str, lines: str) -> str:
        nonlocal previous
        text = f"{kind}\n{SEED.timestamp}\n{SEED.date}/us-east-1/s3/aws4_request\n{previous}\n{lines}"
        previous = hmac.new(KEY, text.encode(), hashlib.sha256).hexdigest()
        return previous

    for chunk in [*chunks, b""]:
        signature = chain("AWS4-HMAC-SHA256-PAYLOAD", f"{EMPTY}\n{hashlib.sha256(chunk).hexdigest()}")
        out += f"{len(chunk):x};chunk-signature={signature}\r\n".encode() + chunk + (b"\r\n" if chunk else b"")
    if trailers:
        canonical = "".join(f"{name}:{value}\n" for name, value in trailers)
        signature = chain("AWS4-HMAC-SHA256-TRAILER", hashlib.sha256(canonical.encode()).hexdigest())
        for name, value in (*trailers, ("x-amz-trailer-signature", signature)):
            out += f"{name}:{value}\r\n".encode()
    return out + b"\r\n"


def test_the_example_of_the_documentation_holds() -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html, 66,560 bytes of `a` in 64 KB chunks."""
    body = (
        b"10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n"
        + b"a" * 65536
        + b"\r\n400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n"
        + b"a" * 1024
        + b"\r\n0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n"
    )
    assert decode(body, CHUNKED, length=66560) == b"a" * 66560


@given(st.lists(st.binary(min_size=1, max_size=100), max_size=5), st.integers(1, 200))
def test_signed_chunks_hold_however_they_arrive(chunks: list[bytes], size: int) -> None:
    data = b"".join(chunks)
    assert decode(sign_chunks(chunks), CHUNKED, length=len(data), size=size) == data
    checksum = base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()
    signed = sign_chunks(chunks, [("x-amz-checksum-crc32", checksum)])
    assert decode(signed, CHUNKED_TRAILER, trailers="x-amz-checksum-crc32", size=size) == data


@given(st.integers(0, 10_000), st.integers(1, 255))
@example(392, 1)
def test_any_changed_byte_is_refused(at: int, change: int) -> None:
    body = sign_chunks([b"first chunk", b"second"], [("x-amz-checksum-crc32", _crc32(b"first chunksecond"))])
    at %= len(body)
    changed = body[:at] + bytes([body[at] ^ change]) + body[at + 1 :]
    if changed.lower() == body.lower():
        return  # hexadecimal sizes and header names have no case
    with pytest.raises((RefusedError, ServiceError)):
        decode(changed, CHUNKED_TRAILER, trailers="x-amz-checksum-crc32", length=17)


def _crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def test_chunks_may_not_change_places() -> None:
    body = sign_chunks([b"aaaa", b"bbbb"])
    chunk = len(body.split(b"aaaa\r\n")[0]) + 6
    turned = body[chunk : 2 * chunk] + body[:chunk] + body[2 * chunk :]
    with pytest.raises(RefusedError):
        decode(turned, CHUNKED)


@pytest.mark.parametrize("cut", [3, 20, 60, 90, 95, 150])
def test_a_body_that_ends_early_is_told_apart(cut: int) -> None:
    body = sign_chunks([b"first", b"second"])
    with pytest.raises((RefusedError, ServiceError)):
        decode(body[:-cut], CHUNKED)


def test_what_botocore_chunks_is_read() -> None:
    data = bytes(range(256)) * 9000
    wrapped = AwsChunkedWrapper(io.BytesIO(data), checksum_cls=Crc32Checksum, checksum_name="x-amz-checksum-crc32")
    body = wrapped.read()
    decoded = decode(body, CHUNKED_UNSIGNED_TRAILER, trailers="x-amz-checksum-crc32", length=len(data), size=70_000)
    assert decoded == data


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("crc32", zlib.crc32(b"data").to_bytes(4, "big")),
        ("crc32c", bytes.fromhex("aed87dd1")),
        ("crc64nvme", checksums.crc64nvme(b"data").to_bytes(8, "big")),
        ("sha1", hashlib.sha1(b"data").digest()),
        ("sha256", hashlib.sha256(b"data").digest()),
    ],
)
def test_checksums_in_trailers_are_compared(name: str, digest: bytes) -> None:
    trailer = f"x-amz-checksum-{name}"
    right = f"4\r\ndata\r\n0\r\n{trailer}:{base64.b64encode(digest).decode()}\r\n\r\n".encode()
    assert decode(right, CHUNKED_UNSIGNED_TRAILER, trailers=trailer) == b"data"
    wrong = right.replace(b"data", b"date")
    with pytest.raises(ServiceError) as caught:
        decode(wrong, CHUNKED_UNSIGNED_TRAILER, trailers=trailer)
    assert caught.value.code == "BadDigest"
    assert caught.value.message == f"The {name.upper()} you specified did not match the calculated checksum."


@pytest.mark.parametrize("value", ["", "!", "AAAA=A", "é"])
def test_a_checksum_that_is_none_is_refused(value: str) -> None:
    body = f"4\r\ndata\r\n0\r\nx-amz-checksum-crc32:{value}\r\n\r\n".encode("latin-1")
    with pytest.raises(ServiceError) as caught:
        decode(body, CHUNKED_UNSIGNED_TRAILER, trailers="x-amz-checksum-crc32")
    assert caught.value.code in ("InvalidRequest", "BadDigest")


def test_a_checksum_that_cannot_be_computed_is_not_passed_over() -> None:
    with pytest.raises(ServiceError) as caught:
        decode(b"0\r\n\r\n", CHUNKED_UNSIGNED_TRAILER, trailers="x-amz-checksum-adler32")
    assert "not supported" in caught.value.message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"zz\r\n",
        b"-1\r\n\r\n",
        b"4\r\ndat",
        b"4\r\ndata0\r\n\r\n",
        b"4\r\ndata\r\n",
        b"4\r\ndata\r\n0\r\n\r\nmore",
        b"1" * (MAX_LINE_BYTES + 1000),
        b"4\r\ndata\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n",
        b"4\r\ndata\r\n0\r\nx-other:1\r\n\r\n",
        b"4\r\ndata\r\n0\r\n\r\n",
    ],
)
def test_what_is_not_aws_chunked_is_refused(body: bytes) -> None:
    with pytest.raises(ServiceError):
        decode(body, CHUNKED_UNSIGNED_TRAILER, trailers="x-amz-checksum-crc32")


@pytest.mark.parametrize("length", [0, 3, 5])
def test_the_decoded_length_is_the_one_announced(length: int) -> None:
    body = f"4\r\ndata\r\n0\r\nx-amz-checksum-crc32:{_crc32(b'data')}\r\n\r\n".encode()
    with pytest.raises(ServiceError):
        decode(body, CHUNKED_UNSIGNED_TRAILER, trailers="x-amz-checksum-crc32", length=length)


def test_a_signed_chunk_is_bounded() -> None:
    size = f"{MAX_SIGNED_CHUNK_BYTES + 1:x}".encode()
    with pytest.raises(ServiceError) as caught:
        decode(size + b";chunk-signature=" + b"0" * 64 + b"\r\n", CHUNKED)
    assert caught.value.code == "InvalidChunkSizeError"


@pytest.mark.parametrize(("declared", "trailers"), [(CHUNKED, "x-amz-checksum-crc32"), (CHUNKED_TRAILER, None)])
def test_trailers_and_their_announcement_agree(declared: str, trailers: str | None) -> None:
    with pytest.raises(ServiceError) as caught:
        decode(sign_chunks([b"a"]), declared, trailers=trailers)
    assert caught.value.code == "MalformedTrailerError"
