"""The canonical request of Signature Version 4: one request, one text, whatever hops it took.

Clients are known to differ in how they write the same query or path, so there may be more than one text; each covers
all of the request. Nothing here decides; `sigv4.py` compares.
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from urllib.parse import quote, unquote_to_bytes

from cosset.gateway.refusals import Reason, RefusedError
from cosset.wire.message import Headers, Request

_UNRESERVED = "-_.~"
_SAFE_PATH = re.compile(r"[A-Za-z0-9._~/-]*", re.ASCII)
_ENCODED = re.compile(r"(?:[A-Za-z0-9._~&=-]|%[0-9A-F]{2})*", re.ASCII)


def normalize_path(path: str) -> str:
    """Without dot segments and doubled slashes: what every service but S3 signs and means."""
    if "//" not in path and "/." not in path:
        return path or "/"
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            if kept:
                kept.pop()
        elif segment and segment != ".":
            kept.append(segment)
    return "/" + "/".join(kept) + ("/" if kept and path.endswith("/") else "")


class AbsentHeaderError(Exception):
    """What was signed is not what came."""


def with_absent_headers(request: Request, signed_headers: Sequence[str]) -> Request:
    """The request as it is counted for whoever is told what is wrong: a header that is not there counts as empty."""
    absent = [(name, "") for name in signed_headers if name not in request.headers]
    return replace(request, headers=Headers([*request.headers, *absent]))


def canonical_requests(
    request: Request, signed_headers: Sequence[str], payload_hash: str, single_encoded: bool
) -> Iterator[bytes]:
    """The usual text first, the others only when asked on.

    Raises:
        AbsentHeaderError: a signed header is not there.
        RefusedError: MISMATCH, a header is said to be signed twice.
    """
    names = ";".join(signed_headers)
    seen: set[bytes] = set()
    for headers in _headers(request.headers, signed_headers):
        for path in _paths(request.path, single_encoded):
            for query in _queries(request.query):
                text = f"{request.method}\n{path}\n{query}\n".encode() + headers + f"\n{names}\n{payload_hash}".encode()
                if text not in seen:
                    seen.add(text)
                    yield text


def _paths(path: str, single_encoded: bool) -> list[str]:
    """S3: as sent, else decoded and encoded again, for clients that sign what they did not encode."""
    if single_encoded:
        return [path, quote(unquote_to_bytes(path), safe="/" + _UNRESERVED)]
    path = normalize_path(path)
    return [path if _SAFE_PATH.fullmatch(path) else quote(path, safe="/" + _UNRESERVED)]


def _queries(query: str) -> list[str]:
    """Sorted by encoded name, then value. Encoded afresh, for clients that send less encoded than they sign; then as
    sent, the way botocore signs. A `+` means a plus to some and a space to others: such a query only counts as sent.
    """
    if not query:
        return [""]
    pairs = []
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name != "X-Amz-Signature":
            pairs.append((name, value))
    as_sent = "&".join([f"{name}={value}" for name, value in sorted(pairs)])
    if "+" not in query and not _ENCODED.fullmatch(query):
        afresh = sorted([(_encode_again(name), _encode_again(value)) for name, value in pairs])
        return ["&".join([f"{name}={value}" for name, value in afresh]), as_sent]
    return [as_sent]


def _encode_again(text: str) -> str:
    return quote(unquote_to_bytes(text), safe=_UNRESERVED)


def _headers(headers: Headers, signed: Sequence[str]) -> list[bytes]:
    """`name:value` lines, values trimmed and joined by commas, as the bytes that were sent (latin-1 here). botocore
    signs non-ASCII text as UTF-8 and folds Unicode space: the second form."""
    first = headers.first_values()
    if len(set(signed)) != len(signed):
        raise RefusedError(Reason.MISMATCH)
    if not first.keys() >= set(signed):
        raise AbsentHeaderError
    if len(first) == len(headers):
        text = "".join([f"{name}:{first[name]}\n" for name in signed])
        if not text.isascii() or " " in text or "\t" in text:
            text = "".join([f"{name}:{_fold(first[name])}\n" for name in signed])
    else:
        text = "".join([f"{name}:{','.join([_fold(value) for value in headers.get_all(name)])}\n" for name in signed])
    if text.isascii():
        return [text.encode("latin-1")]
    unicode = [f"{name}:{','.join([' '.join(value.split()) for value in headers.get_all(name)])}\n" for name in signed]
    return [text.encode("latin-1"), "".join(unicode).encode()]


def _fold(value: str) -> str:
    if value.isascii():
        return " ".join(value.split()) if " " in value or "\t" in value else value
    return b" ".join(value.encode("latin-1").split()).decode("latin-1")
