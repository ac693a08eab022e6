"""The ways into a bucket that are no signed call: preflights, forms that browsers post, websites; and CORS headers.

Made on the first request for S3. Read next: post_forms.py, websites.py.
"""

import hashlib
from asyncio import Event
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote, unquote_to_bytes

from cosset.gateway.bucket_hosts import Site, bucket_of, path_style
from cosset.gateway.call import Call
from cosset.gateway.claims import Claim
from cosset.gateway.logged_requests import logged_request
from cosset.identity.principal import NOBODY, Principal
from cosset.services.operation import Params, Result
from cosset.services.s3.access_logs import LoggedRequest
from cosset.services.s3.attributes import no_attributes
from cosset.services.s3.checksums import ALGORITHMS, begin
from cosset.services.s3.cors_rules import METHODS, CorsAsk, allowed_headers
from cosset.services.s3.kinds import Kind
from cosset.services.s3.places import IF_RANGE
from cosset.wire.errors import ServiceError
from cosset.wire.http_bindings import read_query
from cosset.wire.message import Request, Response
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
_METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "DELETE"})
_NOT_ALLOWED = (
    "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / "
    "Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."
)


class BucketConfigurations(Protocol):
    """What is kept of buckets."""

    async def find(self, bucket: str, kind: Kind) -> Any:
        """The document, None where there is none. Raises ServiceError NoSuchBucket."""
        ...

    async def region_of(self, bucket: str) -> str | None:
        """None where there is no such bucket."""
        ...


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who comes by another way than a call; `claim` is what it signed with, None where it signed nothing."""

    principal: Principal = NOBODY
    claim: Claim | None = None


class RequestLog(Protocol):
    """The access logs of buckets."""

    async def takes(self, bucket: str) -> bool: ...

    def note(self, request: LoggedRequest) -> None: ...


class Calls(Protocol):
    """What the door does for these ways: an operation, asked of the evaluator first."""

    async def run_for_bucket(
        self, request: Request, request_id: str, gone: Event, who: Visitor, operation: str, params: Params
    ) -> Result: ...

    def read_bucket_params(self, operation: str, request: Request, labels: Mapping[str, str]) -> Params: ...

    def write_bucket_answer(self, operation: str, result: Result, request_id: str) -> Response: ...


Answerer = Callable[[Request, str, Event], Awaitable[Response]]
SiteAnswerer = Callable[[Site, Request, str, Event], Awaitable[Response]]


class BucketWays:
    """`site` answers requests to websites, `form` what browsers post."""

    def __init__(
        self, configurations: BucketConfigurations, logs: RequestLog, site: SiteAnswerer, form: Answerer
    ) -> None:
        self._configurations = configurations
        self._logs = logs
        self.site = site
        self._form = form

    async def answer(self, request: Request, request_id: str, gone: Event) -> Response | None:
        """`request`, without a signature, in path style. None: it is a call. Raises: ServiceError, RefusedError."""
        if request.method == "OPTIONS":
            return Response(200, [("x-amz-request-id", request_id), *await self.preflight(request)])
        posts = request.method == "POST" and "/" not in request.path.strip("/")
        if posts and (request.headers.get("content-type") or "").lower().startswith("multipart/form-data"):
            return await self._form(request, request_id, gone)
        if request.method not in _METHODS or (request.method == "POST" and _names_nothing(request)):
            raise refused_method(request, None)
        return None

    async def preflight(self, request: Request) -> list[tuple[str, str]]:
        """The headers of the answer to a preflight, which is 200. `request` in path style. Raises ServiceError."""
        origin = request.headers.get("origin")
        method = request.headers.get("access-control-request-method")
        if origin is None:
            raise ServiceError("BadRequest", "Insufficient information. Origin request header needed.")
        if method not in METHODS:
            raise ServiceError("BadRequest", f"Invalid Access-Control-Request-Method: {method or 'null'}")
        rules = await self._rules(request)
        is_object = "/" in request.path.removeprefix("/").rstrip("/")
        fields = {"Method": method, "ResourceType": "OBJECT" if is_object else "BUCKET"}
        if rules is None:
            sentence = "CORSResponse: CORS is not enabled for this bucket."
            raise ServiceError("AccessForbidden", sentence, status=403, fields=fields)
        headers = allowed_headers(rules, CorsAsk(origin, method, _asked_headers(request)))
        if headers is None:
            raise ServiceError("AccessForbidden", _NOT_ALLOWED, status=403, fields=fields)
        return headers

    async def cors_headers(self, request: Request) -> list[tuple[str, str]]:
        """What any other answer says to pages of another origin; nothing where the bucket does not let them."""
        origin = request.headers.get("origin")
        if origin is None:
            return []
        try:
            rules = await self._rules(request)
        except ServiceError:
            return []
        # What stands in a preflight counts in a call, too (recorded of headers: test_cors_match_headers).
        method = request.headers.get("access-control-request-method") or request.method
        return allowed_headers(rules or (), CorsAsk(origin, method, _asked_headers(request))) or []

    async def region_headers(self, request: Request) -> list[tuple[str, str]]:
        """Where the bucket is, which even who may do nothing with it is told. `request` in path style.

        A preflight that fails does not say it (recorded: test_cors_options_fails_partial_origin).
        """
        if request.method == "OPTIONS":
            return []
        bucket, _, key = unquote(request.path).removeprefix("/").partition("/")
        region = await self._configurations.region_of(bucket) if bucket and not key else None
        return [] if region is None else [("x-amz-bucket-region", region)]

    async def note(self, call: Call, response: Response, now_ms: int) -> None:
        """For the bucket's access log, where it has one."""
        request = path_style(call.request)
        bucket = unquote(bucket_of(request))
        if bucket and await self._logs.takes(bucket):
            self._logs.note(logged_request(call, request, response, now_ms))

    async def check_there(self, bucket: str) -> None:
        """Raises ServiceError NoSuchBucket: which AWS tells even those who may do nothing."""
        await self._configurations.find(bucket, Kind.POLICY)

    async def _rules(self, request: Request) -> Sequence[dict[str, Any]] | None:
        bucket = unquote(bucket_of(request))
        found: Sequence[dict[str, Any]] | None = await self._configurations.find(bucket, Kind.CORS) if bucket else None
        return found


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


def _names_nothing(request: Request) -> bool:
    """A POST to a bucket or an object that names no operation. Nobody needs a signature to be told so."""
    return not request.query and bool(request.path.strip("/"))


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


def _asked_headers(request: Request) -> tuple[str, ...]:
    asked = request.headers.get("access-control-request-headers") or ""
    return tuple(name.strip().lower() for name in asked.split(",") if name.strip())
