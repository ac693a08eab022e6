"""Signature Version 4, as the side that verifies: who claims to have signed what, and whether that is true.

Reads the claim of an Authorization header or a presigned URL, rebuilds the canonical request and compares. Knows no
service, keeps no secrets, reads no body (`payload.py` does). Refuses what is ambiguous: two Authorization headers, a
second X-Amz-Date, an X-Amz-* header that the signature does not cover.
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import calendar
import hashlib
import hmac
import re
import time
from base64 import b64encode
from collections import OrderedDict
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import unquote

from cosset.clock import Clock
from cosset.gateway.canonical import canonical_requests
from cosset.gateway.refusals import Reason, RefusedError
from cosset.wire.message import Headers, Request

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
PRESIGN_MAX_S = 604_800
KEYS_CACHED = 1024

_TIMESTAMP = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_SCOPE = re.compile(r"/\d{8}/[a-z0-9-]+/([a-z0-9-]+)/" + TERMINATOR, re.ASCII)
_USUAL = re.compile(
    ALGORITHM
    + r" Credential=([^/,\s]+)/(\d{8})/([^/,\s]+)/([^/,\s]+)/"
    + TERMINATOR
    + r", ?SignedHeaders=([a-z0-9;_-]+), ?Signature=([0-9a-f]{64})",
    re.ASCII,
)
_ONCE_ONLY = (
    "host",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
    "x-amz-target",
    "x-amz-decoded-content-length",
)


class Claim(NamedTuple):
    """What a request says of its own signature; nothing in it is true until it is verified.

    `timestamp` is `YYYYMMDDTHHMMSSZ`. `expires_s` is set for presigned URLs, which carry everything in the query.
    """

    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str
    timestamp: str
    session_token: str | None = None
    presigned: bool = False
    expires_s: int | None = None

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/{TERMINATOR}"


def read_claim(request: Request) -> Claim | None:
    """The claim of the request, or None when it makes none.

    Raises:
        RefusedError: the claim is there and cannot be understood.
    """
    headers, query = request.headers, request.query
    authorization = headers.get("authorization")
    in_query = bool(query) and ("X-Amz-Signature=" in query or "X-Amz-Algorithm=" in query)
    if authorization is None:
        return _claim_of_query(request) if in_query else None
    if in_query or len(headers.get_all("authorization")) > 1:
        raise RefusedError(Reason.INCOMPLETE, "Only one auth mechanism allowed")
    return _claim_of_header(authorization, headers)


def guess_service(request: Request) -> str | None:
    """The signing name in a claim that cannot be read: only good for the words in which it is refused."""
    found = _SCOPE.search(request.headers.get("authorization") or unquote(request.query))
    return found[1] if found is not None else None


def _claim_of_header(authorization: str, headers: Headers) -> Claim:
    """The usual form at once; any other is taken apart, so that what is wrong with it can be told."""
    usual = _USUAL.fullmatch(authorization)
    if usual is not None and (timestamp := _timestamp_of(headers)) is not None:
        key, date, region, service, signed, signature = usual.groups()
        token = headers.get("x-amz-security-token")
        return Claim(key, date, region, service, tuple(signed.split(";")), signature, timestamp, token)
    return _claim_of_pieces(authorization, headers)


def _claim_of_pieces(authorization: str, headers: Headers) -> Claim:
    """AWS hashes the header instead of repeating it: it may hold a secret that was sent to the wrong place."""
    algorithm, _, rest = authorization.strip().partition(" ")
    parts: dict[str, str] = {}
    for piece in (rest if algorithm == ALGORITHM else authorization).replace(",", " ").split():
        name, equals, value = piece.partition("=")
        if not equals:
            if algorithm != ALGORITHM and piece == algorithm:
                continue
            raise RefusedError(
                Reason.INCOMPLETE,
                "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded "
                f"with Base64): '{_hashed(authorization)}'.",
            )
        if name in parts:
            raise RefusedError(Reason.INCOMPLETE, f"Authorization header has more than one '{name}' parameter.")
        parts[name] = value
    timestamp = _timestamp_of(headers)
    missing = [
        f"Authorization header requires '{name}' parameter."
        for name in ("Credential", "Signature", "SignedHeaders")
        if algorithm != ALGORITHM or not parts.get(name)
    ]
    if timestamp is None:
        missing.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if missing or timestamp is None:
        raise RefusedError(
            Reason.INCOMPLETE,
            f"{' '.join(missing)} (Hashed with SHA-256 and encoded with Base64) Authorization={_hashed(authorization)}",
        )
    key, date, region, service = _read_credential(parts["Credential"])
    return Claim(
        access_key_id=key,
        date=date,
        region=region,
        service=service,
        signed_headers=tuple(parts["SignedHeaders"].lower().split(";")),
        signature=parts["Signature"],
        timestamp=timestamp,
        session_token=headers.get("x-amz-security-token"),
    )


def _hashed(authorization: str) -> str:
    return b64encode(hashlib.sha256(authorization.encode("latin-1", "replace")).digest()).decode()


def _timestamp_of(headers: Headers) -> str | None:
    """X-Amz-Date wins over Date. None: there is neither. A date that cannot be read is refused like a wrong one."""
    given = headers.get("x-amz-date")
    if given is not None:
        if not _TIMESTAMP.fullmatch(given):
            raise RefusedError(
                Reason.INCOMPLETE,
                f"Date must be in ISO-8601 'basic format'. Got '{given}'. See http://en.wikipedia.org/wiki/ISO_8601",
            )
        return given
    given = headers.get("date")
    if given is None:
        return None
    if _TIMESTAMP.fullmatch(given):
        return given
    try:
        seconds = parsedate_to_datetime(given).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
    return format_timestamp(int(seconds))


def _read_credential(credential: str) -> tuple[str, str, str, str]:
    pieces = credential.split("/")
    if len(pieces) != 5:
        raise RefusedError(
            Reason.INCOMPLETE,
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
            f"got '{credential}'",
        )
    key, date, region, service, terminator = pieces
    if terminator != TERMINATOR:
        raise RefusedError(
            Reason.MISMATCH, f"Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{terminator}'."
        )
    return key, date, region, service


_QUERY_NAMES = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "X-Amz-Date",
    "X-Amz-SignedHeaders",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
)


def _claim_of_query(request: Request) -> Claim:
    given: dict[str, str] = {}
    for pair in request.query.split("&"):
        name, _, value = pair.partition("=")
        name = unquote(name)
        if name in _QUERY_NAMES:
            if name in given:
                raise RefusedError(Reason.PRESIGN_MALFORMED)
            given[name] = unquote(value)
    # Only S3 insists on X-Amz-Expires; the rest let a URL live as long as a signed request (door: check_date).
    for name in _QUERY_NAMES[:5]:
        if not given.get(name):
            raise RefusedError(Reason.PRESIGN_MALFORMED)
    if given["X-Amz-Algorithm"] != ALGORITHM:
        raise RefusedError(Reason.PRESIGN_MALFORMED, f'X-Amz-Algorithm only supports "{ALGORITHM}"')
    timestamp = given["X-Amz-Date"]
    if not _TIMESTAMP.fullmatch(timestamp):
        raise RefusedError(
            Reason.PRESIGN_MALFORMED, "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""
        )
    key, date, region, service = _read_credential(given["X-Amz-Credential"])
    return Claim(
        access_key_id=key,
        date=date,
        region=region,
        service=service,
        signed_headers=tuple(given["X-Amz-SignedHeaders"].lower().split(";")),
        signature=given["X-Amz-Signature"],
        timestamp=timestamp,
        session_token=given.get("X-Amz-Security-Token"),
        presigned=True,
        expires_s=_read_expires(given.get("X-Amz-Expires")),
    )


def _read_expires(text: str | None) -> int | None:
    """Sentences: S3's AuthorizationQueryParametersError."""
    if text is None:
        return None
    if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII):
        raise RefusedError(Reason.PRESIGN_MALFORMED, "X-Amz-Expires should be a number")
    expires_s = int(text)
    if expires_s < 0:
        raise RefusedError(Reason.PRESIGN_MALFORMED, "X-Amz-Expires must be non-negative")
    if expires_s > PRESIGN_MAX_S:
        raise RefusedError(
            Reason.PRESIGN_MALFORMED,
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than "
            f"{PRESIGN_MAX_S} seconds",
        )
    return expires_s


def format_timestamp(seconds: int) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))


def _read_timestamp(text: str) -> int:
    """Epoch seconds of a timestamp of the right form; a 13th month is somebody's next year, far outside any skew."""
    return calendar.timegm(
        (int(text[:4]), int(text[4:6]), int(text[6:8]), int(text[9:11]), int(text[11:13]), int(text[13:15]))
    )


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
            )
        signed_s = self._read_timestamp(claim.timestamp)
        now_s = self._clock.now_ms() // 1000
        if signed_s > now_s + self._skew_s:
            raise RefusedError(
                Reason.SKEWED,
                f"Signature not yet current: {claim.timestamp} is still later than "
                f"{format_timestamp(now_s + self._skew_s)} ({format_timestamp(now_s)} + {_span(self._skew_s)})",
            )
        life_s = self._skew_s if claim.expires_s is None else claim.expires_s
        if signed_s < now_s - life_s:
            raise RefusedError(
                Reason.PRESIGN_EXPIRED if claim.presigned else Reason.SKEWED,
                f"Signature expired: {claim.timestamp} is now earlier than "
                f"{format_timestamp(now_s - life_s)} ({format_timestamp(now_s)} - {_span(life_s)})",
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
        for canonical in canonical_requests(request, claim.signed_headers, payload_hash, single_encoded):
            to_sign = prefix + hashlib.sha256(canonical).hexdigest()
            signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
            if hmac.compare_digest(signature.encode(), claim.signature.encode("latin-1", "replace")):
                return
        raise RefusedError(Reason.MISMATCH)


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
