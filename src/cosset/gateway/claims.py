"""Claims: what a request says of its own signature, in an Authorization header or a presigned URL.

Reads and believes nothing; `sigv4.py` verifies. Refuses what is ambiguous or incomplete, in AWS's words.
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import re
import time
from base64 import b64encode
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import unquote

from cosset.gateway.refusals import Reason, RefusedError, malformed
from cosset.wire.message import Headers, Request

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
PRESIGN_MAX_S = 604_800

_TIMESTAMP = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_SCOPE = re.compile(r"/\d{8}/[a-z0-9-]+/([a-z0-9-]+)/" + TERMINATOR, re.ASCII)
_REGION = r"[a-z0-9-]{1,32}"
"""Any name that may stand in an ARN, a key or a path: also regions that AWS does not have yet."""
_USUAL = re.compile(
    ALGORITHM
    + r" Credential=([^/,\s]+)/(\d{8})/("
    + _REGION
    + r")/([^/,\s]+)/"
    + TERMINATOR
    + r", ?SignedHeaders=([a-z0-9;_-]+), ?Signature=([0-9a-f]{64})",
    re.ASCII,
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
    in_query = in_query or ("AWSAccessKeyId=" in query and "Signature=" in query)
    if in_query or len(headers.get_all("authorization")) > 1:
        fields = {"ArgumentName": "Authorization", "ArgumentValue": authorization}
        raise RefusedError(Reason.TWO_WAYS, "Only one auth mechanism allowed", **fields)
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
    reason, fields = _blame(authorization, algorithm)
    of_s3 = _words_of_s3(rest) if algorithm == ALGORITHM else None
    parts: dict[str, str] = {}
    for piece in (rest if algorithm == ALGORITHM else authorization).replace(",", " ").split():
        name, equals, value = piece.partition("=")
        if not equals:
            if algorithm != ALGORITHM and piece == algorithm:
                continue
            raise RefusedError(
                reason,
                "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded "
                f"with Base64): '{_hashed(authorization)}'.",
                **fields,
            ).told_by_s3(of_s3)
        if name in parts:
            twice = f"Authorization header has more than one '{name}' parameter."
            raise RefusedError(Reason.INCOMPLETE, twice).told_by_s3(of_s3)
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
        without_date = timestamp is None and algorithm == ALGORITHM
        raise RefusedError(
            Reason.NO_DATE if without_date else reason,
            f"{' '.join(missing)} (Hashed with SHA-256 and encoded with Base64) Authorization={_hashed(authorization)}",
            **fields,
        ).told_by_s3(None if without_date else of_s3)
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


def _words_of_s3(rest: str) -> tuple[str, str] | None:
    """S3 counts the components before it reads any."""
    pieces = [piece.strip() for piece in rest.split(",")]
    if len(pieces) != 3:
        three = "the authorization header requires three components: Credential, SignedHeaders, and Signature."
        return malformed(three)
    names = set()
    for piece in pieces:
        name, equals, value = piece.partition("=")
        if not equals or not value:
            return malformed(f'the authorization component "{piece}" is malformed.')
        names.add(name)
    for name in ("Credential", "SignedHeaders", "Signature"):
        if name not in names:
            return malformed(f"missing {name}.")
    return None


def _blame(authorization: str, algorithm: str) -> tuple[Reason, dict[str, str]]:
    """What S3 calls a header that cannot be read."""
    fields = {"ArgumentName": "Authorization", "ArgumentValue": authorization}
    if not algorithm:
        return Reason.EMPTY, {}
    if algorithm == "AWS":
        return (Reason.OLD_SCHEME, {}) if ":" in authorization else (Reason.BROKEN_OLD_SCHEME, fields)
    return (Reason.INCOMPLETE, {}) if algorithm == ALGORITHM else (Reason.OTHER_SCHEME, fields)


def _hashed(authorization: str) -> str:
    return b64encode(hashlib.sha256(authorization.encode("latin-1", "replace")).digest()).decode()


def _timestamp_of(headers: Headers) -> str | None:
    """X-Amz-Date wins over Date. None: there is neither. A date that cannot be read is refused like a wrong one."""
    given = headers.get("x-amz-date")
    if given is not None:
        if not _TIMESTAMP.fullmatch(given):
            raise RefusedError(
                Reason.NO_DATE,
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


def _read_credential(credential: str, *, in_query: bool = False) -> tuple[str, str, str, str]:
    pieces = credential.split("/")
    if len(pieces) != 5:
        raise RefusedError(
            Reason.INCOMPLETE,
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
            f"got '{credential}'",
        ).told_by_s3(
            malformed(
                'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
                in_query=in_query,
            )
        )
    key, date, region, service, terminator = pieces
    if not key:
        empty = "a non-empty Access Key (AKID) must be provided in the credential."
        raise RefusedError(Reason.UNKNOWN_KEY).told_by_s3(malformed(empty, in_query=in_query))
    if terminator != TERMINATOR:
        raise RefusedError(
            Reason.MISMATCH,
            f"Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{terminator}'.",
        ).told_by_s3(
            malformed(f'incorrect terminal "{terminator}". This endpoint uses "{TERMINATOR}".', in_query=in_query)
        )
    if not re.fullmatch(_REGION, region, re.ASCII):
        raise RefusedError(Reason.MISMATCH, f"Credential should be scoped to a valid region, not '{region[:64]}'. ")
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
    # Only S3 insists on X-Amz-Expires; the rest let a URL live as long as a signed request.
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
    key, date, region, service = _read_credential(given["X-Amz-Credential"], in_query=True)
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


def claim_of_form(fields: Mapping[str, str]) -> Claim:
    """What the fields of a posted form say of the signature of its policy. Raises: RefusedError."""
    key, date, region, service = _read_credential(fields.get("x-amz-credential") or "", in_query=True)
    signature, timestamp = fields["x-amz-signature"], fields.get("x-amz-date") or ""
    if service != "s3" or not timestamp.startswith(date):
        raise RefusedError(Reason.PRESIGN_CREDENTIAL)
    return Claim(key, date, region, service, (), signature, timestamp, fields.get("x-amz-security-token"))


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
