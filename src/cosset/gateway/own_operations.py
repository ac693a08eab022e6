"""POST /_cosset/api/<Operation>: Cosset's own operations, JSON in and out, signed by SigV4 for the service `cosset`.

For the command line. What they are: `services/installation/`. Nobody without a signature learns anything here, not
even which operations there are; what may be called says IAM, as for every operation.
"""

import json
import logging
import secrets
from typing import Any

from cosset.clock import Clock
from cosset.gateway.body import BodyReader, ClientGoneError, TooLargeError
from cosset.gateway.call import context_of
from cosset.gateway.claims import read_claim
from cosset.gateway.refusals import Family, Reason, RefusedError, answer_refusal
from cosset.gateway.signed_requests import SignedRequests
from cosset.identity.ports import Authorizer, KeyDirectory
from cosset.services.operation import AnyService, Context
from cosset.wire.errors import ServiceError
from cosset.wire.message import Request, Response

PATH = "/_cosset/api/"
MAX_BODY_BYTES = 64 * 1024

logger = logging.getLogger(__name__)


class OwnOperations:
    def __init__(
        self, service: AnyService, *, keys: KeyDirectory, authorizer: Authorizer, clock: Clock, max_clock_skew_s: int
    ) -> None:
        self._service = service
        self._authorizer = authorizer
        self._clock = clock
        self._signed = SignedRequests(keys, clock, max_clock_skew_s, BodyReader(MAX_BODY_BYTES))

    async def answer(self, request: Request) -> Response:
        """The task boundary of such a call."""
        request_id = secrets.token_hex(16)
        try:
            status, body = 200, await self._pass(request, request_id)
        except RefusedError as refusal:
            status, body = _refused(answer_refusal(refusal, Family.REST_JSON))
        except TooLargeError as too_large:
            status, body = _refused(too_large.answer("requested"))
        except ServiceError as error:
            status, body = _refused(error)
        except ClientGoneError:
            raise
        except Exception:
            logger.exception("%s failed, request id %s", request.path, request_id)
            status, body = 500, {"code": "InternalFailure", "message": "The request failed; the server's log says why."}
        headers = [("content-type", "application/json"), ("x-amzn-requestid", request_id)]
        return Response(status, headers, json.dumps(body).encode() + b"\n")

    async def _pass(self, request: Request, request_id: str) -> dict[str, Any]:
        claim = read_claim(request)
        if claim is None or claim.service != self._service.name or claim.presigned:
            raise RefusedError(Reason.MISSING)
        key, body = await self._signed.prove(request, claim, takes_declared=False)
        name = request.path.removeprefix(PATH)
        operation = self._service.operations.get(name)
        if operation is None:
            raise ServiceError("UnknownOperationException", f"There is no operation {name[:64]!r}.", status=404)
        params = _read(body)
        ctx = Context(
            service=self._service.name,
            operation=name,
            principal=key.principal,
            account=key.principal.account,
            region=claim.region,
            request_id=request_id,
            host=request.host,
            scheme=request.scheme,
        )
        call = context_of(request, self._clock.now_ms(), ctx.service, ctx.region)
        await self._authorizer.authorize(key.principal, operation.requirements(ctx, params), call)
        return await operation.handler(ctx, params) or {}


def _read(body: bytes) -> dict[str, Any]:
    try:
        params = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        params = None
    if not isinstance(params, dict):
        raise ServiceError("SerializationException", "The body is no JSON object.")
    return params


def _refused(error: ServiceError) -> tuple[int, dict[str, Any]]:
    return error.status, {"code": error.code, "message": error.message}
