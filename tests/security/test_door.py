"""Every way in that must stay shut, tried over real sockets: each is answered in AWS's words or cut off, and the door
still opens for the next who may."""

import asyncio
import contextlib
import dataclasses
import datetime
import hashlib
import json
import re
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cosset.gateway.limits import Limits
from cosset.identity.ports import KnownKey
from cosset.identity.principal import Credentials
from cosset.settings import Settings
from cosset.wire.errors import ServiceError
from cosset.wire.message import Headers, Request
from cosset.wire.models import Catalogue
from support.clock import ManualClock
from support.fake_services import FakeLambda, FakeLogs, FakeS3, FakeSts
from support.front import (
    ADMINISTRATOR,
    MemoryAuthorizer,
    MemoryKeys,
    RunningFront,
    make_door,
    running_front,
)
from support.signing import SIGNED_AT_MS, sign, to_wire

CATALOGUE = Catalogue()
INVOKE = "/2015-03-31/functions/f/invocations"
LIST = "/2015-03-31/functions/"


@dataclasses.dataclass
class House:
    """A door with services behind it, and what a test may move."""

    front: RunningFront
    clock: ManualClock
    keys: MemoryKeys
    authorizer: MemoryAuthorizer
    functions: FakeLambda
    s3: FakeS3

    def send(self, data: bytes) -> "Answer":
        with self.front.connect() as sock:
            sock.sendall(data)
            return Answer.read(sock)

    def ask(self, request: Request, *extra: str) -> "Answer":
        return self.send(to_wire(request, *extra))

    def assert_alive(self) -> None:
        answer = self.ask(sign("header", "GET", LIST))
        assert answer.status == 200, answer.body


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def read(cls, sock: socket.socket) -> "Answer":
        """All until the end of the connection; status 0 when it was cut without a word."""
        data = b""
        try:
            while piece := sock.recv(65536):
                data += piece
        except ConnectionError:
            pass
        return cls.of(data)

    @classmethod
    def of(cls, data: bytes) -> "Answer":
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        if len(lines[0].split(" ")) < 2:
            return cls(0, {}, b"")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        return cls(int(lines[0].split(" ")[1]), headers, body)

    @property
    def code(self) -> str:
        """The error code, wherever the protocol puts it."""
        found = re.search(rb"<Code>(.*?)</Code>", self.body)
        if found is not None:
            return found[1].decode()
        return self.headers.get("x-amzn-errortype") or json.loads(self.body)["__type"].rpartition("#")[2]


@pytest.fixture
def house() -> Iterator[House]:
    yield from _open_house(Settings(max_body_mb=1, drain_s=1, max_connections=1500))


@pytest.fixture
def hasty_house() -> Iterator[House]:
    """One that waits for nobody, so that tests need not either."""
    limits = Limits(max_connections=4, head_s=0.1, stall_s=0.1, keep_alive_s=0.1)
    yield from _open_house(Settings(max_body_mb=1, drain_s=1), limits)


def _open_house(settings: Settings, limits: Limits | None = None) -> Iterator[House]:
    clock, keys, authorizer = ManualClock(SIGNED_AT_MS), MemoryKeys(), MemoryAuthorizer()
    functions, s3 = FakeLambda(), FakeS3()
    services = [functions.service(), FakeSts().service(), FakeLogs().service(), s3.service()]
    door = make_door(services, settings=settings, clock=clock, keys=keys, authorizer=authorizer, catalogue=CATALOGUE)
    with running_front(door, settings, limits) as front:
        yield House(front, clock, keys, authorizer, functions, s3)


def _replaced(request: Request, name: str, value: str) -> Request:
    return dataclasses.replace(
        request, headers=Headers([(key, value if key == name else old) for key, old in request.headers])
    )


def _unsigned(method: str, path: str, *headers: tuple[str, str], query: str = "", body: bytes = b"") -> Request:
    return Request(method, path, query, Headers([("host", "127.0.0.1"), *headers]), body)


FORM = ("content-type", "application/x-www-form-urlencoded")
TARGET = ("x-amz-target", "Logs_20140328.DescribeLogGroups")


# --- who has no key ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (_unsigned("POST", "/", TARGET, body=b"{}"), 400, "MissingAuthenticationTokenException"),
        (_unsigned("POST", "/", FORM, body=b"Action=GetCallerIdentity"), 403, "MissingAuthenticationToken"),
        (_unsigned("POST", "/", FORM, body=b"Action=Nothing"), 403, "MissingAuthenticationToken"),
        (_unsigned("GET", "/", query="Action=GetCallerIdentity"), 403, "MissingAuthenticationToken"),
        (_unsigned("GET", "/bucket/key"), 403, "AccessDenied"),
        (_unsigned("POST", "/", ("x-amz-target", "Nobody.Nothing")), 400, "MissingAuthenticationTokenException"),
    ],
)
def test_without_a_signature_nothing_opens(house: House, request_: Request, status: int, code: str) -> None:
    answer = house.ask(request_)
    assert (answer.status, answer.code) == (status, code)
    assert answer.headers.get("x-amzn-requestid") or answer.headers.get("x-amz-request-id")


def test_a_caller_in_cbor_is_refused_in_cbor(house: House) -> None:
    request = _unsigned("POST", "/service/X/operation/Y", ("smithy-protocol", "rpc-v2-cbor"))
    answer = house.ask(request)
    assert answer.status == 403
    assert answer.headers["content-type"] == "application/cbor"
    assert b"MissingAuthenticationToken" in answer.body


def test_without_s3_an_unknown_path_asks_for_a_signature_as_lambda_does() -> None:
    """Lambda's front end, reported by users: 403 and the sentence `Missing Authentication Token`."""
    door = make_door([FakeLambda().service()], clock=ManualClock(SIGNED_AT_MS))
    with running_front(door) as front, front.connect() as sock:
        sock.sendall(to_wire(_unsigned("POST", INVOKE, body=b"{}")))
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
    answer = house.ask(_unsigned("POST", "/", FORM, body=body))
    assert answer.status == 200
    assert b"<Audience>anonymous</Audience>" in answer.body
    assert house.ask(_unsigned("POST", "/", FORM, body=body.replace(b"WebIdentity", b"SAML"))).status == 501


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


# --- who has a key, and another request -----------------------------------------------------------------------------


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
        _replaced(request, "x-amz-log-type", "Tail"),
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
    request = _unsigned("GET", LIST, ("authorization", authorization), ("x-amz-date", "20260305T123015Z"))
    answer = house.ask(request)
    assert (answer.status, answer.code) == (403, "IncompleteSignatureException")
    scoped = f"{authorization} /20260305/us-east-1/lambda/aws4_request"
    answer = house.ask(_replaced(request, "authorization", scoped))
    assert (answer.status, answer.code) == (403, "IncompleteSignatureException")
    posted = _unsigned("POST", "/", ("authorization", authorization), FORM, body=b"Action=GetCallerIdentity")
    assert (house.ask(posted).status, house.ask(posted).code) == (400, "IncompleteSignature")


# --- who has a key and asks for what is not there -------------------------------------------------------------------


def test_what_is_not_served_is_refused_by_name(house: House) -> None:
    house.clock.advance(time.time() - house.clock.now_ms() / 1000)  # boto3 signs with the time of day
    for service, call, named in (
        ("lambda", lambda c: c.get_account_settings(), "lambda:GetAccountSettings"),
        ("sts", lambda c: c.get_session_token(), "sts:GetSessionToken"),
        ("logs", lambda c: c.describe_queries(), "logs:DescribeQueries"),
        ("dynamodb", lambda c: c.list_tables(), "dynamodb:ListTables"),
        ("sqs", lambda c: c.list_queues(), "sqs:ListQueues"),
        ("sns", lambda c: c.list_topics(), "sns:ListTopics"),
        ("cloudwatch", lambda c: c.list_metrics(), "cloudwatch:ListMetrics"),
        ("stepfunctions", lambda c: c.list_state_machines(), "stepfunctions:ListStateMachines"),
        ("ec2", lambda c: c.describe_vpcs(), "ec2:DescribeVpcs"),
        ("apigateway", lambda c: c.get_rest_apis(), "apigateway:GetRestApis"),
        ("route53", lambda c: c.list_hosted_zones(), "route53:ListHostedZones"),
    ):
        with pytest.raises(ClientError) as caught:
            call(house.front.client(service))
        error = caught.value.response["Error"]
        assert error["Code"] == "NotImplementedException"
        assert f" {named} " in error["Message"]
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
        assert caught.value.response["ResponseMetadata"]["RequestId"]


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (("GET", "/nothing", [], b"", "lambda"), 404, "UnknownOperationException"),
        (("POST", "/", [("x-amz-target", "Logs_20140328.Nothing")], b"{}", "logs"), 400, "UnknownOperationException"),
        (("POST", "/", [FORM], b"Action=Nothing&Version=2011-06-15", "sts"), 400, "InvalidAction"),
        (("GET", "/", [], b"", "nobody"), 404, "UnknownOperationException"),
        (("POST", "/", [TARGET], b"{", "logs"), 400, "SerializationException"),
        (("POST", "/", [TARGET], b'{"logGroupNamePrefix": 1}', "logs"), 400, "SerializationException"),
        (("POST", "/", [TARGET], b"[" * 10_000, "logs"), 400, "SerializationException"),
        (("POST", "/", [TARGET], b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "logs"), 400, "SerializationException"),
        (("POST", LIST, [], b"[" * 10_000 + b"]" * 10_000, "lambda"), 400, "SerializationException"),
        (("POST", "/", [TARGET], b'{"limit": 0}', "logs"), 400, "InvalidParameterException"),
    ],
)
def test_what_cannot_be_understood(house: House, request_: Any, status: int, code: str) -> None:
    method, path, headers, body, service = request_
    answer = house.ask(sign("header", method, path, headers=headers, body=body, service=service))
    assert (answer.status, answer.code) == (status, code)
    house.assert_alive()


def test_a_denied_call_is_not_handled(house: House) -> None:
    house.authorizer.denied.add("lambda:InvokeFunction")
    answer = house.ask(sign("header", "POST", INVOKE, body=b"{}"))
    assert (answer.status, answer.code) == (403, "AccessDeniedException")
    assert house.functions.contexts == []


def test_a_bug_is_answered_and_told_with_its_request_id(house: House, caplog: pytest.LogCaptureFixture) -> None:
    answer = house.ask(sign("header", "POST", INVOKE.replace("/f/", "/broken/"), body=b"{}"))
    assert (answer.status, answer.code) == (500, "ServiceException")
    assert b"a bug" not in answer.body
    assert answer.headers["x-amzn-requestid"] in caplog.text
    house.assert_alive()


# --- too much ---------------------------------------------------------------------------------------------------------


def test_a_body_that_is_too_long(house: House) -> None:
    request = sign("header", "POST", "/2015-03-31/functions", body=b"x" * (1024 * 1024 + 1))
    answer = house.ask(request)
    assert (answer.status, answer.code) == (413, "RequestEntityTooLargeException")
    assert json.loads(answer.body)["message"] == (
        "Request must be smaller than 1048576 bytes for the CreateFunction operation"
    )
    house.assert_alive()


def test_a_chunked_body_that_is_too_long(house: House) -> None:
    request = sign("header", "POST", "/2015-03-31/functions", body=b"x" * (2 * 1024 * 1024))
    chunks = b"".join(b"10000\r\n" + b"x" * 65536 + b"\r\n" for _ in range(32)) + b"0\r\n\r\n"
    head = to_wire(dataclasses.replace(request, body=b""), "transfer-encoding: chunked")
    answer = house.send(head.replace(b"content-length: 0\r\n", b"") + chunks)
    assert (answer.status, answer.code) == (413, "RequestEntityTooLargeException")


def test_headers_of_a_megabyte(house: House) -> None:
    for data in (
        b"GET / HTTP/1.1\r\nhost: h\r\nx-long: " + b"a" * 1024 * 1024 + b"\r\n\r\n",
        b"GET /" + b"a" * 1024 * 1024 + b" HTTP/1.1\r\nhost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: h\r\n" + b"a: b\r\n" * 200_000 + b"\r\n",
    ):
        with house.front.connect() as sock:
            try:
                sock.sendall(data)
                answer = Answer.read(sock)
            except ConnectionError:
                continue
        assert answer.status in (0, 431)
    house.assert_alive()


def test_half_a_request_is_not_waited_for(hasty_house: House) -> None:
    whole = to_wire(sign("header", "POST", INVOKE, body=b'{"a":1}'))
    for cut in (0, 1, 20, len(whole) - 20, len(whole) - 1):
        answer = hasty_house.send(whole[:cut])
        assert answer.status in (0, 408)
    assert hasty_house.front.front.connections == 0
    hasty_house.assert_alive()


def test_a_request_that_trickles_is_not_waited_for(hasty_house: House) -> None:
    with hasty_house.front.connect() as sock:
        sock.settimeout(0.02)
        sock.sendall(b"GET / HTTP/1.1\r\n")
        answer = b""
        for _ in range(200):
            try:
                sock.sendall(b"a: b\r\n")
                answer = sock.recv(100)
                break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        else:
            pytest.fail("still waiting")
    assert answer == b"" or answer.startswith(b"HTTP/1.1 408")


def test_connections_are_bounded(hasty_house: House) -> None:
    with ExitStack() as stack:
        socks = [stack.enter_context(hasty_house.front.connect()) for _ in range(8)]
        answers = [Answer.read(sock).status for sock in socks]
    assert sorted(answers) == [408, 408, 408, 408, 503, 503, 503, 503]
    hasty_house.assert_alive()


def test_two_thousand_connections_at_once(house: House) -> None:
    """1,500 are allowed here: the rest are told so at once, and every one of the allowed is served."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    data = to_wire(sign("header", "POST", INVOKE, body=b'{"a":1}'), close=False)

    async def call(gate: asyncio.Event, connected: list[int]) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.front.port)
        connected.append(1)
        await gate.wait()
        try:
            writer.write(data)
            line = await asyncio.wait_for(reader.readline(), 60)
        except ConnectionError:
            return 503
        finally:
            writer.close()
        return int(line.split()[1]) if line else 503

    async def all_calls() -> list[int]:
        gate, connected = asyncio.Event(), []
        calls = [asyncio.create_task(call(gate, connected)) for _ in range(2000)]
        while len(connected) < 2000:
            await asyncio.sleep(0.01)
        gate.set()
        return await asyncio.gather(*calls)

    statuses = asyncio.run(all_calls())
    assert statuses.count(200) == 1500
    assert statuses.count(503) == 500
    house.assert_alive()


# --- HTTP's own corners -----------------------------------------------------------------------------------------------


def test_pipelined_requests_are_answered_in_order(house: House) -> None:
    requests = [sign("header", "POST", INVOKE, body=f'"{number}"'.encode()) for number in range(5)]
    data = b"".join(to_wire(request, close=number == 4) for number, request in enumerate(requests))
    with house.front.connect() as sock:
        sock.sendall(data)
        received = b""
        while piece := sock.recv(65536):
            received += piece
    assert received.count(b"HTTP/1.1 200") == 5
    assert re.findall(rb'\r\n\r\n"(\d)"', received) == [b"0", b"1", b"2", b"3", b"4"]


def test_a_connection_is_kept_after_an_error(house: House) -> None:
    wrong = to_wire(sign("header", "GET", LIST, secret="wrong"), close=False)
    right = to_wire(sign("header", "GET", LIST))
    received = house.send(wrong + right)
    assert received.status == 403
    assert b"HTTP/1.1 200" in received.body


def test_transfer_encoding_chunked(house: House) -> None:
    request = sign("header", "POST", INVOKE, body=b'{"a":1}')
    head = to_wire(dataclasses.replace(request, body=b""), "transfer-encoding: chunked")
    answer = house.send(head + b'3\r\n{"a\r\n4\r\n":1}\r\n0\r\n\r\n')
    assert (answer.status, answer.body) == (200, b'{"a":1}')


def test_chunks_of_one_byte_and_trailers_that_nobody_reads(house: House) -> None:
    body = b'{"a":"' + b"x" * 30_000 + b'"}'
    request = sign("header", "POST", INVOKE, body=body)
    head = to_wire(dataclasses.replace(request, body=b""), "transfer-encoding: chunked")
    chunks = b"".join(b"1\r\n" + bytes((each,)) + b"\r\n" for each in body)
    answer = house.send(head + chunks + b"0\r\nx-amz-client-context: e30=\r\nhost: another\r\n\r\n")
    assert (answer.status, answer.body) == (200, body)


BESIDE = {
    "trailers": b"0\r\n" + b"a: b\r\n" * 500_000,
    "a trailer": b"0\r\na: " + b"b" * 3_000_000,
    "a chunk's extension": b"1;" + b"e" * 3_000_000,
}


@pytest.mark.parametrize("what", BESIDE)
def test_what_comes_beside_a_body_has_an_end(house: House, what: str) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with house.front.connect() as sock:
        sock.settimeout(20)  # less than for a body that stalls
        with contextlib.suppress(ConnectionError):  # the door has closed
            sock.sendall(head + BESIDE[what])
            while sock.recv(65_536):
                continue
    house.assert_alive()


def test_expect_100_continue(house: House) -> None:
    request = sign("header", "POST", INVOKE, body=b'{"a":1}')
    data = to_wire(request, "expect: 100-continue")
    with house.front.connect() as sock:
        sock.sendall(data[:-7])
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(data[-7:])
        assert Answer.read(sock).body == b'{"a":1}'


def test_expect_100_continue_is_not_said_to_a_stranger(house: House) -> None:
    request = sign("header", "POST", INVOKE, body=b'{"a":1}', access_key="AKIANOBODY")
    with house.front.connect() as sock:
        sock.sendall(to_wire(request, "expect: 100-continue")[:-7])
        assert sock.recv(100).startswith(b"HTTP/1.1 403")


def test_an_offer_of_h2c_keeps_the_body(house: House) -> None:
    """The JDK's HttpClient offers an upgrade with its first request (uvicorn issue 2722)."""
    request = sign("header", "POST", INVOKE, body=b'{"a":1}')
    offer = ("upgrade: h2c", "http2-settings: AAMAAABkAAQAAP__")
    data = to_wire(request, "connection: Upgrade, HTTP2-Settings", *offer, close=False)
    with house.front.connect() as sock:
        for size in (len(data), 100, 7):
            for at in range(0, len(data), size):
                sock.sendall(data[at : at + size])
            received = b""
            while not received.endswith(b'{"a":1}'):
                piece = sock.recv(65536)
                assert piece, received
                received += piece
            assert received.startswith(b"HTTP/1.1 200")
        sock.sendall(to_wire(request))
        assert Answer.read(sock).status == 200


def test_an_offer_of_websockets_is_not_taken(house: House) -> None:
    request = sign("header", "GET", LIST)
    offer = ("connection: Upgrade", "upgrade: websocket", "sec-websocket-version: 13", "sec-websocket-key: AAAA")
    with house.front.connect() as sock:
        sock.sendall(to_wire(request, *offer, close=False))
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")


def test_head_has_no_body(house: House) -> None:
    answer = house.ask(sign("header", "HEAD", LIST))
    assert answer.status == 404
    assert answer.body == b""


def test_a_client_that_leaves_ends_a_long_poll(house: House) -> None:
    with house.front.connect() as sock:
        sock.sendall(to_wire(sign("header", "POST", INVOKE.replace("/f/", "/slow/"), body=b"{}"), close=False))
        while not house.functions.contexts:
            time.sleep(0.01)
    while not house.functions.left:
        time.sleep(0.01)
    house.assert_alive()


@pytest.mark.parametrize(
    "data",
    [
        b"\x00" * 1000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET \xff\xfe HTTP/1.1\r\nhost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: h\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: h\r\na: b\x00c\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 99999999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET http://user@[::1/x HTTP/1.1\r\nhost: h\r\n\r\n",
        b"CONNECT elsewhere:443 HTTP/1.1\r\nhost: h\r\n\r\n",
        b"GET * HTTP/1.1\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nhost: h\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET /%zz%ff?%&=&&;=%zz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
        b"\r\n\r\n\r\n",
    ],
)
def test_garbage(hasty_house: House, data: bytes) -> None:
    answer = hasty_house.send(data)
    assert answer.status in (0, 400, 403, 404, 408)
    hasty_house.assert_alive()
