"""Whatever arrives, the wire room answers with a ServiceError or with parameters: never with a crash."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cosset.wire.errors import SerializationError, ServiceError
from cosset.wire.forms import MAX_SEGMENTS
from cosset.wire.message import Headers, Request
from cosset.wire.models import Catalogue
from cosset.wire.protocols import protocol_of, route
from cosset.wire.validation import validate

CATALOGUE = Catalogue()
PROFILE = settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
FORM = ("content-type", "application/x-www-form-urlencoded")


def take(service: str, request: Request) -> dict[str, Any]:
    wire = CATALOGUE.service(service)
    routed = route(wire, request)
    params = routed.protocol.parse(routed, request)
    validate(wire, routed.operation, params)
    return params


def survives(service: str, request: Request) -> None:
    wire = CATALOGUE.service(service)
    try:
        take(service, request)
    except ServiceError as error:
        response = protocol_of(wire, request).serialize_error(wire, None, error, "request-1")
        if not 400 <= response.status < 600:
            raise AssertionError(f"{error.code} was answered with {response.status}") from error


def create_function(body: bytes) -> Request:
    return Request("POST", "/2015-03-31/functions", "", Headers(), body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FUNCTION_MEMBERS = sorted(CATALOGUE.service("lambda").operation("CreateFunction").model.input_shape.members)
LOG_MEMBERS = sorted(CATALOGUE.service("logs").operation("PutLogEvents").model.input_shape.members)


@PROFILE
@given(st.dictionaries(st.sampled_from(FUNCTION_MEMBERS), json_values, max_size=6))
def test_any_json_for_a_rest_operation(body: dict[str, Any]) -> None:
    survives("lambda", create_function(json.dumps(body).encode()))


@PROFILE
@given(json_values | st.dictionaries(st.sampled_from(LOG_MEMBERS), json_values, max_size=4))
def test_any_json_for_a_json_operation(body: Any) -> None:
    headers = Headers([("x-amz-target", "Logs_20140328.PutLogEvents")])
    survives("logs", Request("POST", "/", "", headers, json.dumps(body).encode()))


@PROFILE
@given(st.sampled_from(["lambda", "logs", "iam", "s3", "sqs"]), st.binary(max_size=60), st.text(max_size=20))
def test_any_bytes_path_and_target(service: str, body: bytes, text: str) -> None:
    headers = Headers([("x-amz-target", text)] if text.startswith("a") else [FORM])
    survives(service, Request("POST", "/" + text, text, headers, body))
    survives(service, create_function(body))


@PROFILE
@given(
    st.dictionaries(st.text("abRoleNmTgs.1member", max_size=20), st.text(max_size=5), max_size=5),
    st.sampled_from(["CreateRole", "TagRole", "SimulateCustomPolicy", "Nothing"]),
)
def test_any_form(fields: dict[str, str], action: str) -> None:
    body = urlencode({"Action": action, "Version": "2010-05-08", **fields}).encode()
    survives("iam", Request("POST", "/", "", Headers([FORM]), body))


@PROFILE
@given(st.text("<>/&;!?a \"='[]x0é", max_size=60))
def test_any_xml(text: str) -> None:
    survives("s3", Request("PUT", "/bucket", "acl", Headers(), text.encode()))
    document = f"<AccessControlPolicy><Grant>{text}</Grant></AccessControlPolicy>"
    survives("s3", Request("PUT", "/bucket", "acl", Headers(), document.encode()))


@PROFILE
@given(st.text(st.characters(max_codepoint=255), max_size=20), st.text(max_size=20))
def test_any_header_and_label(value: str, label: str) -> None:
    headers = Headers([("x-amz-invocation-type", value), ("content-length", value), ("content-encoding", value)])
    survives("lambda", Request("POST", f"/2015-03-31/functions/{label}/invocations", label, headers, b""))
    survives("s3", Request("PUT", f"/bucket/{label}", label, headers, b""))


@pytest.mark.parametrize("opening", ["[", '{"Code":', '{"Tags":{"a":', '{"Environment":{"Variables":'])
def test_json_nested_ten_thousand_deep_is_a_serialization_exception(opening: str) -> None:
    for body in (opening * 10_000, opening * 100_000):
        with pytest.raises(SerializationError) as caught:
            take("lambda", create_function(body.encode()))
        assert caught.value.code == "SerializationException"


def test_shapes_that_contain_themselves_nested_deep_are_a_serialization_exception() -> None:
    body = '{"TableName":"t","Item":{"a":' + '{"L":[' * 900 + '{"S":"x"}' + "]}" * 900 + "}}"
    headers = Headers([("x-amz-target", "DynamoDB_20120810.PutItem")])
    with pytest.raises(ServiceError) as caught:
        take("dynamodb", Request("POST", "/", "", headers, body.encode()))
    assert caught.value.code == "SerializationException"


def test_xml_nested_deep_is_refused() -> None:
    body = b"<a>" * 100_000
    with pytest.raises(ServiceError) as caught:
        take("s3", Request("PUT", "/bucket", "acl", Headers(), body))
    assert caught.value.code == "MalformedACLError"


def test_xml_entities_are_refused() -> None:
    body = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><AccessControlPolicy>&b;</AccessControlPolicy>'
    with pytest.raises(ServiceError) as caught:
        take("s3", Request("PUT", "/bucket", "acl", Headers(), body))
    assert caught.value.code == "MalformedACLError"


def test_a_form_key_nested_deep_is_refused() -> None:
    body = b"Action=CreateRole&" + b"a." * (MAX_SEGMENTS + 1) + b"b=1"
    with pytest.raises(ServiceError):
        take("iam", Request("POST", "/", "", Headers([FORM]), body))


def test_a_body_that_grows_beyond_bounds_when_unpacked_is_refused() -> None:
    packed = gzip.compress(bytes(100_000_000), compresslevel=1)
    headers = Headers([FORM, ("content-encoding", "gzip")])
    with pytest.raises(SerializationError):
        take("cloudwatch", Request("POST", "/", "", headers, packed))


def test_half_a_surrogate_pair_becomes_a_replacement_character() -> None:
    headers = Headers([("x-amz-target", "Logs_20140328.FilterLogEvents")])
    body = b'{"logGroupName": "g", "filterPattern": "a\\ud800"}'
    params = take("logs", Request("POST", "/", "", headers, body))
    assert params["filterPattern"] == "a\ufffd"


def test_a_streaming_body_reaches_the_handler_as_an_iterator_unread() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    async def run() -> list[bytes]:
        params = take("s3", Request("PUT", "/bucket/key", "", Headers(), chunks()))
        return [chunk async for chunk in params["Body"]]

    assert asyncio.run(run()) == [b"one", b"two"]
