"""Every operation, both ways, against botocore itself: its serializer makes the request and our parser gives the
parameters back; our serializer makes the response and its parser gives the result back.

Services that Cosset serves are covered whole; a few others only prove protocols and unusual shapes.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from botocore.awsrequest import HeadersDict, prepare_request_dict
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from cosset.wire.message import Headers, Request, Response
from cosset.wire.models import Catalogue, WireService
from cosset.wire.protocols import PROTOCOLS, route

CATALOGUE = Catalogue()
WHOLE = ("lambda", "iam", "sts", "logs")
SOME = {
    "sqs": ("SendMessage", "ReceiveMessage", "SendMessageBatch", "CreateQueue"),
    "sns": ("Publish", "SetTopicAttributes", "CreateTopic", "PublishBatch"),
    "dynamodb": ("PutItem", "Query", "CreateTable"),
    "s3": ("PutObject", "GetObject", "ListObjectsV2", "PutBucketAcl", "GetBucketAcl", "UploadPart", "DeleteObjects"),
    "cloudwatch": ("PutMetricData",),
}
CBOR = "smithy-rpc-v2-cbor"
UNSAYABLE: dict[str, tuple[Any, ...]] = {
    "query": ({}, []),
    "rest-xml": ({}, []),
    "json": (),
    "rest-json": (),
    CBOR: (),
}

PROFILE = settings(
    max_examples=3,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def operations() -> list[tuple[str, str, str]]:
    """Service, operation and protocol: each that botocore lists for the service and that Cosset speaks."""
    chosen = [(name, operation) for name in WHOLE for operation in sorted(CATALOGUE.service(name).operation_names)]
    chosen += [(name, operation) for name, some in SOME.items() for operation in some]
    return [
        (name, operation, protocol)
        for name, operation in chosen
        for protocol in CATALOGUE.service(name).model.metadata["protocols"]
        if protocol in PROTOCOLS
    ]


TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Co"], exclude_characters="\ufffe\uffff"),
    max_size=8,
)
# What headers carry unchanged: printable, and no blank at either end.
HEADER_TEXT = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=8)
LABEL_TEXT = st.text("abcXYZ019-_.~ :$%+é/", min_size=1, max_size=8).filter(lambda text: text.strip("./") == text)
NUMBERS = {"integer": st.integers(-(2**31), 2**31 - 1), "long": st.integers(-(2**63), 2**63 - 1)}
FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)
SECONDS = st.integers(0, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


def values(shape: Any, depth: int = 0, text: Any = TEXT) -> Any:
    """Values of a shape, deep enough to meet every kind, shallow enough to stay small."""
    kind = shape.type_name
    if kind == "structure":
        return structures(shape, depth)
    if kind == "list":
        size = 0 if depth > 3 else 2
        return st.lists(values(shape.member, depth + 1, text), max_size=size)
    if kind == "map":
        size = 0 if depth > 3 else 2
        keys = st.sampled_from(shape.key.enum) if shape.key.enum else text.filter(bool)
        return st.dictionaries(keys, values(shape.value, depth + 1, text), max_size=size)
    if kind == "string":
        return st.sampled_from(shape.enum) if shape.enum else text
    if kind in NUMBERS:
        return NUMBERS[kind]
    if kind in ("float", "double"):
        return FLOATS
    if kind == "boolean":
        return st.booleans()
    if kind == "timestamp":
        return SECONDS
    assert kind == "blob", kind
    return st.binary(max_size=8)


def structures(shape: Any, depth: int = 0) -> Any:
    if getattr(shape, "is_document_type", False):
        return st.just({"any": ["thing", 1, None]})
    required, optional = {}, {}
    for name, member in shape.members.items():
        location = member.serialization.get("location")
        if member.serialization.get("eventstream") or (depth > 3 and name not in shape.required_members):
            continue
        if location == "uri":
            required[name] = values(member, depth + 1, LABEL_TEXT)
        elif location == "header":
            optional[name] = values(member, depth + 1, HEADER_TEXT).filter(lambda value: value != [])
        elif location == "headers":
            # Names of header fields have no case.
            optional[name] = st.dictionaries(HEADER_TEXT.map(str.lower), HEADER_TEXT, min_size=1, max_size=2)
        elif location == "statusCode":
            optional[name] = st.sampled_from([200, 201, 202])
        elif name in shape.required_members:
            required[name] = values(member, depth + 1)
        else:
            optional[name] = values(member, depth + 1)
    if getattr(shape, "is_tagged_union", False):
        return st.sampled_from(sorted(optional)).flatmap(lambda name: st.fixed_dictionaries({name: optional[name]}))
    return st.fixed_dictionaries(required, optional=optional)


def request_of(service: WireService, operation: str, protocol: str, params: dict[str, Any]) -> Request:
    model = service.operation(operation).model
    serializer = create_serializer(protocol, include_validation=False)
    prepared = serializer.serialize_to_request(params, model)
    prepared["context"] = {}
    prepare_request_dict(prepared, "http://127.0.0.1:4566")
    body = prepared["body"]
    if isinstance(body, dict):
        body = urlencode(body).encode()
    body = body.read() if hasattr(body, "read") else body
    url = urlsplit(prepared["url"])
    headers = Headers((name, str(value)) for name, value in prepared["headers"].items())
    return Request(prepared["method"], url.path, url.query, headers, body.encode() if isinstance(body, str) else body)


async def collected(value: Any) -> Any:
    return b"".join([chunk async for chunk in value]) if isinstance(value, AsyncIterator) else value


def pruned(value: Any, protocol: str) -> Any:
    """Drops what a protocol cannot say: a form has no empty structure, a flattened XML list no emptiness. And botocore
    gives some blobs as text."""
    if isinstance(value, dict):
        items = {key: pruned(item, protocol) for key, item in value.items()}
        return {key: item for key, item in items.items() if item not in UNSAYABLE[protocol]}
    if isinstance(value, list):
        return [item for item in (pruned(item, protocol) for item in value) if item not in UNSAYABLE[protocol]]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value


@pytest.mark.parametrize(("name", "operation", "protocol"), operations())
def test_parser_gives_back_what_botocore_was_asked_to_send(name: str, operation: str, protocol: str) -> None:
    service = CATALOGUE.service(name)
    shape = service.operation(operation).model.input_shape

    @seed(1)
    @PROFILE
    @given(structures(shape) if shape is not None else st.just({}))
    def check(params: dict[str, Any]) -> None:
        request = request_of(service, operation, protocol, params)
        routed = route(service, request)
        parsed = routed.protocol.parse(routed, request)
        parsed = {key: asyncio.run(collected(value)) for key, value in parsed.items()}
        assert (routed.operation, routed.protocol.name) == (operation, protocol)
        assert pruned(parsed, protocol) == pruned(as_sent(params, shape), protocol)

    check()


def as_sent(params: dict[str, Any], shape: Any) -> dict[str, Any]:
    """Tells apart no more than the wire does: an empty payload, and an empty list in the query string, are unset;
    a payload that is a structure is sent empty where it is unset."""
    if shape is None:
        return params
    in_query = {name for name, member in shape.members.items() if member.serialization.get("location") == "querystring"}
    kept = {name: value for name, value in params.items() if name not in in_query or value not in ([], {})}
    payload = shape.serialization.get("payload")
    if payload is None:
        return kept
    if shape.members[payload].serialization.get("streaming"):
        return {payload: b"", **kept}
    if shape.members[payload].type_name == "structure":
        return {payload: {}, **kept}
    return {name: value for name, value in kept.items() if name != payload or value not in (b"", "")}


@pytest.mark.parametrize(("name", "operation", "protocol"), operations())
def test_botocore_reads_back_what_the_handler_answered(name: str, operation: str, protocol: str) -> None:
    service = CATALOGUE.service(name)
    model = service.operation(operation).model
    shape = model.output_shape
    parser = create_parser(protocol)
    if service.operation(operation).event_stream_out:
        return  # tests/unit/wire/test_eventstream.py

    @seed(1)
    @PROFILE
    @given(structures(shape) if shape is not None else st.just({}))
    def check(result: dict[str, Any]) -> None:
        response = PROTOCOLS[protocol].serialize(service, operation, result, "request-1")
        parsed = read_by_botocore(parser, response, shape)
        metadata = parsed.pop("ResponseMetadata")
        # botocore looks for no request id in a CBOR answer.
        assert protocol == CBOR or metadata["RequestId"] == "request-1"
        assert pruned(parsed, protocol) == pruned({**always_answered(shape, response), **result}, protocol)

    check()


def always_answered(shape: Any, response: Response) -> dict[str, Any]:
    """What botocore finds in every response: the status, a payload that may be empty, the type of a blob."""
    found: dict[str, Any] = {}
    if shape is not None:
        for name, member in shape.members.items():
            if member.serialization.get("location") == "statusCode":
                found[name] = response.status
            elif member.serialization.get("name") == "Content-Type":
                found[name] = dict(response.headers)["Content-Type"]
        payload = shape.serialization.get("payload")
        if payload is not None:
            found[payload] = {"blob": b"", "string": "", "structure": {}}[shape.members[payload].type_name]
    return found


def read_by_botocore(parser: Any, response: Response, shape: Any) -> dict[str, Any]:
    assert isinstance(response.body, bytes)
    payload = shape.serialization.get("payload") if shape is not None else None
    is_blob = payload is not None and shape.members[payload].type_name == "blob"
    headers = HeadersDict(response.headers)
    body = BytesIO(response.body) if is_blob else response.body
    parsed: dict[str, Any] = parser.parse({"status_code": response.status, "headers": headers, "body": body}, shape)
    if is_blob:
        parsed[payload] = parsed[payload].read()
    parsed["ResponseMetadata"].setdefault("RequestId", headers.get("x-amz-request-id"))
    return parsed
