"""Records of streams, field by field as AWS shows them."""

import json
from typing import Any

import pytest

from cosset.triggers.filters import Criteria
from cosset.triggers.stream_records import dynamodb_record, kinesis_record

STREAM = "arn:aws:kinesis:eu-west-1:111111111111:stream/s"
TABLE = "arn:aws:dynamodb:eu-west-1:111111111111:table/t/stream/2025-02-22T03:03:25.490"
NUMBERS = {"N": [{"numeric": [">", 100]}, {"anything-but": "101"}]}
ROLE = "arn:aws:iam::111111111111:role/r"


def kinesis(data: bytes) -> Any:
    return kinesis_record(
        STREAM,
        "shardId-000000000000",
        sequence_number="49",
        partition_key="test",
        data=data,
        arrived_ms=1_545_084_650_987,
        role_arn=ROLE,
    )


def dynamodb(**image: Any) -> Any:
    change = {
        "Keys": {"id": {"S": "a"}},
        "NewImage": {"id": {"S": "a"}, **image},
        "SequenceNumber": "111",
        "SizeBytes": 20,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    return dynamodb_record(TABLE, event_id="e", event_name="INSERT", change=change, arrived_ms=1_545_084_650_000)


def test_a_record_of_kinesis() -> None:
    # recorded: test_kinesis_report_batch_item_success_scenarios[empty_list_success]
    record = kinesis(b"hello")
    assert json.loads(record.encoded) == {
        "awsRegion": "eu-west-1",
        "eventID": "shardId-000000000000:49",
        "eventName": "aws:kinesis:record",
        "eventSource": "aws:kinesis",
        "eventSourceARN": STREAM,
        "eventVersion": "1.0",
        "invokeIdentityArn": ROLE,
        "kinesis": {
            "approximateArrivalTimestamp": 1545084650.987,
            "data": "aGVsbG8=",
            "kinesisSchemaVersion": "1.0",
            "partitionKey": "test",
            "sequenceNumber": "49",
        },
    }
    assert (record.id, record.key) == ("49", "test")


def test_a_record_of_dynamodb() -> None:
    # recorded: test_dynamodb_event_filter[insert_same_entry_twice]
    record = dynamodb()
    assert json.loads(record.encoded) == {
        "awsRegion": "eu-west-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1545084650.0,
            "Keys": {"id": {"S": "a"}},
            "NewImage": {"id": {"S": "a"}},
            "SequenceNumber": "111",
            "SizeBytes": 20,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventID": "e",
        "eventName": "INSERT",
        "eventSource": "aws:dynamodb",
        "eventSourceARN": TABLE,
        "eventVersion": "1.1",
    }
    assert record.id == "111"


@pytest.mark.parametrize(
    ("pattern", "data", "taken"),
    [
        # recorded: test_kinesis_event_filtering_json_pattern
        ({"data": {"event_type": ["function_1"]}}, b'{"event_type": "function_1", "message": "foo"}', True),
        ({"data": {"event_type": ["function_1"]}}, b'{"event_type": "function_2"}', False),
        ({"data": {"event_type": ["function_1"]}}, b"no json", False),
        ({"data": {"event_type": ["function_1"]}}, b"\xff\xfe", False),
        ({"partitionKey": ["test"]}, b"no json", True),
        ({"partitionKey": ["other"]}, b"{}", False),
    ],
)
def test_filters_on_kinesis(pattern: Any, data: bytes, taken: bool) -> None:
    assert Criteria.compile([json.dumps(pattern)]).takes(kinesis(data)) is taken


@pytest.mark.parametrize(
    ("pattern", "image", "taken"),
    [
        # recorded: test_dynamodb_event_filter, by its cases
        ({"eventName": ["INSERT"], "eventSource": ["aws:dynamodb"]}, {}, True),
        ({"eventName": ["INSERT", "MODIFY"]}, {}, True),
        ({"dynamodb": {"NewImage": {"presentKey": {"S": ["presentValue"]}}}}, {"presentKey": {"S": "x"}}, False),
        ({"dynamodb": {"NewImage": {"presentKey": {"S": [{"exists": True}]}}}}, {"presentKey": {"S": "x"}}, True),
        ({"dynamodb": {"NewImage": {"presentKey": [{"exists": False}]}}}, {}, True),
        (
            {"dynamodb": {"NewImage": {"n": NUMBERS}}},
            {"n": {"N": "42"}},
            True,
        ),
        (
            {"dynamodb": {"NewImage": {"n": NUMBERS}}},
            {"n": {"N": "101"}},
            False,
        ),
        ({"dynamodb": {"NewImage": {"prefix": {"S": [{"prefix": "us-1"}]}}}}, {"prefix": {"S": "us-1-x"}}, True),
    ],
)
def test_filters_on_dynamodb(pattern: Any, image: Any, taken: bool) -> None:
    assert Criteria.compile([json.dumps(pattern)]).takes(dynamodb(**image)) is taken
