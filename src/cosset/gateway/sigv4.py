"""Signature Version 4, as the side that verifies: did this secret sign this request, and lately?

Rebuilds the canonical request (canonical.py) of a claim (claims.py) and compares. Knows no service, keeps no secrets,
reads no body (payload.py does). Refuses headers that steer a request and are not signed, or come twice.
"""

import calendar
import hashlib
import hmac
import re
import time
from collections import OrderedDict

from cosset.clock import Clock
from cosset.gateway.canonical import AbsentHeaderError, canonical_requests, with_absent_headers
from cosset.gateway.claims import ALGORITHM, TERMINATOR, Claim, format_timestamp
from cosset.gateway.refusals import Reason, RefusedError, malformed, mismatch
from cosset.wire.message import Headers, Request

KEYS_CACHED = 1024

_ONCE_ONLY = (
    "host",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
    "x-amz-target",
    "x-amz-decoded-content-length",
)


def _read_timestamp(text: str) -> int:
    """Epoch seconds of a timestamp of the right form; a 13th month is somebody's next year, far outside any skew."""
    return calendar.timegm(
        (int(text[:4]), int(text[4:6]), int(text[6:8]), int(text[9:11]), int(text[11:13]), int(text[13:15]))
    )


def _expiry(claim: Claim, signed_s: int, now_s: int, skew_s: int) -> dict[str, str]:
    """What S3 says of a presigned URL that has expired, or of a request that is too old."""
    if claim.expires_s is None:
        return _skew(claim, now_s, skew_s)
    expires = _iso(signed_s + claim.expires_s)
    return {"X-Amz-Expires": str(claim.expires_s), "Expires": expires, "ServerTime": _iso(now_s)}


def _odd_date(claim: Claim) -> tuple[str, str]:
    """S3's words for a scope of another day than the request's, or of no day."""
    if not re.fullmatch(r"\d{8}", claim.date, re.ASCII):
        form = f'incorrect date format "{claim.date}". This date in the credential must be in the format "yyyyMMdd".'
        return malformed(form, in_query=claim.presigned)
    if claim.presigned:
        same = f'This date is not the same as X-Amz-Date: "{claim.timestamp[:8]}".'
        return malformed(f'Invalid credential date "{claim.date}". {same}', in_query=True)
    return malformed("Invalid credential date. Date is not the same as X-Amz-Date.")


def _skew(claim: Claim, now_s: int, skew_s: int) -> dict[str, str]:
    most = str(skew_s * 1000)
    return {"RequestTime": claim.timestamp, "ServerTime": _iso(now_s), "MaxAllowedSkewMilliseconds": most}


def _iso(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _span(seconds: int) -> str:
    return f"{seconds // 60} min." if seconds % 60 == 0 else f"{seconds} sec."


class Verifier:
    """Checks claims against the clock and against secrets. Caches signing keys, at most KEYS_CACHED of them."""

    def __init__(self, clock: Clock, max_clock_skew_s: int) -> None:
        self._clock = clock
        self._skew_s = max_clock_skew_s
        self._keys: OrderedDict[tuple[str, str, str, str], bytes] = OrderedDict()
        self._last_read: tuple[str, int] = ("", 0)

    def check_date(self, claim: Claim) -> None:
        """Raises: RefusedError when the claim is too old, from the future, or dated otherwise than its scope."""
        if claim.timestamp[:8] != claim.date:
            raise RefusedError(
                Reason.MISMATCH,
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
                f"'{claim.date}' != '{claim.timestamp[:8]}', from '{claim.timestamp}'.",
            ).told_by_s3(_odd_date(claim))
        signed_s = self._read_timestamp(claim.timestamp)
        now_s = self._clock.now_ms() // 1000
        if signed_s > now_s + self._skew_s:
            raise RefusedError(
                Reason.SKEWED,
                f"Signature not yet current: {claim.timestamp} is still later than "
                f"{format_timestamp(now_s + self._skew_s)} ({format_timestamp(now_s)} + {_span(self._skew_s)})",
                **_skew(claim, now_s, self._skew_s),
            )
        life_s = self._skew_s if claim.expires_s is None else claim.expires_s
        if signed_s < now_s - life_s or claim.expires_s == 0:
            raise RefusedError(
                Reason.PRESIGN_EXPIRED if claim.presigned else Reason.SKEWED,
                f"Signature expired: {claim.timestamp} is now earlier than "
                f"{format_timestamp(now_s - life_s)} ({format_timestamp(now_s)} - {_span(life_s)})",
                **_expiry(claim, signed_s, now_s, self._skew_s),
            )

    def _read_timestamp(self, timestamp: str) -> int:
        """Remembers the last one: requests of the same second are many."""
        if self._last_read[0] != timestamp:
            try:
                self._last_read = timestamp, _read_timestamp(timestamp)
            except ValueError:
                raise RefusedError(Reason.INCOMPLETE, f"Date must be a date. Got '{timestamp}'.") from None
        return self._last_read[1]

    def signing_key(self, secret: str, claim: Claim) -> bytes:
        identity = (secret, claim.date, claim.region, claim.service)
        key = self._keys.get(identity)
        if key is None:
            key = f"AWS4{secret}".encode()
            for part in (claim.date, claim.region, claim.service, TERMINATOR):
                key = hmac.digest(key, part.encode(), "sha256")
            self._keys[identity] = key
            if len(self._keys) > KEYS_CACHED:
                self._keys.popitem(last=False)
        return key

    def verify(self, request: Request, claim: Claim, secret: str, payload_hash: str, *, single_encoded: bool) -> None:
        """Returns when the secret made this signature over this request.

        `payload_hash` is the last line of the canonical request. `single_encoded`: S3, whose paths are encoded once
        and not normalized. Where clients are known to canonicalize in more than one way, each way is tried; every one
        of them covers all of the request, so none of them lets a change through.

        Raises:
            RefusedError: MISMATCH, HEADERS_NOT_SIGNED, INCOMPLETE (ambiguous headers).
        """
        check_coverage(request.headers, claim)
        key = self.signing_key(secret, claim)
        prefix = f"{ALGORITHM}\n{claim.timestamp}\n{claim.scope}\n"
        first: tuple[str, bytes] | None = None
        try:
            for canonical in canonical_requests(request, claim.signed_headers, payload_hash, single_encoded):
                to_sign = prefix + hashlib.sha256(canonical).hexdigest()
                signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
                if hmac.compare_digest(signature.encode(), claim.signature.encode("latin-1", "replace")):
                    return
                first = first or (to_sign, canonical)
        except AbsentHeaderError:
            counted = with_absent_headers(request, claim.signed_headers)
            canonical = next(canonical_requests(counted, claim.signed_headers, payload_hash, single_encoded))
            first = prefix + hashlib.sha256(canonical).hexdigest(), canonical
        assert first is not None
        raise mismatch(claim.access_key_id, first[0], claim.signature, first[1])


def check_coverage(headers: Headers, claim: Claim) -> None:
    """Host and every X-Amz-* header must be signed, and those that steer the request must come once."""
    signed = claim.signed_headers
    if "host" not in signed:
        raise RefusedError(Reason.MISMATCH, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    first = headers.first_values()
    for name in first:
        if name.startswith("x-amz-") and name not in signed:
            raise RefusedError(Reason.HEADERS_NOT_SIGNED, None, HeadersNotSigned=name)
    if len(first) != len(headers):
        for name in _ONCE_ONLY:
            if len(headers.get_all(name)) > 1:
                raise RefusedError(Reason.INCOMPLETE, f"The request has more than one '{name}' header.")
