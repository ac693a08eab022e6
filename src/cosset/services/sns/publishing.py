"""Publish and PublishBatch: the message is checked, and with it every delivery that it leads to is committed.

A FIFO topic gives a message that it has already had in the last five minutes the answer of the first, and nothing more.
Read next: deliveries.py.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from sqlalchemy import delete, insert, select

from cosset.clock import Clock
from cosset.observe.causes import StepKind
from cosset.services.operation import Context, Params, Result, operation
from cosset.services.sns.books import confirmed_subscriptions, need_topic, next_sequence
from cosset.services.sns.deliveries import Deliveries
from cosset.services.sns.endpoints import is_phone_number
from cosset.services.sns.errors import invalid
from cosset.services.sns.filter_policies import FilterPolicies
from cosset.services.sns.message_attributes import read_attributes, size_of
from cosset.services.sns.metering import TopicMeter
from cosset.services.sns.model import Published, Subscription, Topic, TopicKey
from cosset.services.sns.platform_book import EndpointKey, find_endpoint
from cosset.services.sns.requirements import on_publish, topic_of
from cosset.services.sns.structures import StructureError, Texts, read_structure
from cosset.services.sns.tables import sns_deduplications
from cosset.store.database import Store, Transaction
from cosset.wire.errors import OperationNotImplementedError, ServiceError

MAX_BYTES = 262_144
_MAX_ENTRIES = 10
_MAX_SUBJECT = 100
_DEDUPLICATION_MS = 5 * 60 * 1000
_FIRST_NUMBER = 10**19
_ENTRY_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
_TOKEN = re.compile(r"[!-~]{1,128}")


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the publisher is told."""

    message_id: str
    number: str | None


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that is checked in itself: `message` has no number yet, `texts` are what each protocol gets."""

    message: Published
    texts: Texts

    @property
    def size(self) -> int:
        return self.texts.size + size_of(self.message.attributes)


class Publishing:
    def __init__(self, store: Store, deliveries: Deliveries, clock: Clock, meter: TopicMeter) -> None:
        self._store = store
        self.deliveries = deliveries
        self._clock = clock
        self._meter = meter
        self._filters = FilterPolicies()

    @operation("Publish", on_publish)
    async def publish(self, ctx: Context, params: Params) -> Result:
        _check_target(ctx, params)
        await self._refuse_platforms(params)
        member = "TopicArn" if "TopicArn" in params else "TargetArn"
        key = topic_of(ctx, params[member], member)
        draft = self._draft(key, params, "messageAttributes.{}", f"{ctx.scheme}://{ctx.host}", ctx.trace_id or "")
        if draft.size > MAX_BYTES:
            raise invalid("Message too long")
        (accepted,) = await self.accept(key, [draft])
        ctx.led_to(StepKind.TOPIC_MESSAGE, accepted.message_id, key.arn)
        return _shown(accepted)

    @operation("PublishBatch", on_publish)
    async def publish_batch(self, ctx: Context, params: Params) -> Result:
        """A text that is not what its structure says fails by itself; whatever else is wrong refuses them all."""
        key = topic_of(ctx, params["TopicArn"])
        entries: Sequence[Mapping[str, Any]] = params["PublishBatchRequestEntries"]
        _check_entries(entries)
        await self._store.read(lambda tx: need_topic(tx, key))
        drafts: dict[str, Draft] = {}
        failed: list[dict[str, Any]] = []
        for number, each in enumerate(entries, 1):
            place = f"publishBatchRequestEntries.{number}.member.messageAttributes.{{}}"
            try:
                drafts[each["Id"]] = self._draft(key, each, place, f"{ctx.scheme}://{ctx.host}", ctx.trace_id or "")
            except StructureError as error:
                failed.append({"Id": each["Id"], "Code": error.code, "Message": error.message, "SenderFault": True})
        if sum(draft.size for draft in drafts.values()) > MAX_BYTES:
            sentence = "The length of all the messages put together is more than the limit."
            raise ServiceError("BatchRequestTooLong", sentence)
        accepted = await self.accept(key, list(drafts.values())) if drafts else []
        for done in accepted:
            ctx.led_to(StepKind.TOPIC_MESSAGE, done.message_id, key.arn)
        shown = [{"Id": name, **_shown(done)} for name, done in zip(drafts, accepted, strict=True)]
        return {"Successful": shown, "Failed": failed}

    async def _refuse_platforms(self, params: Params) -> None:
        """Raises ServiceError InvalidParameter for an endpoint that is not there; by name for one that is."""
        target = params.get("TargetArn") or ""
        if ":endpoint/" not in target:
            return
        key = EndpointKey.of_arn(target, "TargetArn")
        if await self._store.read(lambda tx: find_endpoint(tx, key)) is None:
            raise invalid("TargetArn Reason: No endpoint found for the target arn specified")
        raise OperationNotImplementedError("sns", "Publish to an endpoint of a platform application")

    async def accept(self, key: TopicKey, drafts: Sequence[Draft]) -> list[Accepted]:
        """Returns when every delivery of these messages is committed. Raises ServiceError."""
        done = await self._store.write(lambda tx: [self._accept(tx, key, draft) for draft in drafts])
        for draft, (_, filtered_out) in zip(drafts, done, strict=True):
            self._meter.published(key, draft.size, filtered_out)
        return [accepted for accepted, _ in done]

    def _accept(self, tx: Transaction, key: TopicKey, draft: Draft) -> tuple[Accepted, int]:
        """And how many subscriptions do not want it."""
        topic = need_topic(tx, key)
        message = draft.message
        if key.is_fifo:
            if message.deduplication_id is None:
                if not topic.deduplicates_by_content:
                    raise invalid(
                        "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId "
                        "provided explicitly"
                    )
                message = replace(message, deduplication_id=hashlib.sha256(message.text.encode()).hexdigest())
            earlier = self._earlier(tx, topic, message)
            if earlier is not None:
                return earlier, 0
            number = next_sequence(tx, key)
            self._remember(tx, topic, message, number)
            message = replace(message, number=_number(number))
        by_text: dict[str, Published] = {}
        wanted: list[tuple[Subscription, Published]] = []
        subscriptions = confirmed_subscriptions(tx, key)
        for subscription in subscriptions:
            text = draft.texts.of(subscription.protocol)
            if self._filters.wants(subscription, text, message.attributes):
                shaped = by_text.get(text)
                if shaped is None:
                    shaped = by_text[text] = replace(message, text=text)
                wanted.append((subscription, shaped))
        self.deliveries.send_all(tx, wanted)
        return Accepted(message.id, message.number), len(subscriptions) - len(wanted)

    def _earlier(self, tx: Transaction, topic: Topic, message: Published) -> Accepted | None:
        columns = sns_deduplications.c
        now_ms = self._clock.now_ms()
        tx.execute(delete(sns_deduplications).where(columns.topic_arn == topic.key.arn, columns.until_ms <= now_ms))
        same = select(sns_deduplications).where(
            columns.topic_arn == topic.key.arn, columns.digest == _digest(topic, message)
        )
        row = tx.execute(same).one_or_none()
        return None if row is None else Accepted(row.message_id, _number(row.sequence))

    def _remember(self, tx: Transaction, topic: Topic, message: Published, number: int) -> None:
        tx.execute(
            insert(sns_deduplications).values(
                topic_arn=topic.key.arn,
                digest=_digest(topic, message),
                message_id=message.id,
                sequence=number,
                until_ms=self._clock.now_ms() + _DEDUPLICATION_MS,
            )
        )

    def _draft(self, key: TopicKey, given: Mapping[str, Any], place: str, url: str, trace_id: str) -> Draft:
        text = given["Message"]
        if not text:
            raise invalid("Empty message")
        subject = given.get("Subject")
        _check_subject(subject)
        _check_order(key, given)
        attributes = read_attributes(given.get("MessageAttributes", {}), place.format("").removesuffix("."))
        texts = read_structure(text, given.get("MessageStructure"))
        message = Published(
            id=str(uuid4()),
            topic_arn=key.arn,
            text=texts.default,
            sent_ms=self._clock.now_ms(),
            url=url,
            subject=subject,
            attributes=attributes,
            group=given.get("MessageGroupId"),
            deduplication_id=given.get("MessageDeduplicationId"),
            trace_id=trace_id,
        )
        return Draft(message, texts)


def _check_target(ctx: Context, params: Params) -> None:
    """What is published to is one topic. Raises ServiceError InvalidParameter, or says by name what is not there."""
    number, target = params.get("PhoneNumber"), params.get("TargetArn")
    if number is not None:
        if not number.startswith("+") or not is_phone_number(number):
            raise invalid(f"PhoneNumber Reason: {number} is not valid to publish to")
        raise OperationNotImplementedError("sns", "Publish to a PhoneNumber")
    if target is None and "TopicArn" not in params:
        raise invalid("TopicArn or TargetArn Reason: no value for required parameter")


def _check_subject(subject: str | None) -> None:
    if subject is None:
        return
    plain = subject.isprintable() and not subject[:1].isspace()
    if not subject or len(subject) > _MAX_SUBJECT or not plain:
        raise invalid("Subject")


def _check_order(key: TopicKey, given: Mapping[str, Any]) -> None:
    """Recorded: test_validations_for_fifo."""
    group, token = given.get("MessageGroupId"), given.get("MessageDeduplicationId")
    if key.is_fifo and not group:
        raise invalid("The MessageGroupId parameter is required for FIFO topics")
    if not key.is_fifo and token is not None:
        raise invalid(
            "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid "
            "for this topic type"
        )
    for name, value in (("MessageGroupId", group), ("MessageDeduplicationId", token)):
        if value is not None and not _TOKEN.fullmatch(value):
            raise invalid(f"{name} Reason: Invalid value")


def _check_entries(entries: Sequence[Mapping[str, Any]]) -> None:
    if not entries:
        raise ServiceError("EmptyBatchRequest", "The batch request doesn't contain any entries.")
    if len(entries) > _MAX_ENTRIES:
        sentence = "The batch request contains more entries than permissible."
        raise ServiceError("TooManyEntriesInBatchRequest", sentence)
    ids = [str(each["Id"]) for each in entries]
    if not all(_ENTRY_ID.fullmatch(each) for each in ids):
        sentence = (
            "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
            "It can be at most 80 letters long."
        )
        raise ServiceError("InvalidBatchEntryId", sentence)
    if len(set(ids)) != len(ids):
        sentence = "Two or more batch entries in the request have the same Id."
        raise ServiceError("BatchEntryIdsNotDistinct", sentence)


def _digest(topic: Topic, message: Published) -> str:
    scope = f"{message.group}\n" if topic.deduplicates_by_group else ""
    return hashlib.sha256(f"{scope}{message.deduplication_id}".encode()).hexdigest()


def _number(sequence: int) -> str:
    """Twenty digits, as AWS's."""
    return str(_FIRST_NUMBER + sequence)


def _shown(accepted: Accepted) -> dict[str, str]:
    shown = {"MessageId": accepted.message_id}
    return shown if accepted.number is None else {**shown, "SequenceNumber": accepted.number}
