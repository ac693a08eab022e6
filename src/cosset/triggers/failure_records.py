"""What an on-failure destination gets of records that were given up: AWS's shapes, for queues, topics and buckets.

Queues and topics get where the records are, a bucket the records themselves besides. Pure. Recorded:
TestKinesisSource::test_kinesis_event_source_mapping_with_on_failure_destination_config, ..._with_s3_on_failure_...,
TestDynamoDBEventSourceMapping::test_dynamodb_event_source_mapping_with_sns_on_failure_destination_config. AWS writes
down no word for records that grew too old; ours follows the one of asynchronous events.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from cosset.invocation.api import InvocationResult
from cosset.triggers.batching import write_event
from cosset.triggers.sources import Record


class Condition(Enum):
    RETRIES = "RetryAttemptsExhausted"
    AGE = "RecordAgeExceeded"


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """Records of one shard that were given up. `info_key` is the source's; `calls` counts how often the function had
    them; `result` is its last answer, None when it was never reached."""

    info_key: str
    stream_arn: str
    shard_id: str
    function_arn: str
    records: Sequence[Record]
    condition: Condition
    calls: int
    request_id: str
    result: InvocationResult | None
    now_ms: int


def write_failure(given_up: GivenUp, *, with_payload: bool) -> bytes:
    """The record. `with_payload`: for a bucket."""
    first, last = given_up.records[0], given_up.records[-1]
    time_of = millis if given_up.info_key == "KinesisBatchInfo" else seconds
    record: dict[str, Any] = {
        "requestContext": {
            "requestId": given_up.request_id,
            "functionArn": given_up.function_arn,
            "condition": given_up.condition.value,
            "approximateInvokeCount": given_up.calls,
        },
        "version": "1.0",
        "timestamp": millis(given_up.now_ms),
        given_up.info_key: {
            "shardId": given_up.shard_id,
            "startSequenceNumber": first.id,
            "endSequenceNumber": last.id,
            "approximateArrivalOfFirstRecord": time_of(first.arrived_ms),
            "approximateArrivalOfLastRecord": time_of(last.arrived_ms),
            "batchSize": len(given_up.records),
            "streamArn": given_up.stream_arn,
        },
    }
    if given_up.result is not None:
        record["responseContext"] = {
            "statusCode": 200,
            "executedVersion": given_up.result.executed_version,
            "functionError": given_up.result.function_error,
        }
    text = json.dumps(record, separators=(",", ":")).encode()
    return text[:-1] + b',"payload":' + write_event(given_up.records) + b"}" if with_payload else text


def object_key(uuid: str, shard_id: str, now_ms: int, unique: str) -> str:
    """How a bucket's object is called. Source: AWS Lambda developer guide, "Retain discarded batch records"."""
    moment = datetime.fromtimestamp(now_ms / 1000, UTC)
    return f"aws/lambda/{uuid}/{shard_id}/{moment:%Y/%m/%d}/{moment:%Y-%m-%dT%H.%M.%S}-{unique}"


def millis(at_ms: int) -> str:
    """2019-11-14T00:38:06.021Z"""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def seconds(at_ms: int) -> str:
    """2019-11-14T00:38:06Z"""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
