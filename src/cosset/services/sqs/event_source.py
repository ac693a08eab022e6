"""Queues as an event source: how the engine fetches and settles messages, and what a function gets of one.

Recorded: test_message_body_and_attributes_passed_correctly, test_sqs_event_source_mapping_batch_size. Read next:
triggers/sources.py, the port; triggers/queue_poller.py, who calls.
"""

import asyncio
import base64
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from cosset.services.sqs.digests import attributes_digest, body_digest
from cosset.services.sqs.model import AttributeValue, ReceivedMessage
from cosset.services.sqs.moves import standing_key
from cosset.services.sqs.queues import Queues
from cosset.triggers.sources import Record

logger = logging.getLogger(__name__)

AT_ONCE = 100
"""Most messages that are settled in one transaction."""


class QueueEventSource:
    """Implements triggers.sources.QueueSource."""

    actions = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")

    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    async def exists(self, arn: str) -> bool:
        return await self._queues.facts(arn) is not None

    async def visibility_s(self, arn: str) -> int | None:
        facts = await self._queues.facts(arn)
        return None if facts is None else facts.visibility_s

    async def receive(self, arn: str, *, limit: int, wait_s: float, cancelled: asyncio.Event) -> Sequence[Record]:
        received = await self._queues.receive(arn, max_messages=min(limit, AT_ONCE), wait_s=wait_s, cancelled=cancelled)
        return [to_record(arn, message) for message in received]

    async def delete(self, arn: str, records: Sequence[Record]) -> None:
        for some in _some(records):
            answers = await self._queues.delete_batch(arn, [record.receipt for record in some])
            for record, error in zip(some, answers, strict=True):
                if error is not None:
                    logger.info("message %s of %s may come again: %s", record.id, arn, error.message)

    async def give_back(self, arn: str, records: Sequence[Record]) -> None:
        for some in _some(records):
            await self._queues.change_visibility_batch(arn, [(record.receipt, 0) for record in some])


def to_record(arn: str, message: ReceivedMessage) -> Record:
    """As AWS shows a message to a function."""
    shown: dict[str, Any] = {
        "messageId": message.id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": dict(message.system),
        "messageAttributes": {name: _attribute(value) for name, value in message.attributes.items()},
        "md5OfMessageAttributes": attributes_digest(message.attributes),
        "md5OfBody": body_digest(message.body),
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": arn.split(":")[3],
    }
    return Record(
        id=message.id,
        encoded=json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogatepass"),
        metadata=shown,
        content_key="body",
        content=message.body,
        key=message.system.get("MessageGroupId"),
        arrived_ms=int(message.system.get("SentTimestamp", "0")),
        trace_id=message.system.get("AWSTraceHeader", ""),
        receipt=message.receipt_handle,
        cause=standing_key(message.id, arn, message.system.get("DeadLetterQueueSourceArn")),
    )


def _attribute(value: AttributeValue) -> Mapping[str, Any]:
    shown: dict[str, Any] = {}
    if value.binary is not None:
        shown["binaryValue"] = base64.b64encode(value.binary).decode()
    else:
        shown["stringValue"] = value.string
    return shown | {"stringListValues": [], "binaryListValues": [], "dataType": value.data_type}


def _some(records: Sequence[Record]) -> Sequence[Sequence[Record]]:
    return [records[at : at + AT_ONCE] for at in range(0, len(records), AT_ONCE)]
