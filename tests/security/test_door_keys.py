"""Who has no key, and who has one and another request than was signed: each is answered in AWS's words, over real
sockets, and the door still opens for the next who may. What is refused behind it: test_door.py."""

import dataclasses
import datetime
import hashlib
import json
from typing import Any

import pytest

from cosset.identity.ports import KnownKey
from cosset.identity.principal import Credentials
from cosset.wire.errors import ServiceError
from cosset.wire.message import Headers, Request
from support.clock import ManualClock
from support.fake_services import FakeLambda
from support.front import ADMINISTRATOR, make_door, running_front
from support.house import FORM, INVOKE, LIST, TARGET, Answer, House, replaced, unsigned
from support.signing import SIGNED_AT_MS, sign, to_wire


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (unsigned("POST", "/", TARGET, body=b"{}"), 400, "MissingAuthenticationTokenException"),
        (unsigned("POST", "/", FORM, body=b"Action=GetCallerIdentity"), 403, "MissingAuthenticationToken"),
        (unsigned("POST", "/", FORM, body=b"Action=Nothing"), 403, "MissingAuthenticationToken"),
        (unsigned("GET", "/", query="Action=GetCallerIdentity"), 403, "MissingAuthenticationToken"),
        (unsigned("GET", "/bucket/key"), 403, "AccessDenied"),
        (unsigned("POST", "/", ("x-amz-target", "Nobody.Nothing")), 400, "MissingAuthenticationTokenException"),
    ],
)
def test_without_a_signature_nothing_opens(house: House, request_: Request, status: int, code: str) -> None:
    answer = house.ask(request_)
    assert (answer.status, answer.code) == (status, code)
    assert answer.headers.get("x-amzn-requestid") or answer.headers.get("x-amz-request-id")


def test_a_caller_in_cbor_is_refused_in_cbor(house: House) -> None:
    request = unsigned("POST", "/service/X/operation/Y", ("smithy-protocol", "rpc-v2-cbor"))
    answer = house.ask(request)
    assert answer.status == 403
    assert answer.headers["content-type"] == "application/cbor"
    assert b"MissingAuthenticationToken" in answer.body


def test_without_s3_an_unknown_path_asks_for_a_signature_as_lambda_does() -> None:
    """Lambda's front end, reported by users: 403 and the sentence `Missing Authentication Token`."""
    door = make_door([FakeLambda().service()], clock=ManualClock(SIGNED_AT_MS))
    with running_front(door) as front, front.connect() as sock:
        sock.sendall(to_wire(unsigned("POST", INVOKE, body=b"{}")))
        answer = Answer.read(sock)
    assert (answer.status, answer.code) == (403, "MissingAuthenticationTokenException")
    assert json.loads(answer.body) == {"message": "Missing Authentication Token"}


def test_a_host_of_aws_says_whose_request_it_is(house: House) -> None:
    request = Request("GET", LIST, "", Headers([("host", "lambda.us-east-1.amazonaws.com")]))
    answer = house.ask(request)
    assert (answer.status, answer.code) == (403, "MissingAuthenticationTokenException")
    signed = sign("header", "GET", LIST, host="lambda.eu-central-1.amazonaws.com", region="eu-central-1")
    assert house.ask(signed).status == 200


def test_operations_that_need_no_signature_are_open_and_only_they(house: House) -> None:
    body = (
        b"Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=session&WebIdentityToken=token"
        b"&RoleArn=arn:aws:iam::123456789012:role/role"
    )
    answer = house.ask(unsigned("POST", "/", FORM, body=body))
    assert answer.status == 200
    assert b"<Audience>anonymous</Audience>" in answer.body
    assert house.ask(unsigned("POST", "/", FORM, body=body.replace(b"WebIdentity", b"SAML"))).status == 501


def test_a_large_body_without_a_signature_is_not_read(house: House) -> None:
    with house.front.connect() as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 500000\r\nexpect: 100-continue\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 403")
    house.assert_alive()


@pytest.mark.parametrize(
    ("kind", "service", "path", "headers", "body", "status", "code"),
    [
        ("header", "lambda", LIST, [], b"", 403, "UnrecognizedClientException"),
        ("header", "logs", "/", [TARGET], b"{}", 400, "UnrecognizedClientException"),
        ("header", "sts", "/", [FORM], b"Action=GetCallerIdentity", 403, "InvalidClientTokenId"),
        ("s3 header", "s3", "/b/k", [], b"", 403, "InvalidAccessKeyId"),
        ("header", "dynamodb", "/", [("x-amz-target", "DynamoDB_20120810.ListTables")], b"{}", 400,
         "UnrecognizedClientException"),
    ],
)  # fmt: skip
def test_a_key_that_nobody_has(
    house: House, kind: str, service: str, path: str, headers: Any, body: bytes, status: int, code: str
) -> None:
    method = "POST" if body else "GET"
    answer = house.ask(sign(kind, method, path, "", headers, body, service=service, access_key="AKIANOBODY"))
    assert (answer.status, answer.code) == (status, code)


@pytest.mark.parametrize(
    ("kind", "service", "path", "headers", "body", "status", "code"),
    [
        ("header", "lambda", LIST, [], b"", 403, "InvalidSignatureException"),
        ("header", "logs", "/", [TARGET], b"{}", 400, "InvalidSignatureException"),
        ("header", "sts", "/", [FORM], b"Action=GetCallerIdentity", 403, "SignatureDoesNotMatch"),
        ("s3 header", "s3", "/b/k", [], b"", 403, "SignatureDoesNotMatch"),
    ],
)
def test_a_wrong_secret(
    house: House, kind: str, service: str, path: str, headers: Any, body: bytes, status: int, code: str
) -> None:
    method = "POST" if body else "GET"
    answer = house.ask(sign(kind, method, path, "", headers, body, service=service, secret="another"))
    assert (answer.status, answer.code) == (status, code)
    assert b"signature we calculated does not match" in answer.body


def test_a_tampered_request(house: House) -> None:
    request = sign("header", "POST", INVOKE, "Qualifier=1", [("X-Amz-Log-Type", "None")], b'{"amount":1}')
    assert house.ask(request).status == 200
    for changed in (
        dataclasses.replace(request, body=b'{"amount":2}'),
        dataclasses.replace(request, query="Qualifier=2"),
        dataclasses.replace(request, path=INVOKE.replace("/f/", "/g/")),
        dataclasses.replace(request, method="PUT"),
        replaced(request, "x-amz-log-type", "Tail"),
        dataclasses.replace(request, headers=Headers([*request.headers, ("x-amz-invocation-type", "Event")])),
    ):
        answer = house.ask(changed)
        assert (answer.status, answer.code) == (403, "InvalidSignatureException")
    assert len(house.functions.contexts) == 1


def test_a_declared_hash_is_the_bodys(house: House) -> None:
    declared = ("x-amz-content-sha256", hashlib.sha256(b"one").hexdigest())
    request = sign("header", "POST", INVOKE, headers=[declared], body=b"one")
    assert house.ask(request).status == 200
    assert house.ask(dataclasses.replace(request, body=b"two")).code == "InvalidSignatureException"
    assert len(house.functions.contexts) == 1
    s3 = sign("s3 header", "PUT", "/b/k", body=b"one")
    assert house.ask(s3).status == 200
    assert house.s3.received == b"one"
    answer = house.ask(dataclasses.replace(s3, body=b"two"))
    assert (answer.status, answer.code) == (400, "XAmzContentSHA256Mismatch")
    assert house.s3.received == b"one"


def test_a_signature_for_one_service_opens_no_other(house: House) -> None:
    request = sign("header", "POST", "/", headers=[TARGET], body=b"{}", service="sts")
    answer = house.ask(request)
    assert (answer.status, answer.code) == (400, "InvalidSignatureException")
    assert json.loads(answer.body)["message"] == "Credential should be scoped to correct service: 'logs'. "


def test_clocks_replays_and_expiry(house: House) -> None:
    request = sign("header", "GET", LIST)
    presigned = sign("query", "GET", "/", "Action=GetCallerIdentity&Version=2011-06-15", service="sts", expires_s=60)
    assert house.ask(request).status == 200
    assert house.ask(presigned).status == 200
    house.clock.advance(61)
    answer = house.ask(presigned)
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
    assert b"Signature expired" in answer.body
    assert house.ask(request).status == 200
    house.clock.advance(240)
    answer = house.ask(request)
    assert (answer.status, answer.code) == (403, "InvalidSignatureException")
    assert json.loads(answer.body)["message"].startswith("Signature expired: 20260305T123015Z is now earlier than")
    ahead = sign("header", "GET", LIST, at=datetime.datetime(2026, 3, 5, 13, 0, 0, tzinfo=datetime.UTC))
    assert json.loads(house.ask(ahead).body)["message"].startswith("Signature not yet current")
    s3 = house.ask(sign("s3 header", "GET", "/b/k"))
    assert (s3.status, s3.code) == (403, "RequestTimeTooSkewed")


def test_temporary_keys_need_their_token_and_end(house: House) -> None:
    credentials = Credentials("ASIATEMPORARY", "secret", "the token", SIGNED_AT_MS + 10_000)
    house.keys.known["ASIATEMPORARY"] = KnownKey(credentials, ADMINISTRATOR)

    def ask(token: str | None) -> Answer:
        return house.ask(sign("header", "GET", LIST, access_key="ASIATEMPORARY", secret="secret", token=token))

    assert ask("the token").status == 200
    for token in (None, "another"):
        assert (ask(token).status, ask(token).code) == (403, "UnrecognizedClientException")
    house.clock.advance(10)
    answer = ask("the token")
    assert (answer.status, answer.code) == (403, "ExpiredTokenException")
    house.keys.failures["ASIASEALED"] = ServiceError("ExpiredToken", "", status=403)
    sealed = sign("header", "POST", "/", headers=[FORM], body=b"Action=GetCallerIdentity", service="sts",
                  access_key="ASIASEALED", token="t")  # fmt: skip
    answer = house.ask(sealed)
    assert (answer.status, answer.code) == (403, "ExpiredToken")


def test_a_permanent_key_has_no_token(house: House) -> None:
    assert house.ask(sign("header", "GET", LIST, token="made up")).code == "UnrecognizedClientException"


def test_doubled_headers(house: House) -> None:
    request = sign("header", "GET", LIST)
    for name in ("authorization", "x-amz-date", "host"):
        answer = house.ask(request, f"{name}: {request.headers.get(name)}")
        assert answer.status in (400, 403)
        assert answer.code == "IncompleteSignatureException"


@pytest.mark.parametrize("authorization", ["Bearer x", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=x", ""])
def test_malformed_authorization(house: House, authorization: str) -> None:
    request = unsigned("GET", LIST, ("authorization", authorization), ("x-amz-date", "20260305T123015Z"))
    answer = house.ask(request)
    assert (answer.status, answer.code) == (403, "IncompleteSignatureException")
    scoped = f"{authorization} /20260305/us-east-1/lambda/aws4_request"
    answer = house.ask(replaced(request, "authorization", scoped))
    assert (answer.status, answer.code) == (403, "IncompleteSignatureException")
    posted = unsigned("POST", "/", ("authorization", authorization), FORM, body=b"Action=GetCallerIdentity")
    assert (house.ask(posted).status, house.ask(posted).code) == (400, "IncompleteSignature")
