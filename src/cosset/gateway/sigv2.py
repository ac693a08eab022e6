"""Presigned URLs of the older kind (Signature Version 2), which boto3 still makes for S3 by default.

HMAC-SHA1 over the method, a few headers, the expiry and the resource; the URL carries `AWSAccessKeyId`, `Signature` and
`Expires`, and headers that the client moved into the query. Only for S3, and only in the query string.
Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html
"""

import hmac
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from email.utils import formatdate
from typing import NamedTuple
from urllib.parse import unquote

from cosset.gateway.bucket_hosts import read_host
from cosset.gateway.bucket_requests import SUBRESOURCES
from cosset.gateway.keys import find_known_key
from cosset.gateway.refusals import Reason, RefusedError, mismatch
from cosset.identity.ports import KeyDirectory
from cosset.identity.principal import Principal
from cosset.wire.errors import ServiceError
from cosset.wire.http_bindings import read_query
from cosset.wire.message import Headers, Request

_NAMES = ("AWSAccessKeyId", "Signature", "Expires")
_RESOURCE = frozenset(
    {
        *("accelerate", "acl", "cors", "defaultObjectAcl", "location", "logging", "partNumber", "policy", "delete"),
        *("requestPayment", "torrent", "versioning", "versionId", "versions", "website", "uploads", "uploadId"),
        *("response-content-type", "response-content-language", "response-expires", "response-cache-control"),
        *("response-content-disposition", "response-content-encoding", "lifecycle", "tagging", "restore"),
        *("storageClass", "notification", "replication", "analytics", "metrics", "inventory", "select", "select-type"),
        *("object-lock",),
    }
)
_MOVED = ("content-md5", "content-type")
"""What clients move into the query beside what is Amazon's own; in the order in which it is signed."""
_OF_SIGNATURES = frozenset(
    {
        *("x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-signedheaders"),
        *("x-amz-signature", "x-amz-security-token", "x-amz-content-sha256"),
    }
)


class OldClaim(NamedTuple):
    access_key_id: str
    signature: str
    expires_s: int
    session_token: str | None


def read_old_claim(request: Request) -> OldClaim | None:
    """None: the request makes none. Raises: ServiceError AccessDenied, where a part of it is missing."""
    if "AWSAccessKeyId=" not in request.query and "Signature=" not in request.query:
        return None
    query = read_query(request.query)
    given = [query.get(name, []) for name in _NAMES]
    if any(len(values) != 1 or not values[0] for values in given):
        sentence = "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters"
        raise ServiceError("AccessDenied", sentence, status=403)
    key, signature, expires = (values[0] for values in given)
    if not (expires.isascii() and expires.isdecimal() and len(expires) < 16):
        raise ServiceError("AccessDenied", f"Invalid date (should be seconds since epoch): {expires[:64]}", status=403)
    token = query.get("x-amz-security-token", [None])[0]
    return OldClaim(key, signature, int(expires), token)


async def verify_old_claim(request: Request, claim: OldClaim, keys: KeyDirectory, now_ms: int) -> Principal:
    """Whose the signature is. Raises: RefusedError."""
    if read_query(request.query).keys() & SUBRESOURCES - _RESOURCE:
        # What the older signature does not cover could be added by whoever has the URL, and would make another call.
        raise RefusedError(Reason.MISMATCH, None, AWSAccessKeyId=claim.access_key_id)
    if claim.expires_s * 1000 < now_ms:
        raise RefusedError(Reason.PRESIGN_EXPIRED, None, Expires=_iso(claim.expires_s), ServerTime=_iso(now_ms // 1000))
    key = await find_known_key(keys, claim, now_ms)
    # Whoever has the URL could send beside what it says something else: what counts must be what was signed.
    is_clear = all(len(values) == 1 for values in _amz_values(request).values())
    first: str | None = None
    for text in _texts(request, claim):
        first = first or text
        signature = b64encode(hmac.digest(key.credentials.secret_access_key.encode(), text.encode(), "sha1"))
        if is_clear and hmac.compare_digest(signature, claim.signature.encode("utf-8", "replace")):
            return key.principal
    raise mismatch(claim.access_key_id, first or "", claim.signature)


def with_hoisted(request: Request) -> Request:
    """With the headers that a presigned URL carries in its query. What is a header already stays what it is."""
    query = read_query(request.query)
    also = _MOVED if "AWSAccessKeyId" in query else ()
    moved = [
        (name.lower(), values[0])
        for name, values in query.items()
        if (name.lower().startswith("x-amz-") and name.lower() not in _OF_SIGNATURES) or name in also
        if name not in request.headers
    ]
    return replace(request, headers=Headers([*request.headers, *moved])) if moved else request


def _texts(request: Request, claim: OldClaim) -> Iterator[str]:
    """What was signed: the content type as a header, or moved into the query where no header says another."""
    query, headers = read_query(request.query), request.headers
    listed = "".join(f"{name}:{','.join(values)}\n" for name, values in sorted(_amz_values(request).items()))
    kinds = [headers.get(name, query.get(name, [""])[0]) for name in _MOVED]
    for resource in _resources(request):
        yield f"{request.method}\n{kinds[0]}\n{kinds[1]}\n{claim.expires_s}\n{listed}{resource}"


def _amz_values(request: Request) -> dict[str, list[str]]:
    """The different values of each, by lower-case name: of the headers, and of what was moved into the query."""
    query = read_query(request.query).items()
    pairs = [*request.headers, *((name.lower(), value) for name, values in query for value in values)]
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        if name.startswith("x-amz-") and value.strip() not in found.setdefault(name, []):
            found[name].append(value.strip())
    return found


def _resources(request: Request) -> Iterator[str]:
    """With the bucket, wherever it stood; the path as sent. Of a bucket alone clients sign the slash behind it, too."""
    named = read_host(request.host)
    path = request.path if named is None else f"/{named.bucket}{request.path or '/'}"
    wanted = []
    for pair in request.query.split("&"):
        name, equals, value = pair.partition("=")
        if unquote(name) in _RESOURCE:
            wanted.append(f"{unquote(name)}{equals}{unquote(value)}" if equals and value else unquote(name))
    tail = f"?{'&'.join(sorted(wanted))}" if wanted else ""
    yield path + tail
    if path.count("/") == 1 and path != "/":
        yield f"{path}/{tail}"


def _iso(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)
