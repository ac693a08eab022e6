"""What the record of an ended event looks like where it is wrapped: as an event on a bus, as an object in a bucket.

For the services that implement a Destination, and for the doubles in testing/. Queues, topics and functions take the
record as it is. Sources: recorded TestLambdaDestinationEventbridge::test_invoke_lambda_eventbridge; AWS Lambda
developer guide, "Capturing records of Lambda asynchronous invocations".
"""

import time
from dataclasses import dataclass

from cosset.invocation.destinations import Delivery
from cosset.invocation.ending import Condition

SOURCE = "lambda"


@dataclass(frozen=True, slots=True, kw_only=True)
class BusEvent:
    """An entry for PutEvents; `detail` is a JSON text."""

    source: str
    detail_type: str
    detail: str
    resources: tuple[str, ...]
    time_ms: int


def write_bus_event(delivery: Delivery) -> BusEvent:
    """`aws.` does not stand before the source: so recorded."""
    outcome = "Success" if delivery.condition == Condition.SUCCESS.value else "Failure"
    return BusEvent(
        source=SOURCE,
        detail_type=f"Lambda Function Invocation Result - {outcome}",
        detail=delivery.body.decode(),
        resources=(delivery.target_arn, delivery.source_arn),
        time_ms=delivery.sent_ms,
    )


def name_object(delivery: Delivery) -> str:
    """The key of the object; the same for every attempt, so that a record that comes twice is there once.

    Whoever gave up records of a stream has named theirs (triggers/failure_records.py).
    """
    if "Key" in delivery.attributes:
        return delivery.attributes["Key"]
    name = delivery.source_arn.split(":")[6]
    sent = time.gmtime(delivery.sent_ms / 1000)
    day, second = time.strftime("%Y/%m/%d", sent), time.strftime("%Y-%m-%dT%H.%M.%S", sent)
    return f"aws/lambda/async/{name}/{day}/{second}-{delivery.id}"
