"""POST /_cosset/api/<Operation>: Cosset's own operations, JSON in and out, signed by SigV4 for the service `cosset`.

For the command line. What they are: `services/installation/`. Nobody without a signature learns anything here, not
even which operations there are; what may be called says IAM, as for every operation.
"""

import json
import logging
import secrets
from dataclasses import replace
from typing import Any

from cosset.clock import Clock
from cosset.gateway.body import BodyReader, ClientGoneError, TooLargeError
from cosset.gateway.call import context_of
from cosset.gateway.canonical import normalize_path
from cosset.gateway.claims import Claim, read_claim
from cosset.gateway.keys import find_known_key
from cosset.gateway.payload import hash_body
from cosset.gateway.refusals import Family, Reason, RefusedError, answer_refusal
from cosset.gateway.sigv4 import Verifier
from cosset.identity.ports import Authorizer, KeyDirectory, KnownKey
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
        self._keys = keys
        self._authorizer = authorizer
        self._clock = clock
        self._verifier = Verifier(clock, max_clock_skew_s)
        self._bodies = BodyReader(MAX_BODY_BYTES)

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
        self._verifier.check_date(claim)
        key = await find_known_key(self._keys, claim, self._clock.now_ms())
        body = await self._prove(request, claim, key)
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

    async def _prove(self, request: Request, claim: Claim, key: KnownKey) -> bytes:
        """The body, always by its own hash: what a header says of it is not asked."""
        self._bodies.check_length(request)
        body = await self._bodies.read(request.body)
        normal = replace(request, path=normalize_path(request.path), body=body)
        secret = key.credentials.secret_access_key
        self._verifier.verify(normal, claim, secret, await hash_body(body), single_encoded=False)
        return body


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
