"""The pipeline without a socket: routing order, context, CORS, plain routes, streamed bodies."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from cosset.gateway.cors import Cors
from cosset.gateway.plain import PlainRoute
from cosset.gateway.unserved import UnservedServices
from cosset.services.operation import Service
from cosset.settings import Settings
from cosset.wire.message import Headers, Request, Response
from cosset.wire.models import Catalogue
from support.clock import ManualClock
from support.fake_services import FakeLambda, FakeLogs, FakeS3, FakeSts
from support.front import ACCOUNT, MemoryKeys, make_door
from support.signing import SIGNED_AT_MS, sign

CATALOGUE = Catalogue()
INVOKE = "/2015-03-31/functions/f/invocations"


def ask(request: Request, *services: Service, **options: Any) -> Response:
    door = make_door(services, clock=ManualClock(SIGNED_AT_MS), catalogue=CATALOGUE, **options)
    return asyncio.run(door.handle(request))


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for piece in data:
        yield piece


def test_a_handler_is_told_who_calls_from_where() -> None:
    functions = FakeLambda()
    trace = ("x-amzn-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793")
    request = sign("header", "POST", INVOKE, body=b"{}", region="eu-central-1", headers=[("user-agent", "Boto3/1")])
    request = replace(request, headers=Headers([*request.headers, trace]))
    response = ask(request, functions.service())
    ctx = functions.contexts[0]
    assert (ctx.service, ctx.operation, ctx.account, ctx.region) == ("lambda", "Invoke", ACCOUNT, "eu-central-1")
    assert (ctx.trace_id, ctx.user_agent, ctx.host) == (trace[1], "Boto3/1", "127.0.0.1:4566")
    assert dict(response.headers)["x-amzn-RequestId"] == ctx.request_id


def test_each_call_has_an_id_of_its_own() -> None:
    functions = FakeLambda()
    for _ in range(2):
        ask(sign("header", "POST", INVOKE, body=b"{}"), functions.service())
    assert len({ctx.request_id for ctx in functions.contexts}) == 2


def test_no_key_is_looked_up_for_a_claim_that_is_out_of_date() -> None:
    class Keys(MemoryKeys):
        async def find_key(self, access_key_id: str, session_token: str | None) -> Any:
            raise AssertionError("looked up")

    door = make_door([FakeLambda().service()], clock=ManualClock(SIGNED_AT_MS + 3600_000), keys=Keys())
    assert asyncio.run(door.handle(sign("header", "POST", INVOKE))).status == 403


def test_a_body_is_not_read_for_a_key_that_nobody_has() -> None:
    async def body() -> AsyncIterator[bytes]:
        raise AssertionError("read")
        yield b""

    request = sign("header", "POST", INVOKE, body=b"{}", access_key="AKIANOBODY")
    assert ask(replace(request, body=body()), FakeLambda().service()).status == 403


def test_a_streamed_body_is_proven_by_its_end() -> None:
    s3 = FakeS3()
    request = sign("s3 header", "PUT", "/b/k", headers=[("content-length", "6")], body=b"onetwo")
    assert ask(replace(request, body=pieces(b"one", b"two")), s3.service()).status == 200
    assert s3.received == b"onetwo"
    s3.received = b""
    response = ask(replace(request, body=pieces(b"one", b"tww")), s3.service())
    assert response.status == 400
    assert isinstance(response.body, bytes)
    assert b"XAmzContentSHA256Mismatch" in response.body
    assert s3.received == b""


def test_aws_chunked_leaves_nothing_of_itself() -> None:
    s3 = FakeS3()
    headers = [
        ("x-amz-trailer", "x-amz-checksum-crc32"),
        ("content-encoding", "gzip,aws-chunked"),
        ("x-amz-decoded-content-length", "4"),
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
    ]
    request = sign("header", "PUT", "/b/k", headers=headers, service="s3")
    body = b"4\r\ndata\r\n0\r\nx-amz-checksum-crc32:rfPzYw==\r\n\r\n"
    response = ask(replace(request, body=pieces(body[:7], body[7:])), s3.service())
    assert response.status == 200, response.body
    assert s3.received == b"data"


def test_an_unsigned_payload_is_taken_as_the_client_signed_it() -> None:
    functions = FakeLambda()
    request = sign("header", "POST", INVOKE, headers=[("x-amz-content-sha256", "UNSIGNED-PAYLOAD")], body=b'"a"')
    response = ask(replace(request, body=b'"b"'), functions.service())
    assert (response.status, response.body) == (200, b'"b"')


@pytest.mark.parametrize("declared", ["", "x", "UNSIGNED", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "A" * 64])
def test_other_kinds_of_payload_are_refused(declared: str) -> None:
    request = sign("header", "POST", INVOKE, headers=[("x-amz-content-sha256", declared)])
    assert ask(request, FakeLambda().service()).status == 403


def test_dots_in_a_path_mean_what_was_signed() -> None:
    functions = FakeLambda()
    request = sign("header", "POST", INVOKE, body=b"{}")
    dotted = replace(request, path=INVOKE.replace("/f/", "/g/../f/"))
    assert ask(dotted, functions.service()).status == 200
    assert ask(replace(request, path=INVOKE.replace("/f/", "/f/../g/")), functions.service()).status == 403


def test_the_target_wins_over_the_path_and_the_signing_name_over_the_action() -> None:
    services = FakeLambda().service(), FakeLogs().service(), FakeSts().service()
    target = [("x-amz-target", "Logs_20140328.DescribeLogGroups")]
    request = sign("header", "POST", INVOKE, headers=target, body=b"{}", service="logs")
    assert ask(request, *services).body == b'{"logGroups":[{"logGroupName":"all"}]}'
    form = [("content-type", "application/x-www-form-urlencoded")]
    body = b"Action=GetCallerIdentity&Version=2011-06-15"
    request = sign("header", "POST", INVOKE, headers=form, body=body, service="lambda")
    assert ask(request, *services).status == 200  # an Invoke whose payload looks like a form


def test_actions_in_a_query_string() -> None:
    request = sign("query", "GET", "/", "Action=GetCallerIdentity&Version=2011-06-15", service="sts")
    response = ask(request, FakeSts().service())
    assert isinstance(response.body, bytes)
    assert b"<Account>123456789012</Account>" in response.body


def test_plain_routes_need_no_signature() -> None:
    async def handler(request: Request) -> Response:
        return Response(200, [], request.path.encode())

    routes = [PlainRoute("GET", "/_cosset/code/", handler), PlainRoute("GET", "/_cosset/health", handler)]
    for method, path, status in (
        ("GET", "/_cosset/health", 200),
        ("HEAD", "/_cosset/health", 200),
        ("POST", "/_cosset/health", 403),
        ("GET", "/_cosset/healthy", 403),
        ("GET", "/_cosset/code/a/b", 200),
        ("GET", "/_cosset/code", 403),
    ):
        request = Request(method, path, "", Headers([("host", "h")]))
        assert ask(request, FakeLambda().service(), routes=routes).status == status, (method, path)


PREFLIGHT = Request(
    "OPTIONS",
    INVOKE,
    "",
    Headers(
        [
            ("host", "h"),
            ("origin", "http://localhost:3000"),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,x-amz-date"),
        ]
    ),
)


def test_there_is_no_cors_unless_it_is_configured() -> None:
    response = ask(PREFLIGHT, FakeLambda().service())
    assert response.status == 403
    assert not any("Access-Control" in name for name, _ in response.headers)


@pytest.mark.parametrize(
    ("origins", "allowed"),
    [(("http://localhost:3000/",), "http://localhost:3000"), (("http://other", "*"), "*")],
)
def test_a_preflight_from_a_configured_origin(origins: tuple[str, ...], allowed: str) -> None:
    response = ask(PREFLIGHT, FakeLambda().service(), settings=Settings(cors_origins=origins))
    headers = dict(response.headers)
    assert response.status == 200
    assert headers["Access-Control-Allow-Origin"] == allowed
    assert headers.get("Vary") == (None if allowed == "*" else "Origin")
    assert headers["Access-Control-Allow-Headers"] == "authorization,x-amz-date"
    assert "POST" in headers["Access-Control-Allow-Methods"]


def test_other_origins_are_not_told_anything() -> None:
    settings = Settings(cors_origins=("http://elsewhere",))
    assert ask(PREFLIGHT, FakeLambda().service(), settings=settings).status == 403


def test_answers_and_errors_may_be_read_by_a_configured_origin() -> None:
    settings = Settings(cors_origins=("http://localhost:3000",))
    request = sign("header", "POST", INVOKE, body=b"{}", headers=[("origin", "http://localhost:3000")])
    for body, status in ((b"{}", 200), (b"{]", 403)):
        response = ask(replace(request, body=body), FakeLambda().service(), settings=settings)
        assert response.status == status
        assert dict(response.headers)["Access-Control-Allow-Origin"] == "http://localhost:3000"
        exposed = dict(response.headers)["Access-Control-Expose-Headers"].split(", ")
        assert {"x-amzn-requestid", "x-amzn-errortype", "x-amz-function-error"} <= set(exposed)


def test_cors_of_a_request_without_an_origin() -> None:
    response = Response(200)
    Cors(["*"]).add_headers(Request("GET", "/", "", Headers()), response)
    assert response.headers == []


@pytest.mark.parametrize(
    ("signing_name", "target", "name"),
    [
        ("dynamodb", "DynamoDB_20120810", "dynamodb"),
        ("monitoring", None, "cloudwatch"),
        ("states", None, "stepfunctions"),
        ("sqs", None, "sqs"),
        ("dynamodb", "DynamoDBStreams_20120810", "dynamodbstreams"),
        (None, "Nobody_1", None),
        ("nobody", None, None),
    ],
)
def test_services_that_are_not_served_are_known(signing_name: Any, target: Any, name: str | None) -> None:
    found = UnservedServices().find(signing_name, target)
    assert (found and found[0]) == name
