"""Event streams: what we write, botocore's own reader reads."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer
from botocore.parsers import EventStreamJSONParser, EventStreamXMLParser

from cosset.wire.errors import ServiceError
from cosset.wire.eventstream import MAX_PAYLOAD_BYTES, encode_frame
from cosset.wire.models import Catalogue
from cosset.wire.protocols import PROTOCOLS

CATALOGUE = Catalogue()


async def stream(*events: Any) -> AsyncIterator[Any]:
    for event in events:
        if isinstance(event, Exception):
            raise event
        yield event


def frames_of(protocol: str, service: str, operation: str, result: dict[str, Any]) -> list[Any]:
    """The frames of the answer, read with their checksums by botocore."""
    response = PROTOCOLS[protocol].serialize(CATALOGUE.service(service), operation, result, "request-1")
    assert ("Content-Type", "application/vnd.amazon.eventstream") in response.headers

    async def read() -> list[Any]:
        buffer = EventStreamBuffer()
        assert not isinstance(response.body, bytes)
        async for chunk in response.body:
            buffer.add_data(chunk)
        return list(buffer)

    return asyncio.run(read())


def read_by_botocore(parser: Any, service: str, operation: str, frames: list[Any]) -> list[Any]:
    shape: Any = CATALOGUE.service(service).operation(operation).model.get_event_stream_output()
    return [parser.parse(frame.to_response_dict(), shape) for frame in frames]


def test_lambda_streams_payload_chunks_and_the_end() -> None:
    events = [
        {"PayloadChunk": {"Payload": b"one"}},
        {"PayloadChunk": {"Payload": b"\x00\xff"}},
        {"InvokeComplete": {"ErrorCode": "Unhandled", "ErrorDetails": "boom", "LogResult": "bG9n"}},
    ]
    result = {"StatusCode": 200, "ExecutedVersion": "$LATEST", "EventStream": stream(*events)}
    frames = frames_of("rest-json", "lambda", "InvokeWithResponseStream", result)
    assert read_by_botocore(EventStreamJSONParser(), "lambda", "InvokeWithResponseStream", frames) == events


def test_the_other_members_of_the_answer_are_headers() -> None:
    result = {"ExecutedVersion": "7", "EventStream": stream()}
    response = PROTOCOLS["rest-json"].serialize(
        CATALOGUE.service("lambda"), "InvokeWithResponseStream", result, "request-1"
    )
    assert ("X-Amz-Executed-Version", "7") in response.headers


def test_an_rpc_protocol_sends_an_initial_response_first() -> None:
    events = [{"sessionStart": {"requestId": "r", "logGroupIdentifiers": ["g"]}}]
    frames = frames_of("json", "logs", "StartLiveTail", {"responseStream": stream(*events)})
    assert frames[0].headers[":event-type"] == "initial-response"
    assert frames[0].payload == b"{}"
    assert read_by_botocore(EventStreamJSONParser(), "logs", "StartLiveTail", frames[1:]) == events


def test_rest_xml_events() -> None:
    events = [
        {"Records": {"Payload": b"a,b\n"}},
        {"Stats": {"Details": {"BytesScanned": 1, "BytesProcessed": 2, "BytesReturned": 3}}},
        {"End": {}},
    ]
    frames = frames_of("rest-xml", "s3", "SelectObjectContent", {"Payload": stream(*events)})
    assert read_by_botocore(EventStreamXMLParser(), "s3", "SelectObjectContent", frames) == events


def test_a_modelled_error_in_the_stream_is_an_exception_frame() -> None:
    error = ServiceError("SessionTimeoutException", "too long")
    (_, frame) = frames_of("json", "logs", "StartLiveTail", {"responseStream": stream(error)})
    assert frame.headers[":message-type"] == "exception"
    assert frame.headers[":exception-type"] == "SessionTimeoutException"
    assert frame.payload == b'{"message":"too long"}'
    assert frame.to_response_dict()["status_code"] == 400


def test_an_unmodelled_error_in_the_stream_is_an_error_frame() -> None:
    error = ServiceError("ServiceUnavailable", "later")
    (frame,) = frames_of("rest-json", "lambda", "InvokeWithResponseStream", {"EventStream": stream(error)})
    assert frame.headers == {
        ":message-type": "error",
        ":error-code": "ServiceUnavailable",
        ":error-message": "later",
    }


def test_an_event_that_the_stream_does_not_have_is_a_bug() -> None:
    with pytest.raises(ValueError, match="no event Nothing"):
        frames_of("rest-json", "lambda", "InvokeWithResponseStream", {"EventStream": stream({"Nothing": {}})})


def test_every_type_of_header() -> None:
    moment = datetime(2024, 5, 6, 7, 8, 9, 250_000, tzinfo=UTC)
    headers = [("yes", True), ("no", False), ("n", -5), ("big", 2**40), ("raw", b"\x00"), ("text", "é"), ("at", moment)]
    buffer = EventStreamBuffer()
    buffer.add_data(encode_frame(headers, b"body"))
    (frame,) = buffer
    assert frame.payload == b"body"
    assert frame.headers == dict(headers) | {"at": 1714979289250}


def test_a_payload_that_fits_no_frame_is_a_bug() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        encode_frame([], bytes(MAX_PAYLOAD_BYTES + 1))
