"""What the headers of an upload to a bucket say of its body, before a byte of it is read: its length, its checksum.

Refuses what S3 refuses, headers that are for other operations among it, and names the checksum of a trailer where a
header of its own would. Read next: chunked.py.
Seen in reports of PutObject and UploadPart; https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

import re
from dataclasses import replace

from cosset.services.s3.checksums import ALGORITHMS
from cosset.wire.errors import ServiceError
from cosset.wire.message import Headers, Request
from cosset.wire.models import WireOperation

_ALGORITHM = "x-amz-sdk-checksum-algorithm"
_PREFIX = "x-amz-checksum-"
_CHECKSUMS = frozenset(f"{_PREFIX}{name.lower()}" for name in ALGORITHMS)
_OF_CHECKSUMS = frozenset({f"{_PREFIX}algorithm", f"{_PREFIX}mode", f"{_PREFIX}type"})
_LONELY = f"{_ALGORITHM} specified, but no corresponding {_PREFIX}* or x-amz-trailer headers were found."
_WANTS_DIGEST = frozenset({"DeleteObjects", "PutObjectLegalHold", "PutObjectRetention"})
_ENCRYPTION = "x-amz-server-side-encryption"
_HAS_ITS_ENCRYPTION = frozenset({"GetObject", "HeadObject", "UploadPart", "UploadPartCopy"})
"""What they are about is encrypted as it was put, or begun."""
_OUT_OF_PLACE = {
    "UploadPart": ("x-amz-tagging", "x-amz-storage-class", "x-amz-website-redirect-location"),
    "UploadPartCopy": ("x-amz-tagging", "x-amz-storage-class", "x-amz-metadata-directive"),
}

_COPIES = frozenset({"CopyObject", "UploadPartCopy"})
_SOURCE = "x-amz-copy-source"
_SOURCELESS = frozenset({"GET", "HEAD", "DELETE"})
_SIZE = "x-amz-mp-object-size"
_INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII)


def checked_upload(operation: WireOperation, request: Request) -> Request:
    """Raises: ServiceError MissingContentLength, NotImplemented, InvalidArgument, InvalidRequest."""
    _check_place(operation.name, request.headers)
    _check_copying(operation.name, request)
    if operation.name == "CompleteMultipartUpload":
        _check_size(request.headers.get(_SIZE))
    if not operation.streams_in:
        if operation.name in _WANTS_DIGEST:
            _check_digest(request.headers)
        return request
    if operation.name == "PutObject" and not _has_digest(request.headers):
        _check_unlocked(request.headers)
    is_chunked = (request.headers.get("x-amz-content-sha256") or "").startswith("STREAMING-")
    _check_length(request.headers, "x-amz-decoded-content-length" if is_chunked else "content-length")
    _check_kinds(request.headers)
    named = request.headers.get(_ALGORITHM)
    trailing = _trailing(request.headers) if is_chunked else None
    if trailing is not None and any(name in _CHECKSUMS for name, _ in request.headers):
        raise ServiceError("InvalidRequest", "Expecting a single x-amz-checksum- header")
    if named is None:
        return request if trailing is None else _naming(request, trailing)
    if trailing is None and _is_presigned(request):
        return replace(request, headers=Headers([pair for pair in request.headers if pair[0] != _ALGORITHM]))
    _check_named(request, named.lower(), trailing)
    return request


def _is_presigned(request: Request) -> bool:
    """The algorithm is the SDK's own business then: nobody had the body yet when it named one, and S3 passes over it.

    Recorded: test_s3_checksum_no_automatic_sdk_calculation.
    """
    return "Signature=" in request.query


def _check_place(operation: str, headers: Headers) -> None:
    if operation in _HAS_ITS_ENCRYPTION and _ENCRYPTION in headers:
        sentence = f"{_ENCRYPTION} header is not supported for this operation."
        raise _invalid(sentence, _ENCRYPTION, headers)
    for name in _OUT_OF_PLACE.get(operation, ()):
        if name in headers:
            raise _invalid("The specified header is not valid in this context", name, headers)


def _check_copying(operation: str, request: Request) -> None:
    """Only a PUT may name a source, and what names one brings nothing of its own. Seen in reports of CopyObject."""
    if operation in _COPIES:
        if isinstance(request.body, bytes) and request.body:
            sentence = "The request included a body. Requests of this type must not include a non-empty body."
            raise ServiceError("InvalidRequest", sentence)
    elif _SOURCE in request.headers and (request.method in _SOURCELESS or operation == "CompleteMultipartUpload"):
        sentence = "You can only specify a copy source header for copy requests."
        raise _invalid(sentence, _SOURCE, request.headers)


def _check_size(given: str | None) -> None:
    """Of the whole, as who completes an upload expects it. Seen in reports of CompleteMultipartUpload."""
    if given is None:
        return
    if _INTEGER.fullmatch(given) is None:
        raise ServiceError("InvalidRequest", f"Value for {_SIZE} header is invalid: '{given}'")
    if given.startswith("-"):
        raise ServiceError("InvalidRequest", f"Value for {_SIZE} header is less than zero")


def _check_kinds(headers: Headers) -> None:
    for name, _ in headers:
        if name.startswith(_PREFIX) and name not in _CHECKSUMS and name not in _OF_CHECKSUMS:
            sentence = f"The algorithm type you specified in {_PREFIX} header is invalid."
            raise ServiceError("InvalidRequest", sentence)


def _invalid(sentence: str, name: str, headers: Headers) -> ServiceError:
    fields = {"ArgumentName": name, "ArgumentValue": headers.get(name) or ""}
    return ServiceError("InvalidArgument", sentence, fields=fields)


def _check_length(headers: Headers, where: str) -> None:
    if where in headers:
        return
    if where == "content-length" and "transfer-encoding" in headers:
        sentence = "A header you provided implies functionality that is not implemented"
        raise ServiceError("NotImplemented", sentence, status=501, fields={"Header": "Transfer-Encoding"})
    raise ServiceError("MissingContentLength", "You must provide the Content-Length HTTP header.", status=411)


def _trailing(headers: Headers) -> str | None:
    """The algorithm of the checksum that follows the body."""
    for name in (headers.get("x-amz-trailer") or "").split(","):
        if name.strip().lower() in _CHECKSUMS:
            return name.strip().lower().removeprefix(_PREFIX)
    return None


def _naming(request: Request, algorithm: str) -> Request:
    return replace(request, headers=Headers([*request.headers, (_ALGORITHM, algorithm.upper())]))


def _check_named(request: Request, named: str, trailing: str | None) -> None:
    given = {name.removeprefix(_PREFIX) for name, _ in request.headers if name in _CHECKSUMS}
    if trailing is not None:
        given.add(trailing)
    if not given and f"{_PREFIX}{named}" in _CHECKSUMS:
        raise ServiceError("InvalidRequest", _LONELY)
    if named not in given:
        raise ServiceError("InvalidRequest", f"Value for {_ALGORITHM} header is invalid.")


def _check_digest(headers: Headers) -> None:
    if not _has_digest(headers):
        sentence = f"Missing required header for this request: Content-MD5 OR {_PREFIX}*"
        raise ServiceError("InvalidRequest", sentence)


def _check_unlocked(headers: Headers) -> None:
    """What is locked cannot be replaced: it must have come as it was sent."""
    if any(name.startswith("x-amz-object-lock-") for name, _ in headers):
        sentence = (
            f"Content-MD5 OR {_PREFIX} HTTP header is required for Put Object requests with Object Lock parameters"
        )
        raise ServiceError("InvalidRequest", sentence)


def _has_digest(headers: Headers) -> bool:
    if "content-md5" in headers or "x-amz-trailer" in headers:
        return True
    return any(name in _CHECKSUMS for name, _ in headers)
