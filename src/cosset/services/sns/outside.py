"""Topics for the rooms that publish on somebody's behalf: Lambda's destinations, and services (S3, CloudWatch alarms).

Whoever calls a destination has asked what the function's role allows; for a service the topic's own policy decides.
"""

from uuid import uuid4

from cosset.clock import Clock
from cosset.identity.ports import Authorizer
from cosset.identity.service_callers import ServiceCaller
from cosset.invocation.destinations import Delivery, DeliveryRefusedError
from cosset.services.sns.books import find_topic
from cosset.services.sns.model import MessageAttribute, Published, TopicKey
from cosset.services.sns.publishing import MAX_BYTES, Draft, Publishing
from cosset.services.sns.structures import Texts
from cosset.store.database import Store
from cosset.wire.errors import ServiceError

_NUMBERS = frozenset({"ErrorCode"})


class TopicDestination:
    """Implements invocation.destinations.Destination. FIFO topics are none, as on AWS."""

    action = "sns:Publish"

    def __init__(self, store: Store, publishing: Publishing, clock: Clock, url: str) -> None:
        """`url` is where links in messages begin."""
        self._store = store
        self._publishing = publishing
        self._clock = clock
        self._url = url

    async def accepts(self, target_arn: str, *, source_arn: str) -> bool:
        try:
            key = TopicKey.of_arn(target_arn)
        except ServiceError:
            return False
        if key.is_fifo or key.region != source_arn.split(":")[3]:
            return False
        return await self._store.read(lambda tx: find_topic(tx, key)) is not None

    async def deliver(self, delivery: Delivery) -> None:
        key = TopicKey.of_arn(delivery.target_arn)
        attributes = {
            name: MessageAttribute("Number" if name in _NUMBERS else "String", value)
            for name, value in delivery.attributes.items()
        }
        text = delivery.body.decode("utf-8", "replace")
        message = Published(
            id=delivery.id,
            topic_arn=key.arn,
            text=text,
            sent_ms=self._clock.now_ms(),
            url=self._url,
            attributes=attributes,
            trace_id=delivery.trace_id,
        )
        draft = Draft(message, Texts(text, size=len(delivery.body)))
        if draft.size > MAX_BYTES:
            raise DeliveryRefusedError("the record is larger than a message may be")
        try:
            await self._publishing.accept(key, [draft])
        except ServiceError as error:
            if error.code == "NotFound":
                raise DeliveryRefusedError(error.message) from error
            raise


class TopicPublisher:
    """Publishes for services of AWS, which the topic's policy must let in."""

    def __init__(self, publishing: Publishing, authorizer: Authorizer, clock: Clock, url: str) -> None:
        self._publishing = publishing
        self._authorizer = authorizer
        self._clock = clock
        self._url = url

    async def publish(
        self,
        topic_arn: str,
        text: str,
        *,
        principal: str,
        source_arn: str,
        source_account: str,
        subject: str | None = None,
        trace_id: str = "",
    ) -> str:
        """The message's id, once its deliveries are committed.

        Raises:
            ServiceError: AuthorizationError, NotFound, InvalidParameter: it never will be. Others: not now.
        """
        key = TopicKey.of_arn(topic_arn)
        caller = ServiceCaller(principal, source_arn, source_account)
        more = {"aws:SourceOwner": source_account}
        await caller.authorize(self._authorizer, "sns:Publish", key.arn, self._clock.now_ms(), more)
        message = Published(
            id=str(uuid4()),
            topic_arn=key.arn,
            text=text,
            sent_ms=self._clock.now_ms(),
            url=self._url,
            subject=subject,
            trace_id=trace_id,
        )
        (accepted,) = await self._publishing.accept(key, [Draft(message, Texts(text, size=len(text.encode())))])
        return accepted.message_id
