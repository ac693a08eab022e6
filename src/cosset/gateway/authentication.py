"""The stage that finds out who calls: the claim of a signature is held against a key, and the body against the claim.

Beyond it a call has a principal, and a request whose body is proven, or will be as it streams. Refuses in AWS's words,
and tells a stranger nothing. Read next: claims.py, sigv4.py, payload.py; door.py, the stages before and after.
"""

from dataclasses import replace

from cosset.clock import Clock
from cosset.gateway.body import AWS_MAX_REQUEST_BYTES, BodyReader, TooLargeError, iterate
from cosset.gateway.call import Call
from cosset.gateway.chunked import ChunkedBody, Chunking
from cosset.gateway.claims import Claim
from cosset.gateway.keys import find_known_key
from cosset.gateway.payload import (
    CHUNKED_KINDS,
    UNSIGNED,
    check_body,
    checked_stream,
    declared_payload,
    hash_body,
)
from cosset.gateway.refusals import Reason, RefusedError, malformed
from cosset.gateway.sigv2 import read_old_claim, verify_old_claim, with_hoisted
from cosset.gateway.sigv4 import Verifier
from cosset.identity.ports import KeyDirectory, UseNotes
from cosset.services.operation import AnyService
from cosset.settings import Settings
from cosset.wire.errors import ServiceError
from cosset.wire.message import Headers, Request

UNSIGNED_BODY_BYTES = 256 * 1024
"""What a caller without a signature may send before it is known whether the operation needs one."""


class Authentication:
    def __init__(self, keys: KeyDirectory, settings: Settings, clock: Clock, uses: UseNotes | None = None) -> None:
        self._keys = keys
        self._region = settings.region
        self._clock = clock
        self._uses = uses
        self._verifier = Verifier(clock, settings.max_clock_skew_s)
        self._bodies = BodyReader(min(settings.max_body_mb * 1024 * 1024, AWS_MAX_REQUEST_BYTES))
        self._unsigned_bodies = BodyReader(UNSIGNED_BODY_BYTES)

    async def read_unsigned(self, request: Request) -> Request:
        """A small body is read, since the Action may stand in it; of a large one nothing."""
        try:
            self._unsigned_bodies.check_length(request)
            body = await self._unsigned_bodies.read(request.body)
            return request if body is request.body else replace(request, body=body)
        except (TooLargeError, ServiceError):
            return replace(request, body=b"")

    def admit_unsigned(self, call: Call) -> None:
        """Only operations that need no signature, and nothing is told of any other."""
        if (
            call.routed is None
            or call.route.table is None
            or call.route.wire.operation(call.routed.operation).auth_type != "none"
        ):
            raise RefusedError(Reason.MISSING)

    async def admit_nobody(self, call: Call, table: AnyService) -> None:
        """To a bucket, or whoever signed the URL in the older way. What a body declares of itself proves nothing then;
        chunks are taken out all the same."""
        if call.routed is None or call.routed.operation not in table.operations:
            raise RefusedError(Reason.MISSING)
        old = read_old_claim(call.request)
        if old is not None:
            call.principal = await verify_old_claim(call.request, old, self._keys, self._clock.now_ms())
            call.request = with_hoisted(call.request)
        declared = call.request.headers.get("x-amz-content-sha256") or UNSIGNED
        if declared in CHUNKED_KINDS:
            chunking = Chunking.unsigned(call.request.headers, declared)
            decoded = aiter(ChunkedBody(iterate(call.request.body), chunking))
            call.request = replace(call.request, body=decoded, headers=_without_chunking(call.request.headers))
        if not call.streams_in:
            try:
                self._unsigned_bodies.check_length(call.request)
                call.request = replace(call.request, body=await self._unsigned_bodies.read(call.request.body))
            except TooLargeError:
                raise RefusedError(Reason.MISSING) from None

    async def authenticate(self, call: Call, claim: Claim) -> None:
        """On return the principal is known, the signature holds, the body is proven or will be as it streams.

        What a stranger can make the door do is little: a body is read only for a key that exists.
        """
        s3 = call.is_for_bucket
        if call.route.table is not None and claim.service != call.route.wire.signing_name:
            scoped = f"Credential should be scoped to correct service: '{call.route.wire.signing_name}'. "
            raise RefusedError(Reason.MISMATCH, scoped)
        if s3:
            self._check_bucket_claim(claim)
        self._verifier.check_date(claim)
        key = await find_known_key(self._keys, claim, self._clock.now_ms())
        secret = key.credentials.secret_access_key
        declared = declared_payload(call.request, claim, s3=s3)
        single_encoded = claim.service == "s3"
        if declared is None:
            body = await self._buffer(call)
            self._verifier.verify(call.request, claim, secret, await hash_body(body), single_encoded=single_encoded)
        else:
            self._verifier.verify(call.request, claim, secret, declared, single_encoded=single_encoded)
            await self._prove(call, claim, declared, secret)
        call.principal = key.principal
        if s3 and claim.presigned:
            call.request = with_hoisted(call.request)
        if self._uses is not None:
            now_ms = self._clock.now_ms()
            self._uses.used(claim.access_key_id, key.principal, claim.service, claim.region, now_ms)

    def _check_bucket_claim(self, claim: Claim) -> None:
        if claim.region == "aws-global":
            words = malformed(f"the region 'aws-global' is wrong; expecting '{self._region}'", in_query=claim.presigned)
            raise ServiceError(*words, fields={"Region": self._region})
        if claim.presigned and claim.expires_s is None:
            raise RefusedError(Reason.PRESIGN_MALFORMED)

    async def _prove(self, call: Call, claim: Claim, declared: str, secret: str) -> None:
        """A body whose hash or chunks are signed: proven now, or as it streams to an operation that streams."""
        streams = call.streams_in
        if declared in CHUNKED_KINDS:
            chunking = Chunking.of(call.request.headers, claim, declared, self._verifier.signing_key(secret, claim))
            decoded = aiter(ChunkedBody(iterate(call.request.body), chunking))
            call.request = replace(call.request, body=decoded, headers=_without_chunking(call.request.headers))
        elif declared != UNSIGNED and streams and not isinstance(call.request.body, bytes):
            call.request = replace(call.request, body=checked_stream(call.request.body, declared))
        if not streams or isinstance(call.request.body, bytes):
            await check_body(await self._buffer(call), declared)

    async def _buffer(self, call: Call) -> bytes:
        self._bodies.check_length(call.request)
        body = await self._bodies.read(call.request.body)
        if body is not call.request.body:
            call.request = replace(call.request, body=body)
        return body


def _without_chunking(headers: Headers) -> Headers:
    """aws-chunked is between the client and the door; what is left of Content-Encoding is the object's own."""
    kept: list[tuple[str, str]] = []
    for name, value in headers:
        if name == "content-encoding":
            value = ",".join(part for part in value.split(",") if part.strip().lower() != "aws-chunked")
            if not value:
                continue
        if name != "content-length":
            kept.append((name, value))
    return Headers(kept)
