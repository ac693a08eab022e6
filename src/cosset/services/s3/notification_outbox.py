"""The outbox of notifications: who is to hear of an object is noted in the transaction that makes or changes it.

A function that is known to take what the bucket says gets its event in that transaction; all else waits in the outbox.
Notes the target, the bucket's owner and the text: what is configured later changes nothing of what happened before.
Read next: notification_worker.py, which delivers; notification_records.py, the texts.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from cosset.observe.causes import StepKind, key_of
from cosset.services.s3.bucket_book import read_setting
from cosset.services.s3.model import Bucket
from cosset.services.s3.notification_model import BUS, KIND, Rule, Target, TargetKind, rules_of
from cosset.services.s3.notification_ports import BusEntry, EventBus, NearTargets, Notification, Source
from cosset.services.s3.notification_records import write_bus_event, write_event, write_test_event
from cosset.services.s3.ports import ObjectEvent
from cosset.store.queue import DurableQueue
from cosset.store.transaction import Transaction


class NotificationOutbox:
    """Implements ports.ObjectEvents."""

    def __init__(self, queue: DurableQueue, bus: EventBus | None = None, near: NearTargets | None = None) -> None:
        self._queue = queue
        self._near = near
        self.bus = bus

    def happened(self, tx: Transaction, event: ObjectEvent) -> None:
        document = read_setting(tx, event.bucket.name, KIND)
        if document is None:
            return
        name, source = f"s3:{event.name}", Source.of(event.bucket)
        for rule in rules_of(document):
            if rule.takes(name, event.key):
                self._tell(tx, rule, source, event)
        if BUS in document and self.bus is not None:
            self._tell_bus(tx, self.bus, event)

    def send_tests(self, tx: Transaction, bucket: Bucket, rules: Sequence[Rule], request_id: str, now_ms: int) -> None:
        """The test event to every queue and topic of the rules."""
        text = write_test_event(bucket.name, request_id, now_ms)
        for rule in rules:
            if rule.target.kind is not TargetKind.FUNCTION:
                self._send(tx, rule.target, Source.of(bucket), text, "")

    def _tell(self, tx: Transaction, rule: Rule, source: Source, event: ObjectEvent) -> None:
        text, cause = write_event(event, rule.id), key_of(event.step_id, StepKind.OBJECT)
        if self._near is not None and rule.target.kind is TargetKind.FUNCTION:
            notification = Notification(
                id=str(uuid4()),
                target=rule.target,
                source=source,
                text=text,
                trace_id=event.trace_id,
                cause=cause,
            )
            if self._near.deliver_within(tx, notification):
                return
        self._send(tx, rule.target, source, text, event.trace_id, cause)

    def _send(self, tx: Transaction, target: Target, source: Source, text: str, trace_id: str, cause: str = "") -> None:
        self._queue.send(tx, pack(target, source, text, trace_id, cause))

    def _tell_bus(self, tx: Transaction, bus: EventBus, event: ObjectEvent) -> None:
        detail_type, detail = write_bus_event(event)
        entry = BusEntry(
            account=event.bucket.account,
            region=event.bucket.region,
            source="aws.s3",
            detail_type=detail_type,
            detail=detail,
            resources=(event.bucket.arn,),
            time_ms=event.now_ms,
            trace_id=event.trace_id,
        )
        bus.put(tx, entry)


def pack(target: Target, source: Source, text: str, trace_id: str, cause: str = "") -> bytes:
    """A JSON line, then the text as it is."""
    head = {
        "kind": target.kind.name,
        "arn": target.arn,
        "bucket": source.bucket_arn,
        "account": source.account,
        "trace": trace_id,
        "cause": cause,
    }
    return json.dumps(head, separators=(",", ":")).encode() + b"\n" + text.encode()


def unpack(message_id: str, body: bytes) -> Notification:
    line, _, text = body.partition(b"\n")
    head: Mapping[str, Any] = json.loads(line)
    return Notification(
        id=message_id,
        target=Target(TargetKind[head["kind"]], head["arn"]),
        source=Source(bucket_arn=head["bucket"], account=head["account"]),
        text=text.decode(),
        trace_id=head["trace"],
        cause=head.get("cause", ""),
    )
