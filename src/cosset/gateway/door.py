"""The front door: route -> authenticate -> parse -> validate -> authorize -> handle -> answer, one pipeline for all.

Every way in is here, and nothing gets past it without a signature except operations whose model says `authtype: none`
(each carries its own proof), CORS preflights, the plain routes, and function URLs (function_urls.py). Knows neither
sockets (http.py) nor services.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from cosset.clock import Clock
from cosset.gateway.authentication import Authentication
from cosset.gateway.body import ClientGoneError, TooLargeError
from cosset.gateway.bucket_hosts import find_site, path_style, read_host
from cosset.gateway.bucket_requests import check_content, check_subresource, read_if_range, refused_method
from cosset.gateway.bucket_ways import BucketWays, Visitor
from cosset.gateway.call import Call, context_of
from cosset.gateway.call_steps import CallSteps
from cosset.gateway.canonical import normalize_path
from cosset.gateway.claims import guess_service, read_claim
from cosset.gateway.cors import Cors
from cosset.gateway.function_urls import FunctionUrlGate, find_place
from cosset.gateway.plain import PlainRoute
from cosset.gateway.refusals import Family, RefusedError, answer_refusal
from cosset.gateway.routing import Route, Router
from cosset.gateway.signature_keys import signature_keys
from cosset.gateway.upload_heads import checked_upload
from cosset.identity.evaluation.context import CallContext
from cosset.identity.ports import Authorizer, KeyDirectory, Requirement, UseNotes
from cosset.identity.principal import NOBODY
from cosset.services.operation import AnyService, Context, Operation, Params, Result
from cosset.settings import Settings
from cosset.wire.errors import OperationNotImplementedError, ServiceError
from cosset.wire.host_ids import host_id
from cosset.wire.message import Request, Response
from cosset.wire.models import Catalogue
from cosset.wire.protocols import RoutedOperation
from cosset.wire.validation import validate

_log = logging.getLogger(__name__)
# Of a UUID: version 4, variant 10.
_VERSION_BITS = 4 << 76 | 2 << 62
_RANDOM_BITS = (1 << 128) - 1 - (15 << 76) - (3 << 62)


class RequestIds:
    """Random UUIDs (version 4), seeded by the system once: they name calls and prove nothing."""

    def __init__(self) -> None:
        self._random = random.Random()

    def __call__(self) -> str:
        text = f"{self._random.getrandbits(128) & _RANDOM_BITS | _VERSION_BITS:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Door:
    """The pipeline. One for a node; `handle` may run any number of times at once.

    `services` in the order in which they are asked about requests that name none.
    """

    def __init__(
        self,
        *,
        services: Sequence[AnyService],
        keys: KeyDirectory,
        authorizer: Authorizer,
        settings: Settings,
        clock: Clock,
        routes: Sequence[PlainRoute] = (),
        urls: FunctionUrlGate | None = None,
        catalogue: Catalogue | None = None,
        new_request_id: Callable[[], str] | None = None,
        uses: UseNotes | None = None,
        steps: CallSteps | None = None,
        buckets: Callable[["Door"], BucketWays] | None = None,
    ) -> None:
        self._router = Router(services, catalogue or Catalogue())
        self._authentication = Authentication(keys, settings, clock, uses)
        self._authorizer = authorizer
        self._region = settings.region
        self._clock = clock
        self._routes = tuple(routes)
        self._route_starts = tuple(route.path_prefix for route in routes)
        self._urls = urls
        self._cors = Cors(settings.cors_origins)
        self._new_request_id = new_request_id or RequestIds()
        self._steps = steps
        self._make_ways = buckets

    @cached_property
    def _ways(self) -> BucketWays | None:
        """Made on the first request for S3."""
        return self._make_ways(self) if self._make_ways is not None else None

    def read_model(self, service: str) -> None:
        """Reads a served service's model before its first call; may run in a thread."""
        self._router.read_model(service)

    async def handle(self, request: Request, gone: asyncio.Event | None = None) -> Response:
        """Answers every request, whatever is in it. `gone` is set when the client has left.

        The outermost task boundary: what goes wrong in a plain route, or in saying what went wrong, ends here.
        """
        request_id = self._new_request_id()
        try:
            named = read_host(request.host)
            is_bucket = named is not None and named.is_sure
            place = find_place(request) if self._urls is not None and not is_bucket else None
            if self._urls is not None and place is not None:
                return await self._urls.answer(place, request, request_id, gone or asyncio.Event())
            response = await self._answer(request, request_id, gone or asyncio.Event(), is_bucket=is_bucket)
        except ClientGoneError:
            raise
        except Exception:  # noqa: BLE001 - the task boundary of a request
            _log.exception("%s %s failed, request id %s", request.method, request.path, request_id)
            headers = [("content-type", "text/plain"), ("x-amzn-RequestId", request_id)]
            response = Response(500, headers, b"Internal error\n")
        self._cors.add_headers(request, response)
        return response

    async def _answer(self, request: Request, request_id: str, gone: asyncio.Event, *, is_bucket: bool) -> Response:
        if self._make_ways is not None and (site := find_site(request)) is not None and self._ways is not None:
            response = await self._ways.site(site, request, request_id, gone)
            response.headers.append(("Server", "AmazonS3"))
            response.headers.extend(await self._ways.cors_headers(replace(request, path=f"/{site.bucket}{site.path}")))
            return response
        if not is_bucket and request.path.startswith(self._route_starts):
            for route in self._routes:
                if route.takes(request):
                    return await route.handler(request)
        preflight = self._cors.preflight(request)
        return preflight or await self._answer_call(request, request_id, gone)

    async def _answer_call(self, request: Request, request_id: str, gone: asyncio.Event) -> Response:
        """The task boundary of a call: whatever goes wrong below is answered in the caller's protocol."""
        claim, refusal, signing_name = None, None, None
        try:
            claim = read_claim(request)
            signing_name = claim.service if claim is not None else None
        except RefusedError as error:
            refusal, signing_name = error, guess_service(request)
        if refusal is None and claim is None and not self._is_for_buckets(request):
            request = await self._authentication.read_unsigned(request)
        call = Call(request, request_id, gone, self._router.route(request, signing_name), claim)
        try:
            if refusal is not None:
                raise refusal
            return await self._for_pages(call, await self._pass(call))
        except RefusedError as error:
            failure = answer_refusal(error, call.route.family)
        except TooLargeError as error:
            failure = error.answer(call.operation or "requested")
        except ServiceError as error:
            failure = error
        except ClientGoneError:
            raise
        except Exception:  # noqa: BLE001 - the task boundary of a call
            _log.exception("%s:%s failed, request id %s", call.route.named, call.operation, request_id)
            failure = _internal_failure(call.route)
        response = call.route.protocol.serialize_error(call.route.wire, call.operation, failure, request_id)
        return await self._for_pages(call, response)

    def _is_for_buckets(self, request: Request) -> bool:
        """Their bodies may be large, and nothing of where they go stands in them."""
        return self._make_ways is not None and self._router.route(request, None).family is Family.S3

    async def _for_pages(self, call: Call, response: Response) -> Response:
        """What S3's answers have besides: the second request id, and what a bucket lets pages of other origins see."""
        if not call.is_for_bucket or call.route.table is None:
            return response
        response.headers.append(("x-amz-id-2", host_id(call.request_id)))
        response.headers.append(("Server", "AmazonS3"))
        if self._ways is not None and call.request.method != "OPTIONS" and "origin" in call.request.headers:
            response.headers.extend(await self._ways.cors_headers(path_style(call.request)))
        if self._ways is not None and response.status == 403:
            response.headers.extend(await self._ways.region_headers(path_style(call.request)))
        if self._ways is not None:
            await self._ways.note(call, response, self._clock.now_ms())
        return response

    async def _pass(self, call: Call) -> Response:
        is_s3 = call.is_for_bucket
        # A browser asks before it uses a presigned URL, with the signature of the call that it has not made yet.
        is_unsigned = call.claim is None or call.request.method == "OPTIONS"
        if is_s3 and call.route.table is not None and is_unsigned and self._ways is not None:
            answer = await self._ways.answer(path_style(call.request), call.request_id, call.gone)
            if answer is not None:
                return answer
        if not is_s3:
            path = normalize_path(call.request.path)
            if path != call.request.path:
                call.request = replace(call.request, path=path)
        unknown = None if call.route.reads_body else self._match(call)
        if call.claim is None and is_s3 and call.route.table is not None and self._make_ways is not None:
            await self._authentication.admit_nobody(call, call.route.table)
        elif call.claim is None:
            if call.route.reads_body:
                self._match(call)
            self._authentication.admit_unsigned(call)
        else:
            await self._authentication.authenticate(call, call.claim)
            if call.route.reads_body:
                unknown = self._match(call)
        if call.route.table is None:
            raise await self._not_served(call)
        if call.routed is None and is_s3:
            raise refused_method(path_style(call.request), unknown)
        if call.routed is None:
            status = 400 if call.route.family is Family.JSON else 404
            raise unknown or ServiceError("UnknownOperationException", "", status=status)
        return await self._perform(call, call.routed)

    async def _not_served(self, call: Call) -> ServiceError:
        if call.route.named is None:
            return ServiceError("UnknownOperationException", "No such service or operation.", status=404)
        operation = await asyncio.to_thread(self._router.name_operation, call.route, call.request)
        return OperationNotImplementedError(call.route.named, operation)

    def _match(self, call: Call) -> ServiceError | None:
        """Finds the operation. The error is for later: a caller without a signature hears of nothing else first."""
        if call.route.table is None:
            return None
        try:
            is_s3 = call.is_for_bucket
            request = path_style(call.request) if is_s3 else call.request
            routed = call.route.protocol.match(call.route.wire, request)
            if is_s3 and routed is not None:
                check_subresource(call.route.wire.operation(routed.operation), request)
            call.routed = routed
        except ServiceError as error:
            return error
        return None

    async def _perform(self, call: Call, routed: RoutedOperation) -> Response:
        route, request = call.route, call.request
        assert route.table is not None
        operation = route.table.operations.get(routed.operation)
        if operation is None:
            raise OperationNotImplementedError(route.wire.name, routed.operation)
        if route.family is Family.S3:
            request = checked_upload(route.wire.operation(operation.name), request)
            check_content(route.wire.operation(operation.name), request)
        params = route.protocol.parse(routed, request)
        validate(route.wire, operation.name, params, route.table.validation_code)
        if route.family is Family.S3:
            params.update(read_if_range(route.wire.operation(operation.name), request))
        result = await self._run(call, operation, params)
        return route.protocol.serialize(route.wire, operation.name, result, call.request_id)

    async def _run(self, call: Call, operation: Operation, params: Params) -> Result:
        """Raises: ServiceError, where the caller may not, or the operation fails."""
        request = call.request
        ctx = Context(
            service=call.route.wire.name,
            operation=operation.name,
            principal=call.principal,
            account=call.principal.account,
            region=call.claim.region if call.claim is not None else self._region,
            request_id=call.request_id,
            host=request.host,
            scheme=request.scheme,
            trace_id=request.headers.get("x-amzn-trace-id") or self._trace_underway(call),
            user_agent=request.headers.get("user-agent"),
            cancelled=call.gone,
        )
        ctx.call = self._context_of(call, ctx)
        needed: Sequence[Requirement] = ()
        # Elsewhere nobody gets this far but to operations that carry their own proof.
        if call.principal is not NOBODY or call.is_for_bucket:
            meets_bucket = "Bucket" in params and operation.name != "CreateBucket"
            if call.principal is NOBODY and self._ways is not None and meets_bucket:
                await self._ways.check_there(params["Bucket"])
            needed = operation.requirements(ctx, params)
        try:
            if needed:
                await self._authorize(operation, ctx, params, needed)
            result = await operation.handler(ctx, params) or {}
        except ServiceError as error:
            if self._steps is not None:
                self._steps.ended(ctx, needed, error.code)
            raise
        if self._steps is not None:
            self._steps.ended(ctx, needed)
        return result

    async def _authorize(
        self, operation: Operation, ctx: Context, params: Params, needed: Sequence[Requirement]
    ) -> None:
        try:
            await self._authorizer.authorize(ctx.principal, needed, ctx.call)
        except ServiceError as error:
            if operation.refused is None:
                raise
            raise await operation.refused(ctx, params, error) from error

    def _trace_underway(self, call: Call) -> str | None:
        """What the environment that calls is busy with, where its SDK does not say so."""
        if self._steps is None or call.claim is None:
            return None
        return self._steps.underway(call.claim.access_key_id)

    async def run_for_bucket(
        self, request: Request, request_id: str, gone: asyncio.Event, who: Visitor, operation: str, params: Params
    ) -> Result:
        """An operation of S3 for what comes to it by another way than a call: a form, a website. The one evaluator
        decides about it, too.

        Raises: ServiceError.
        """
        call = Call(request, request_id, gone, self._router.route_of("s3"), who.claim, who.principal)
        assert call.route.table is not None
        return await self._run(call, call.route.table.operations[operation], params)

    def write_bucket_answer(self, operation: str, result: Result, request_id: str) -> Response:
        route = self._router.route_of("s3")
        response = route.protocol.serialize(route.wire, operation, result, request_id)
        response.headers.append(("x-amz-id-2", host_id(request_id)))
        return response

    def read_bucket_params(self, operation: str, request: Request, labels: Mapping[str, str]) -> Params:
        """The parameters that headers and labels make. Raises: ServiceError."""
        route = self._router.route_of("s3")
        params = route.protocol.parse(RoutedOperation(route.protocol, route.wire, operation, labels), request)
        return {**params, **read_if_range(route.wire.operation(operation), request)}

    def _context_of(self, call: Call, ctx: Context) -> CallContext:
        """How the call came, for the conditions of policies."""
        request, now_ms = call.request, self._clock.now_ms()
        is_signed = call.is_for_bucket and call.principal is not NOBODY
        keys = signature_keys(request, call.claim, now_ms) if is_signed else None
        return context_of(request, now_ms, ctx.service, ctx.region, keys)


def _internal_failure(route: Route) -> ServiceError:
    """Lambda's own ServiceException where the model has one, else the common error."""
    if route.family is Family.S3:
        return ServiceError("InternalError", "We encountered an internal error. Please try again.", status=500)
    code = "ServiceException" if route.wire.error_shape("ServiceException") is not None else "InternalFailure"
    return ServiceError(
        code, "The request processing has failed because of an unknown error, exception or failure.", status=500
    )
