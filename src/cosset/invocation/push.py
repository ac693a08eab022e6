"""Push: an event that another service has for a function (SNS, S3 notifications, Logs subscriptions, EventBridge).

The function's own policy decides, as on AWS: it must allow `lambda:InvokeFunction` to the service's principal, under
the source's ARN and account. What is accepted waits in the queue of asynchronous invocations, and has its retries, its
dead-letter queue and its destinations from there (asynchronous.py). A service keeps its own event until `push` has
returned, in an outbox: then nothing is lost, and an event that is handed over twice within five minutes runs once.
"""

from dataclasses import dataclass

from cosset.clock import Clock
from cosset.identity.ports import Authorizer
from cosset.identity.service_callers import ServiceCaller
from cosset.invocation.api import Invocation, TargetResolver
from cosset.invocation.asynchronous import AsyncEvents
from cosset.invocation.limits import ASYNC_PAYLOAD_BYTES, check_payload
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError

_ACTION = "lambda:InvokeFunction"
_NEVER = frozenset({"AccessDeniedException", "ResourceNotFoundException", "RequestTooLargeException"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedEvent:
    """An event for one function.

    `id` stays the same over every attempt to hand it over; the function sees it as its request id. `function_arn` may
    be qualified. `principal` is the service's (`sns.amazonaws.com`), `source_arn` and `source_account` what the event
    comes from. `trace_id` carries the lineage of the call that caused it.
    """

    id: str
    function_arn: str
    payload: bytes
    principal: str
    source_arn: str
    source_account: str
    trace_id: str = ""


class PushRefusedError(Exception):
    """The function will not take this event, however often it is offered: no permission, no function, too large.

    AWS does not try again either; the event goes to the subscription's dead-letter queue, where there is one.
    """


class Push:
    """What the services call that push events to functions."""

    def __init__(self, targets: TargetResolver, authorizer: Authorizer, events: AsyncEvents, clock: Clock) -> None:
        self._targets = targets
        self._authorizer = authorizer
        self._events = events
        self._clock = clock

    async def check(self, event: PushedEvent) -> None:
        """Returns when the function would take the event.

        Raises:
            PushRefusedError: it never will.
            ServiceError: not now; ask again, with back-off.
        """
        try:
            check_payload(event.payload, "Event", ASYNC_PAYLOAD_BYTES)
            account, region, name, qualifier = _parts(event.function_arn)
            await self._targets.resolve(account, region, name, qualifier)
            await self._authorize(event)
        except ServiceError as error:
            if error.code in _NEVER:
                raise PushRefusedError(error.message) from error
            raise

    async def allow(self, event: PushedEvent) -> None:
        """As `check`, whatever the function is at: one that is still Pending has its event wait in the queue.

        Raises:
            PushRefusedError: it is not let in, or too large.
            ServiceError: the database is in trouble.
        """
        try:
            check_payload(event.payload, "Event", ASYNC_PAYLOAD_BYTES)
            _parts(event.function_arn)
            await self._authorize(event)
        except ServiceError as error:
            if error.code in _NEVER:
                raise PushRefusedError(error.message) from error
            raise

    async def push(self, event: PushedEvent) -> None:
        """Returns when the event is committed to the queue of asynchronous invocations. Raises what `check` does."""
        await self.check(event)
        await self._events.accept(_invocation(event), deduplication_id=event.id)

    def push_within(self, tx: Transaction, event: PushedEvent, *, is_once: bool = False) -> None:
        """The same inside a service's own transaction, after `check` has returned: the event is there with it or not
        at all. `is_once`: the service's transaction cannot come to pass twice."""
        self._events.send(tx, _invocation(event), deduplication_id=None if is_once else event.id)

    def push_if_known(self, tx: Transaction, event: PushedEvent) -> bool:
        """The same where nobody has checked, but the function let such events in before and neither it nor any policy
        has changed since (any change of a function forgets that, its end as well). False: nothing was done."""
        if len(event.payload) > ASYNC_PAYLOAD_BYTES or not _caller(event).was_allowed(
            self._authorizer, _ACTION, _resource(event), self._clock.now_ms()
        ):
            return False
        self._events.send(tx, _invocation(event))
        return True

    async def _authorize(self, event: PushedEvent) -> None:
        await _caller(event).authorize(self._authorizer, _ACTION, _resource(event), self._clock.now_ms())


def _caller(event: PushedEvent) -> ServiceCaller:
    return ServiceCaller(event.principal, event.source_arn, event.source_account)


def _resource(event: PushedEvent) -> str:
    """AWS gives $LATEST what is given to the function without a qualifier."""
    return event.function_arn.removesuffix(":$LATEST")


def _invocation(event: PushedEvent) -> Invocation:
    account, region, name, qualifier = _parts(event.function_arn)
    return Invocation(
        account=account,
        region=region,
        function_name=name,
        qualifier=qualifier,
        payload=event.payload,
        request_id=event.id,
        invoked_arn=event.function_arn,
        trace_id=event.trace_id,
        source=event.source_arn,
    )


def _parts(arn: str) -> tuple[str, str, str, str | None]:
    """arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]. Raises: PushRefusedError."""
    parts = arn.split(":")
    if len(parts) not in (7, 8) or parts[2] != "lambda" or parts[5] != "function":
        raise PushRefusedError(f"{arn} is not the ARN of a function")
    return parts[4], parts[3], parts[6], parts[7] if len(parts) == 8 else None
