"""Events and responses of function URLs, from anything that HTTP can carry and a function can return."""

import base64
import json
from contextlib import suppress
from typing import Any
from urllib.parse import unquote_plus

from hypothesis import given
from hypothesis import strategies as st

from cosset.functions.model import FunctionKey
from cosset.functions.url_records import FunctionUrl
from cosset.identity.principal import Principal, PrincipalKind
from cosset.services.lambda_ import url_cors
from cosset.services.lambda_.url_events import Caller, UrlCall, write_event
from cosset.services.lambda_.url_responses import BadResponseError, read_prelude, read_response
from cosset.wire.message import Headers, Request

KEY = FunctionKey("111111111111", "us-east-1", "f")
PRINCIPAL = Principal(PrincipalKind.USER, KEY.account, f"arn:aws:iam::{KEY.account}:user/a", "AIDAEXAMPLE")
LATIN = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"))
NAMES = st.text("abcdefghijklmnopqrstuvwxyzABC-", min_size=1, max_size=12)


def url() -> FunctionUrl:
    return FunctionUrl(
        key=KEY,
        qualifier="",
        url_id="a" * 32,
        auth_type="NONE",
        invoke_mode=None,
        cors=None,
        created="",
        modified="",
    )


def event(request: Request, body: bytes = b"", path: str = "/", caller: Caller | None = None) -> dict[str, Any]:
    call = UrlCall(
        url=url(),
        request=request,
        path=path,
        body=body,
        request_id="r-1",
        trace_id="Root=1-0-0",
        now_ms=1_583_348_638_390,
        caller=caller,
    )
    return json.loads(write_event(call))


@given(
    st.sampled_from(["GET", "POST", "PURGE"]),
    LATIN,
    LATIN,
    st.lists(st.tuples(NAMES, LATIN), max_size=8),
    st.binary(max_size=200),
    st.sampled_from([None, "text/plain", "application/json; charset=utf-8", "image/png", "", ";", "\xff/\xff"]),
)
def test_any_request_makes_an_event(
    method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes, content_type: str | None
) -> None:
    if content_type is not None:
        headers = [*headers, ("Content-Type", content_type)]
    made = event(Request(method, path, query, Headers(headers), host="h:1", peer="::1"), body, path)
    assert (made["rawPath"], made["rawQueryString"], made["requestContext"]["http"]["method"]) == (path, query, method)
    assert all(name == name.lower() and isinstance(value, str) for name, value in made["headers"].items())
    if body:
        decoded = base64.b64decode(made["body"]) if made["isBase64Encoded"] else made["body"].encode()
        assert decoded == body
    else:
        assert ("body" in made, made["isBase64Encoded"]) == (False, False)
    for name in made.get("queryStringParameters", {}):
        assert name in unquote_plus(query, errors="replace")


def test_when_and_by_whom() -> None:
    made = event(Request("GET", "/", "", Headers([("authorization", "AWS4-HMAC-SHA256 ...")]), host="h"))
    context = made["requestContext"]
    assert (context["time"], context["timeEpoch"]) == ("04/Mar/2020:19:03:58 +0000", 1_583_348_638_390)
    assert made["headers"]["authorization"] == "AWS4-HMAC-SHA256 ..."  # nobody verified it: it is the function's
    caller = Caller(PRINCIPAL, "AKIA")
    signed = event(Request("GET", "/", "", Headers([("authorization", "AWS4 ...")]), host="h"), caller=caller)
    assert "authorization" not in signed["headers"]
    assert signed["requestContext"]["accountId"] == KEY.account
    assert signed["requestContext"]["authorizer"]["iam"] == {
        "accessKey": "AKIA",
        "accountId": KEY.account,
        "callerId": "AIDAEXAMPLE",
        "cognitoIdentity": None,
        "principalOrgId": None,
        "userArn": PRINCIPAL.arn,
        "userId": "AIDAEXAMPLE",
    }


def test_repeated_headers_and_parameters_are_joined() -> None:
    headers = Headers([("A", "1"), ("a", "2"), ("Cookie", "x=1;y=2"), ("cookie", "z=3"), ("Connection", "close")])
    headers = Headers([*headers, ("X-Forwarded-For", "10.0.0.1")])
    made = event(Request("GET", "/", "a=1&b=%C3%BC+x&a=2", headers, host="h", peer="192.0.2.7"))
    assert made["headers"]["a"] == "1,2"
    assert made["cookies"] == ["x=1", "y=2", "z=3"]
    assert {"cookie", "connection"} & set(made["headers"]) == set()
    assert made["headers"]["x-forwarded-for"] == "10.0.0.1, 192.0.2.7"
    assert made["requestContext"]["http"]["sourceIp"] == "192.0.2.7"
    assert made["queryStringParameters"] == {"a": "1,2", "b": "ü x"}


def test_a_query_may_have_as_many_parameters_as_a_head_can_hold() -> None:
    made = event(Request("GET", "/", "&".join(["a=1"] * 16_000), Headers(), host="h"))
    assert made["queryStringParameters"]["a"].count("1") == 16_000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
MEMBERS = st.sampled_from(["statusCode", "headers", "cookies", "body", "isBase64Encoded", "other"])


@given(JSON | st.dictionaries(MEMBERS, JSON | st.integers(100, 600)))
def test_any_result_is_a_response_or_a_502(returned: Any) -> None:
    payload = json.dumps(returned).encode()
    for read in (read_response, read_prelude):
        try:
            made = read(payload)
        except BadResponseError:
            continue
        assert 200 <= made.status <= 599
        assert all(isinstance(value, str) and "\r" not in name and "\n" not in name for name, value in made.headers)
        assert not {"content-length", "transfer-encoding", "connection"} & {name.lower() for name, _ in made.headers}


@given(st.binary())
def test_any_bytes_are_a_response_or_a_502(payload: bytes) -> None:
    for read in (read_response, read_prelude):
        with suppress(BadResponseError):
            read(payload)


def browser(method: str = "GET", **headers: str) -> Request:
    return Request(method, "/", "", Headers([(name.replace("_", "-"), value) for name, value in headers.items()]))


def test_a_star_means_everybody_and_is_no_secret() -> None:
    cors = {"AllowOrigins": ["*"], "AllowMethods": ["*"]}
    request = browser("OPTIONS", origin="https://a", access_control_request_method="PUT")
    assert url_cors.is_preflight(request)
    assert dict(url_cors.write_preflight(cors, request)) == {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "*",
    }
    allowed = dict(url_cors.write_preflight({**cors, "AllowCredentials": True}, request))
    assert allowed == {
        "Access-Control-Allow-Origin": "https://a",
        "Vary": "Origin",
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Methods": "PUT",
    }
    assert url_cors.add_headers(None, request, [("Access-Control-Allow-Origin", "mine")]) == [
        ("Access-Control-Allow-Origin", "mine")
    ]
    assert url_cors.write_preflight({"AllowMethods": ["GET"]}, request) == []
