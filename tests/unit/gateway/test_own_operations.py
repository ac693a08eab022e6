"""Cosset's own operations over HTTP: nobody without a signature gets in, and nothing of a request can be changed."""

import asyncio
import json
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cosset.clock import SystemClock
from cosset.gateway.own_operations import MAX_BODY_BYTES, PATH, OwnOperations
from cosset.identity.ports import Requirement
from cosset.services.operation import Context, Params, Result, Service, operation
from cosset.wire.message import Headers, Request
from support.front import ACCESS_KEY, SECRET_KEY, MemoryAuthorizer, MemoryKeys


class Part:
    @operation("Echo", lambda ctx, params: [Requirement("cosset:Echo", "*")])
    async def echo(self, ctx: Context, params: Params) -> Result:
        return {"account": ctx.account, "params": params}

    @operation("Fail", lambda ctx, params: [])
    async def fail(self, ctx: Context, params: Params) -> Result:
        raise ZeroDivisionError("a secret")


def send(
    name: str = "Echo",
    body: bytes = b'{"a": 1}',
    *,
    service: str = "cosset",
    secret: str = SECRET_KEY,
    signed: bool = True,
    sent: bytes | None = None,
    sent_name: str | None = None,
    denied: str | None = None,
) -> tuple[int, dict[str, Any]]:
    made = AWSRequest("POST", f"http://localhost:1{PATH}{name}", {"Content-Type": "application/json"}, body)
    if signed:
        SigV4Auth(Credentials(ACCESS_KEY, secret), service, "us-east-1").add_auth(made)
    authorizer = MemoryAuthorizer()
    if denied is not None:
        authorizer.denied.add(denied)
    own = OwnOperations(
        Service.of("cosset", [Part()]),
        keys=MemoryKeys(),
        authorizer=authorizer,
        clock=SystemClock(),
        max_clock_skew_s=300,
    )
    headers = Headers([("host", "localhost:1"), *((key.lower(), value) for key, value in made.headers.items())])
    request = Request(
        "POST", PATH + (sent_name or name), "", headers, body=body if sent is None else sent, host="localhost:1"
    )
    response = asyncio.run(own.answer(request))
    assert isinstance(response.body, bytes)
    return response.status, json.loads(response.body)


def test_a_signed_call() -> None:
    assert send() == (200, {"account": "123456789012", "params": {"a": 1}})
    assert send(body=b"")[1]["params"] == {}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"signed": False}, "MissingAuthenticationTokenException"),
        ({"signed": False, "name": "Nothing"}, "MissingAuthenticationTokenException"),
        ({"service": "lambda"}, "MissingAuthenticationTokenException"),
        ({"secret": "other"}, "InvalidSignatureException"),
        ({"sent": b'{"a": 2}'}, "InvalidSignatureException"),
        ({"sent_name": "Fail"}, "InvalidSignatureException"),
        ({"name": "Nothing"}, "UnknownOperationException"),
        ({"body": b"[]"}, "SerializationException"),
        ({"body": b"[" * 50_000}, "SerializationException"),
        ({"body": b" " * (MAX_BODY_BYTES + 1)}, "RequestEntityTooLargeException"),
        ({"denied": "cosset:Echo"}, "AccessDeniedException"),
        ({"name": "Fail"}, "InternalFailure"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], code: str) -> None:
    status, said = send(**changes)
    assert status >= 400
    assert said["code"] == code
    assert "secret" not in said["message"]
