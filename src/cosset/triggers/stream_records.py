"""Records of Kinesis and of DynamoDB Streams as functions get them, and as filters see them. Pure.

For the services that will be sources; none is here yet. Recorded: TestKinesisSource::test_kinesis_event_source_trim_
horizon and TestDynamoDBEventSourceMapping::test_dynamodb_event_filter. A function gets the data of a Kinesis record in
base64; a filter sees it decoded, under `data`, beside the record's other members.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

from cosset.triggers.sources import Record


def kinesis_record(
    stream_arn: str,
    shard_id: str,
    *,
    sequence_number: str,
    partition_key: str,
    data: bytes,
    arrived_ms: int,
    role_arn: str,
) -> Record:
    """`role_arn`: the function's, which the record names."""
    kinesis: dict[str, Any] = {
        "kinesisSchemaVersion": "1.0",
        "partitionKey": partition_key,
        "sequenceNumber": sequence_number,
        "data": base64.b64encode(data).decode(),
        "approximateArrivalTimestamp": arrived_ms / 1000,
    }
    shown = {
        "kinesis": kinesis,
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{shard_id}:{sequence_number}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": role_arn,
        "awsRegion": stream_arn.split(":")[3],
        "eventSourceARN": stream_arn,
    }
    return Record(
        id=sequence_number,
        encoded=_encode(shown),
        metadata={**shown, **kinesis},
        content_key="data",
        content=data.decode(errors="replace"),
        key=partition_key,
        arrived_ms=arrived_ms,
    )


def dynamodb_record(
    stream_arn: str, *, event_id: str, event_name: str, change: Mapping[str, Any], arrived_ms: int
) -> Record:
    """`change` is what the record calls `dynamodb`: Keys, NewImage, OldImage, SequenceNumber, SizeBytes ..., in AWS's
    JSON of attributes. Records of one item are in order."""
    shown = {
        "eventID": event_id,
        "eventName": event_name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": stream_arn.split(":")[3],
        "dynamodb": {"ApproximateCreationDateTime": arrived_ms / 1000, **change},
        "eventSourceARN": stream_arn,
    }
    return Record(
        id=str(change["SequenceNumber"]),
        encoded=_encode(shown),
        metadata=shown,
        key=json.dumps(change["Keys"], sort_keys=True),
        arrived_ms=arrived_ms,
    )


def _encode(shown: Mapping[str, Any]) -> bytes:
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogatepass")
