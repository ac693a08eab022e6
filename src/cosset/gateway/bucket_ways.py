"""The ways into a bucket that are no signed call: preflights, forms that browsers post, websites; and CORS headers.

Made on the first request for S3. Read next: post_forms.py, websites.py.
"""

from asyncio import Event
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import unquote

from cosset.gateway.bucket_hosts import Site, bucket_of, path_style
from cosset.gateway.bucket_requests import refused_method
from cosset.gateway.call import Call
from cosset.gateway.claims import Claim
from cosset.gateway.logged_requests import logged_request
from cosset.identity.principal import NOBODY, Principal
from cosset.services.operation import Params, Result
from cosset.services.s3.access_logs import LoggedRequest
from cosset.services.s3.cors_rules import METHODS, CorsAsk, allowed_headers
from cosset.services.s3.kinds import Kind
from cosset.wire.errors import ServiceError
from cosset.wire.message import Request, Response

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


def _names_nothing(request: Request) -> bool:
    """A POST to a bucket or an object that names no operation. Nobody needs a signature to be told so."""
    return not request.query and bool(request.path.strip("/"))


def _asked_headers(request: Request) -> tuple[str, ...]:
    asked = request.headers.get("access-control-request-headers") or ""
    return tuple(name.strip().lower() for name in asked.split(",") if name.strip())
