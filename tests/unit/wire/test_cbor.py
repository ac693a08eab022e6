"""CBOR and rpc-v2-cbor: what is read and written, and what is refused of hostile bodies."""

import math

import pytest

from cosset.wire.cbor import EpochSeconds, dump_cbor, load_cbor
from cosset.wire.errors import SerializationError, ServiceError
from cosset.wire.message import Headers, Request
from cosset.wire.models import Catalogue
from cosset.wire.protocols import protocol_of, route

CLOUDWATCH = Catalogue().service("cloudwatch")
HEADERS = {"smithy-protocol": "rpc-v2-cbor", "content-type": "application/cbor"}


def request(operation: str, body: bytes, **headers: str) -> Request:
    path = f"/service/GraniteServiceVersion20100801/operation/{operation}"
    return Request("POST", path, "", Headers({**HEADERS, **headers}.items()), body)


@pytest.mark.parametrize(
    "value",
    [
        *(0, 23, 24, 255, 256, 65536, 2**32, 2**64 - 1, -1, -24, -(2**63), 1.5, math.inf, True, False, None),
        *("", "ü" * 300, b"\x00\xff", [], [1, [2, {"a": None}]], {"": {"b": [b""]}}),
    ],
)
def test_what_is_written_is_read(value: object) -> None:
    assert load_cbor(dump_cbor(value)) == value


def test_points_in_time_are_tagged() -> None:
    assert dump_cbor(EpochSeconds(0)) == b"\xc1\x00"
    assert load_cbor(b"\xc1\xfb\x41\xcc\x37\xdb\x38\x0f\xbe\x77") == pytest.approx(946845296.123)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"\xff", b"\x62a", b"\x01\x02", b"\x1c", b"\xa1\x01\x02", b"\x9f", b"\xbf\x61", b"\xd8\x20\x61a"),
        *(b"\x9b" + b"\xff" * 8, b"\x5b" + b"\xff" * 8, b"\xbb" + b"\xff" * 8, b"\x7f\x01\xff", b"\x62\xff\xff"),
        *(b"\x81" * 5000, b"\x9f" * 5000, b"\xc1" * 5000, b"\xf8\x20", b"\x1f", b"\xc1\x61a", b"\xa1\x80\x01"),
    ],
)
def test_what_is_no_cbor_is_refused(body: bytes) -> None:
    with pytest.raises(SerializationError):
        load_cbor(body)


def test_a_call_is_routed_parsed_and_answered() -> None:
    sent = request("ListMetrics", dump_cbor({"Namespace": "a", "Dimensions": [{"Name": "n"}]}))
    routed = route(CLOUDWATCH, sent)
    assert routed.protocol.parse(routed, sent) == {"Namespace": "a", "Dimensions": [{"Name": "n"}]}
    answer = routed.protocol.serialize(CLOUDWATCH, "ListMetrics", {"Metrics": []}, "id")
    assert isinstance(answer.body, bytes)
    assert load_cbor(answer.body) == {"Metrics": []}


def test_errors_carry_the_code_of_the_query_protocol() -> None:
    protocol = protocol_of(CLOUDWATCH, request("X", b""))
    answer = protocol.serialize_error(CLOUDWATCH, None, ServiceError("InvalidParameterValue", "no"), "id")
    assert isinstance(answer.body, bytes)
    body = load_cbor(answer.body)
    assert body["__type"].endswith("#InvalidParameterValueException")
    assert body["message"] == "no"
    assert dict(answer.headers)["x-amzn-query-error"] == "InvalidParameterValue;Sender"
    assert answer.status == 400


@pytest.mark.parametrize("operation", ["Nothing", "ListMetrics/x"])
def test_an_operation_that_is_not_there_is_refused(operation: str) -> None:
    with pytest.raises(ServiceError) as caught:
        route(CLOUDWATCH, request(operation, b""))
    assert caught.value.code == "UnknownOperationException"


def test_wrong_types_are_refused() -> None:
    sent = request("ListMetrics", dump_cbor({"Namespace": 1}))
    routed = route(CLOUDWATCH, sent)
    with pytest.raises(SerializationError):
        routed.protocol.parse(routed, sent)
    with pytest.raises(SerializationError):
        routed.protocol.parse(routed, request("ListMetrics", b"{}", **{"content-type": "application/json"}))
