"""Requests that nobody thought of: whoever signs them, the answer is never a 500, and unsigned never a 200."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosset.wire.message import Headers, Request, Response
from cosset.wire.models import Catalogue
from support.clock import ManualClock
from support.fake_services import FakeLambda, FakeLogs, FakeS3, FakeSts
from support.front import make_door
from support.signing import SIGNED_AT_MS, sign

DOOR = make_door(
    [FakeLambda().service(), FakeSts().service(), FakeLogs().service(), FakeS3().service()],
    clock=ManualClock(SIGNED_AT_MS),
    catalogue=Catalogue(),
)

METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "BREW", ""])
PATHS = st.one_of(
    st.sampled_from(
        [
            "/",
            "/2015-03-31/functions",
            "/2015-03-31/functions/f/invocations",
            "/2015-03-31/functions/%00%ff/invocations",
            "/2020-06-30/functions/f/code-signing-config",
            "/bucket/key",
            "//",
            "*",
            "",
        ]
    ),
    st.text("/.%0aF~:$é", max_size=20).map(lambda text: "/" + text),
)
QUERIES = st.one_of(
    st.just(""),
    st.text("&=%+;aF0.éX", max_size=20),
    st.sampled_from(
        [
            "Action=GetCallerIdentity&Version=2011-06-15",
            "Action=",
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15",
            "X-Amz-Signature=",
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a/20260305/r/s3/aws4_request&X-Amz-Signature=0",
            "X-Amz-Content-Sha256=x",
            "uploads",
            "list-type=2&max-keys=x",
            "MaxItems=x",
        ]
    ),
)
VALUES = st.one_of(
    st.text('abc =;,/%é\t"', max_size=20),
    st.sampled_from(
        [
            "application/x-www-form-urlencoded",
            "application/json",
            "Logs_20140328.DescribeLogGroups",
            "Logs_20140328.",
            "DynamoDB_20120810.PutItem",
            "rpc-v2-cbor",
            "UNSIGNED-PAYLOAD",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "x-amz-checksum-crc32",
            "aws-chunked",
            "99999999999",
            "20260305T123015Z",
            "AWS4-HMAC-SHA256 Credential=a/20260305/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=0",
            "Event",
            "null",
        ]
    ),
)
NAMES = st.sampled_from(
    [
        "content-type",
        "content-length",
        "content-encoding",
        "content-md5",
        "date",
        "x-amz-target",
        "x-amz-content-sha256",
        "x-amz-decoded-content-length",
        "x-amz-trailer",
        "x-amz-client-context",
        "x-amz-invocation-type",
        "x-amz-copy-source",
        "x-amzn-trace-id",
        "smithy-protocol",
        "origin",
        "access-control-request-method",
        "if-modified-since",
        "range",
    ]
)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=4)
BODIES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            b"",
            b"{}",
            b"[]",
            b"null",
            b'"\\ud800"',
            b'{"FunctionName":"f","Code":{"ZipFile":"!"}}',
            b'{"limit":1e999}',
            b'{"a":NaN}',
            b"Action=GetCallerIdentity&Version=2011-06-15",
            b"Action=%ff&Tags.member.x.Key=1&Tags.member.1.Key=1&Tags.member=1",
            b"<a><b></a>",
            b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
            b"0\r\n\r\n",
            b"5;chunk-signature=0\r\nhello\r\n0;chunk-signature=0\r\n\r\n",
        ]
    ),
)


def ask(request: Request) -> Response:
    return asyncio.run(DOOR.handle(request))


@given(METHODS, PATHS, QUERIES, HEADERS, BODIES, st.one_of(st.none(), VALUES))
def test_without_a_signature(
    method: str, path: str, query: str, headers: list[tuple[str, str]], body: bytes, authorization: str | None
) -> None:
    sent = [("host", "127.0.0.1:4566"), *headers]
    if authorization is not None:
        sent.append(("authorization", authorization))
    response = ask(Request(method, path, query, Headers(sent), body))
    assert response.status in (400, 403, 501), response.body


@given(
    st.sampled_from(["header", "s3 header", "query", "s3 query"]),
    st.sampled_from(["lambda", "sts", "logs", "s3", "dynamodb", "execute-api", "nobody"]),
    METHODS,
    PATHS,
    QUERIES,
    HEADERS,
    BODIES,
)
def test_with_one(
    kind: str,
    service: str,
    method: str,
    path: str,
    query: str,
    headers: list[tuple[str, str]],
    body: bytes,
) -> None:
    try:
        request = sign(kind, method, path, query, headers, body, service=service)
    except (ValueError, KeyError, UnicodeError):  # not even botocore signs that
        return
    response: Any = ask(request)
    assert response.status != 500, (response.headers, response.body)


JSON = ("content-type", "application/x-amz-json-1.1")
FORM = ("content-type", "application/x-www-form-urlencoded")
UNSIGNED = ("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
RIGHT: list[tuple[str, str, str, list[tuple[str, str]], bytes]] = [
    ("lambda", "POST", "/2015-03-31/functions/f/invocations", [], b'{"a":1}'),
    ("lambda", "GET", "/2015-03-31/functions", [], b""),
    (
        "lambda",
        "POST",
        "/2015-03-31/functions",
        [],
        b'{"FunctionName":"f","Role":"arn:aws:iam::123456789012:role/r","Code":{"ZipFile":"AAAA"}}',
    ),
    ("logs", "POST", "/", [JSON, ("x-amz-target", "Logs_20140328.DescribeLogGroups")], b'{"limit":5}'),
    ("sts", "POST", "/", [FORM], b"Action=GetCallerIdentity&Version=2011-06-15"),
    ("s3", "PUT", "/bucket/key", [UNSIGNED, ("content-length", "4")], b"data"),
    ("s3", "GET", "/bucket/key", [UNSIGNED], b""),
]


@pytest.mark.parametrize("right", RIGHT)
def test_what_is_right(right: tuple[str, str, str, list[tuple[str, str]], bytes]) -> None:
    service, method, path, headers, body = right
    response = ask(sign("header", method, path, "", headers, body, service=service))
    assert response.status in (200, 201), response.body


@given(st.sampled_from(RIGHT), QUERIES, HEADERS, st.one_of(st.none(), BODIES), st.data())
def test_what_is_nearly_right(
    right: tuple[str, str, str, list[tuple[str, str]], bytes],
    query: str,
    headers: list[tuple[str, str]],
    other_body: bytes | None,
    data: st.DataObject,
) -> None:
    service, method, path, rights, body = right
    if other_body is not None:
        body = other_body
    elif body and data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(body) - 1))
        body = body[:at] + data.draw(st.binary(max_size=2)) + body[at + 1 :]
    try:
        request = sign("header", method, path, query, [*rights, *headers], body, service=service)
    except (ValueError, KeyError, UnicodeError):
        return
    response = ask(request)
    assert response.status != 500, (response.headers, response.body)
