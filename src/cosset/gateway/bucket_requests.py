"""What S3 reads of a request that the model of its operation says nothing of: queries that belong to another operation,
methods that there are none for, digests of documents, `If-Range`. Refuses in S3's own words. Next: door.py, who asks.
"""

import hashlib
from base64 import b64decode, b64encode
from urllib.parse import unquote_to_bytes

from cosset.services.s3.attributes import no_attributes
from cosset.services.s3.checksums import ALGORITHMS, begin
from cosset.services.s3.places import IF_RANGE
from cosset.wire.errors import ServiceError
from cosset.wire.http_bindings import read_query
from cosset.wire.message import Request
from cosset.wire.models import WireOperation

SUBRESOURCES = frozenset(
    {
        *(
            "abac",
            "accelerate",
            "acl",
            "analytics",
            "attributes",
            "cors",
            "delete",
            "encryption",
            "intelligent-tiering",
        ),
        *("inventory", "legal-hold", "lifecycle", "location", "logging", "metadataConfiguration", "metadataTable"),
        *("metrics", "notification", "object-lock", "ownershipControls", "policy", "policyStatus", "publicAccessBlock"),
        *("replication", "requestPayment", "restore", "retention", "select", "tagging", "torrent", "uploads"),
        *("versioning", "versions", "website"),
    }
)


def check_subresource(operation: WireOperation, request: Request) -> None:
    """What stands in the query must be what the operation is about: `DELETE /bucket?logging` deletes no bucket.

    Raises ServiceError MethodNotAllowed.
    """
    if "%" in request.path:
        _check_text(request.path)
    if operation.name == "CompleteMultipartUpload" and "uploadId" not in read_query(request.query):
        raise _method_not_allowed(request.method, "OBJECT")
    if not request.query:
        return
    if operation.name == "GetObjectTorrent":
        raise _method_not_allowed(request.method, "TORRENT")
    if operation.name in _PUTS:
        _check_put(request)
    if operation.name in ("GetObject", "HeadObject"):
        _check_read(request)
    meant = operation.model.http["requestUri"].partition("?")[2]
    unmeant = (read_query(request.query).keys() & SUBRESOURCES) - read_query(meant).keys()
    if unmeant:
        raise _method_not_allowed(request.method, min(unmeant).upper())


_PUTS = frozenset({"PutObject", "CopyObject", "CompleteMultipartUpload"})


def _check_put(request: Request) -> None:
    """Raises ServiceError InvalidArgument, MethodNotAllowed."""
    query = read_query(request.query)
    if "versionId" in query:
        sentence = "This operation does not accept a version-id."
        fields = {"ArgumentName": "versionId", "ArgumentValue": query["versionId"][0]}
        raise ServiceError("InvalidArgument", sentence, fields=fields)
    if request.method == "PUT" and "uploadId" in query:
        raise _method_not_allowed(request.method, "UPLOAD")
    if request.method == "PUT" and "partNumber" in query:
        sentence = "This operation does not accept partNumber without uploadId"
        fields = {"ArgumentName": "partNumber", "ArgumentValue": "partNumber"}
        raise ServiceError("InvalidArgument", sentence, fields=fields)


_OVERRIDES = frozenset(
    f"response-{name}"
    for name in (
        *("cache-control", "content-disposition", "content-encoding", "content-language", "content-type"),
        "expires",
    )
)


def _check_read(request: Request) -> None:
    """Raises ServiceError InvalidArgument, InvalidRequest."""
    query = read_query(request.query)
    for name, values in query.items():
        if name.startswith("response-") and name not in _OVERRIDES:
            sentence = (
                f"{name} is not in the set of overridable response headers. Please refer to the S3 API documentation "
                "for a complete list of overridable response headers."
            )
            fields = {"ArgumentName": name, "ArgumentValue": values[0]}
            raise ServiceError("InvalidArgument", sentence, fields=fields)
    if request.method == "GET" and "attributes" in query:
        raise no_attributes()


def _check_text(path: str) -> None:
    """Raises ServiceError InvalidURI, for what is no text in UTF-8."""
    try:
        unquote_to_bytes(path.encode("latin-1", "replace")).decode()
    except UnicodeDecodeError:
        raise ServiceError("InvalidURI", "Couldn't parse the specified URI.", fields={"URI": path}) from None


def refused_method(request: Request, unknown: ServiceError | None) -> ServiceError:
    """What S3 says of a method that it has no operation for. `request` in path style; `unknown`: why there is none."""
    if unknown is not None and unknown.code != "UnknownOperationException":
        return unknown
    bucket, _, key = request.path.removeprefix("/").partition("/")
    if request.method == "POST" and bucket and not key and not request.query:
        sentence = "At least one of the pre-conditions you specified did not hold"
        condition = "Bucket POST must be of the enclosure-type multipart/form-data"
        return ServiceError("PreconditionFailed", sentence, status=412, fields={"Condition": condition})
    kind = "OBJECT" if key else "BUCKET" if bucket else "SERVICE"
    return _method_not_allowed(request.method, kind)


_ALLOWED = {
    "SERVICE": "GET",
    "BUCKET": "HEAD, DELETE, GET, PUT, POST",
    "OBJECT": "HEAD, DELETE, GET, PUT",
    "UPLOAD": "DELETE, POST, GET",
}
"""What is told of the methods that there are: of most parts of buckets and objects, nothing."""


def _method_not_allowed(method: str, kind: str) -> ServiceError:
    sentence = "The specified method is not allowed against this resource."
    fields = {"Method": method, "ResourceType": kind}
    headers = {"Allow": _ALLOWED[kind]} if kind in _ALLOWED else {}
    return ServiceError("MethodNotAllowed", sentence, status=405, fields=fields, headers=headers)


def read_if_range(operation: WireOperation, request: Request) -> dict[str, str]:
    """`If-Range`, which no member of the model takes: browsers send it where they go on with what they have in part."""
    given = request.headers.get("if-range")
    is_asked = operation.name in ("GetObject", "HeadObject") and given is not None and "range" in request.headers
    return {IF_RANGE: given} if is_asked and given is not None else {}


def check_content(operation: WireOperation, request: Request) -> None:
    """What the headers say of a document, a body that was read whole.

    Raises ServiceError MissingRequestBodyError, InvalidDigest, BadDigest.
    """
    if operation.streams_in or not isinstance(request.body, bytes):
        return
    if not request.body:
        _check_missing(operation)
    given = request.headers.get("content-md5")
    if given is not None:
        counted = b64encode(hashlib.md5(request.body, usedforsecurity=False).digest()).decode()
        if not _is_md5(given):
            fields = {"Content-MD5": given}
            raise ServiceError("InvalidDigest", "The Content-MD5 you specified was invalid.", fields=fields)
        if counted != given:
            sentence = "The Content-MD5 you specified did not match what we received."
            fields = {"ExpectedDigest": given, "CalculatedDigest": counted}
            raise ServiceError("BadDigest", sentence, fields=fields)
    shape = operation.model.input_shape
    for algorithm in ALGORITHMS:
        if shape is not None and f"Checksum{algorithm}" in shape.members:
            continue  # of an object, not of this document
        given = request.headers.get(f"x-amz-checksum-{algorithm.lower()}")
        if given is not None:
            checksum = begin(algorithm)
            checksum.update(request.body)
            if b64encode(checksum.digest()).decode() != given:
                sentence = f"The {algorithm} you specified did not match the calculated checksum."
                raise ServiceError("BadDigest", sentence)


def _check_missing(operation: WireOperation) -> None:
    """Seen in reports of PutBucketNotificationConfiguration."""
    shape = operation.model.input_shape
    payload = shape.serialization.get("payload") if shape is not None else None
    if shape is None or payload is None or payload not in shape.required_members:
        return
    if shape.members[payload].type_name == "structure":
        raise ServiceError("MissingRequestBodyError", "Request Body is empty")
    from cosset.services.s3.policy_rules import no_policy

    raise no_policy()


def _is_md5(text: str) -> bool:
    try:
        return len(b64decode(text, validate=True)) == 16
    except ValueError:
        return False
