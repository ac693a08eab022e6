"""How records look on a bus and in a bucket."""

import asyncio
import json
from dataclasses import replace

from cosset.invocation.destination_shapes import BusEvent
from cosset.invocation.destinations import Delivery
from cosset.testing.destination import RecordingBucket, RecordingBus

FUNCTION = "arn:aws:lambda:us-east-1:111111111111:function:fn:$LATEST"


def delivery(target: str, condition: str) -> Delivery:
    return Delivery(
        id="d-1",
        target_arn=target,
        source_arn=FUNCTION,
        condition=condition,
        role="",
        trace_id="",
        sent_ms=1_763_700_000_123,
        body=json.dumps({"version": "1.0"}).encode(),
    )


def test_events_on_a_bus_say_how_the_invocation_ended() -> None:
    # recorded: TestLambdaDestinationEventbridge::test_invoke_lambda_eventbridge
    bus, arn = RecordingBus(), "arn:aws:events:us-east-1:111111111111:event-bus/mine"
    for condition in ("Success", "RetriesExhausted", "EventAgeExceeded"):
        asyncio.run(bus.deliver(delivery(arn, condition)))
    assert [event.detail_type.rpartition(" ")[2] for event in bus.events] == ["Success", "Failure", "Failure"]
    assert bus.events[0] == BusEvent(
        source="lambda",
        detail_type="Lambda Function Invocation Result - Success",
        detail='{"version": "1.0"}',
        resources=(arn, FUNCTION),
        time_ms=1_763_700_000_123,
    )


def test_a_record_that_comes_twice_is_one_object() -> None:
    bucket = RecordingBucket()
    for _ in range(2):
        asyncio.run(bucket.deliver(delivery("arn:aws:s3:::records", "RetriesExhausted")))
    assert bucket.objects == {
        "aws/lambda/async/fn/2025/11/21/2025-11-21T04.40.00-d-1": b'{"version": "1.0"}',
    }


def test_objects_may_bring_their_key() -> None:
    """Records of streams do; those of events are named alike over every attempt."""
    bucket = RecordingBucket()
    named = replace(delivery("arn:aws:s3:::b", "RetryAttemptsExhausted"), attributes={"Key": "aws/lambda/uuid/shard/x"})
    asyncio.run(bucket.deliver(named))
    for _ in range(2):
        asyncio.run(bucket.deliver(delivery("arn:aws:s3:::b", "RetriesExhausted")))
    assert list(bucket.objects) == ["aws/lambda/uuid/shard/x", "aws/lambda/async/fn/2025/11/21/2025-11-21T04.40.00-d-1"]
