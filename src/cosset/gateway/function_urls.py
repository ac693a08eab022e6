"""Requests to function URLs: whose URL it is, who may pass, and on to the function.

Recognized by host (`<id>.lambda-url.<region>.<anything>`) or by path (`/_cosset/url/<id>/...`), before anything else
looks at a request. AWS_IAM asks for a signature; with NONE the caller is nobody, whom only the function's own policy
can let in. The authorizer decides about both. Who may not pass hears one sentence, and learns nothing of what is there.
"""

import re
import secrets
from asyncio import Event
from dataclasses import replace
from typing import NamedTuple

from cosset.clock import Clock
from cosset.functions.url_records import AWS_IAM
from cosset.functions.urls import FunctionUrls, UrlAccess
from cosset.gateway.body import BodyReader, TooLargeError
from cosset.gateway.call import context_of
from cosset.gateway.claims import read_claim
from cosset.gateway.refusals import Family, Reason, RefusedError, answer_refusal
from cosset.gateway.signed_requests import SignedRequests
from cosset.identity.ports import Authorizer, KeyDirectory, Requirement
from cosset.identity.principal import NOBODY, Principal
from cosset.observe.function_metrics import FunctionMeter, FunctionMetric, MeteredCall, Unmetered
from cosset.services.lambda_ import url_cors
from cosset.services.lambda_.url_calls import UrlCalls, identify
from cosset.services.lambda_.url_events import Caller, UrlCall
from cosset.services.lambda_.urls import PATH
from cosset.wire.errors import ServiceError
from cosset.wire.json_shapes import dump_json
from cosset.wire.message import Request, Response

MAX_BODY_BYTES = 6 * 1024 * 1024
INVOKE_ACTION = "lambda:InvokeFunctionUrl"
"""AWS asks for lambda:InvokeFunction too where a function got its first URL after October 2025. The recorded scenarios
do with this one, so nothing more is asked for here."""
AUTH_TYPE_KEY = "lambda:FunctionUrlAuthType"
FORBIDDEN = (
    "Forbidden. For troubleshooting Function URL authorization issues, see: "
    "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
)
"""Recorded: TestLambdaURL::test_lambda_url_persists_after_alias_delete."""

_HOST = re.compile(r"([a-z0-9]{32})\.lambda-url\.([a-z0-9-]{1,32})\.[a-z0-9.-]+(?::\d+)?", re.ASCII | re.IGNORECASE)
_PATH = re.compile(re.escape(PATH) + r"([a-z0-9]{32})(/.*)?", re.ASCII | re.DOTALL)
_TRACE = re.compile(r"[A-Za-z0-9=;:_.|-]{1,2048}", re.ASCII)  # as long as a lineage may grow


class UrlPlace(NamedTuple):
    """Where a request goes: the URL's id, its region where the host says one, and the path below it."""

    url_id: str
    region: str | None
    path: str


def find_place(request: Request) -> UrlPlace | None:
    """None: the request is not for a function URL."""
    host = _HOST.fullmatch(request.host)
    if host is not None:
        return UrlPlace(host[1].lower(), host[2].lower(), request.path or "/")
    if not request.path.startswith(PATH):
        return None
    path = _PATH.fullmatch(request.path)
    return UrlPlace("", None, "/") if path is None else UrlPlace(path[1], None, path[2] or "/")


class FunctionUrlGate:
    """Answers requests to function URLs."""

    def __init__(
        self,
        urls: FunctionUrls,
        calls: UrlCalls,
        *,
        keys: KeyDirectory,
        authorizer: Authorizer,
        clock: Clock,
        max_clock_skew_s: int,
        meter: FunctionMeter | None = None,
    ) -> None:
        self._meter = meter or Unmetered()
        self._urls = urls
        self._calls = calls
        self._authorizer = authorizer
        self._clock = clock
        self._bodies = BodyReader(MAX_BODY_BYTES)
        self._signed = SignedRequests(keys, clock, max_clock_skew_s, self._bodies)

    async def answer(self, place: UrlPlace, request: Request, request_id: str, gone: Event) -> Response:
        began_s = self._clock.monotonic_s()
        response = await self._answer(place, request, request_id, gone)
        await self._measure(place, response.status, (self._clock.monotonic_s() - began_s) * 1000)
        return response

    async def _measure(self, place: UrlPlace, status: int, latency_ms: float) -> None:
        """Requests to URLs that there are; a streamed response is measured up to its beginning."""
        access = await self._urls.find(place.url_id) if place.url_id else None
        if access is None:
            return
        key = access.url.key
        call = MeteredCall(key.account, key.region, key.name, access.url.qualifier or None)
        self._meter.measure(call, FunctionMetric.URL_REQUEST_COUNT)
        self._meter.measure(call, FunctionMetric.URL_REQUEST_LATENCY, latency_ms)
        if status >= 400:
            self._meter.measure(call, FunctionMetric.URL_5XX_COUNT if status >= 500 else FunctionMetric.URL_4XX_COUNT)

    async def _answer(self, place: UrlPlace, request: Request, request_id: str, gone: Event) -> Response:
        trace_id = _trace_id(request, self._clock)
        try:
            return await self._pass(place, request, request_id, trace_id, gone)
        except RefusedError as refusal:
            error = answer_refusal(refusal, Family.REST_JSON)
            if refusal.reason is Reason.MISSING:
                error = _forbidden()
        except TooLargeError as too_large:
            error = too_large.answer("InvokeFunctionUrl")
        except ServiceError as failure:
            error = failure
        return _refuse(error, request_id, trace_id)

    async def _pass(self, place: UrlPlace, request: Request, request_id: str, trace_id: str, gone: Event) -> Response:
        access = await self._urls.find(place.url_id) if place.url_id else None
        if access is None or place.region not in (None, access.url.key.region):
            raise _forbidden()
        if access.url.cors is not None and url_cors.is_preflight(request):
            headers = url_cors.write_preflight(access.url.cors, request)
            return Response(200, headers + identify(request_id, trace_id))
        caller = None
        if access.url.auth_type == AWS_IAM:
            caller, request = await self._authenticate(access, request)
        await self._authorize(access, request, NOBODY if caller is None else caller.principal)
        self._bodies.check_length(request)
        call = UrlCall(
            url=access.url,
            request=request,
            path=place.path,
            body=await self._bodies.read(request.body),
            request_id=request_id,
            trace_id=trace_id,
            now_ms=self._clock.now_ms(),
            caller=caller,
        )
        return await self._calls.answer(call, gone)

    async def _authenticate(self, access: UrlAccess, request: Request) -> tuple[Caller, Request]:
        """Who signed, and the request with its body proven.

        Raises: RefusedError.
        """
        claim = read_claim(request)
        if claim is None:
            raise RefusedError(Reason.MISSING)
        if (claim.service, claim.region) != ("lambda", access.url.key.region):
            raise RefusedError(
                Reason.MISMATCH,
                f"Credential should be scoped to a valid region and to service 'lambda', not to "
                f"'{claim.region}' and '{claim.service[:64]}'. ",
            )
        key, body = await self._signed.prove(request, claim, takes_declared=True)
        return Caller(key.principal, claim.access_key_id), replace(request, body=body)

    async def _authorize(self, access: UrlAccess, request: Request, principal: Principal) -> None:
        """Raises: ServiceError, always the same one."""
        needed = Requirement(INVOKE_ACTION, access.url.arn, {AUTH_TYPE_KEY: access.url.auth_type})
        try:
            came = context_of(request, self._clock.now_ms(), "lambda", access.url.key.region)
            await self._authorizer.authorize(principal, (needed,), came)
        except ServiceError as denied:
            raise _forbidden() from denied
        if not access.leads_somewhere:
            raise _forbidden()


def _forbidden() -> ServiceError:
    return ServiceError("AccessDeniedException", FORBIDDEN, status=403)


def _refuse(error: ServiceError, request_id: str, trace_id: str) -> Response:
    body = {"Message": error.message} | {name: error.fields[name] for name in ("Reason",) if name in error.fields}
    headers = [("Content-Type", "application/json"), ("x-amzn-ErrorType", error.code)]
    return Response(error.status, headers + identify(request_id, trace_id), dump_json(body))


def _trace_id(request: Request, clock: Clock) -> str:
    """The caller's, or a new one: the time in seconds and 96 random bits."""
    given = request.headers.get("x-amzn-trace-id")
    if given is not None and _TRACE.fullmatch(given):
        return given
    return f"Root=1-{clock.now_ms() // 1000:08x}-{secrets.token_hex(12)}"
