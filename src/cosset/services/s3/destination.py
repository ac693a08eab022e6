"""Buckets as on-failure destinations: the record of an event, or the records of a stream, become an object.

By the rights of the function's role, which the caller asked. A record that comes twice is there once, by its key.
Source: AWS Lambda developer guide, "Capturing records of Lambda asynchronous invocations".
"""

from cosset.clock import Clock
from cosset.identity.principal import Principal, PrincipalKind
from cosset.invocation.destination_shapes import name_object
from cosset.invocation.destinations import Delivery, DeliveryRefusedError
from cosset.observe.causes import CauseRecorder, sent_step
from cosset.services.operation import AnyService, Context
from cosset.wire.errors import ServiceError

_ARN = "arn:aws:s3:::"
_NEVER = frozenset({"NoSuchBucket", "InvalidBucketName", "KeyTooLongError", "EntityTooLarge"})


class BucketDestination:
    """Implements invocation.destinations.Destination over S3's own operations."""

    action = "s3:PutObject"

    def __init__(self, s3: AnyService, causes: CauseRecorder, clock: Clock) -> None:
        self._s3 = s3
        self._causes = causes
        self._clock = clock

    async def accepts(self, target_arn: str, *, source_arn: str) -> bool:
        name = target_arn.removeprefix(_ARN)
        if not target_arn.startswith(_ARN) or not name or "/" in name:
            return False
        context = _context("HeadBucket", source_arn, "", source_arn)
        try:
            await self._s3.operations["HeadBucket"].handler(context, {"Bucket": name})
        except ServiceError as error:
            if error.status == 404:
                return False
            raise
        return True

    async def deliver(self, delivery: Delivery) -> None:
        context = _context("PutObject", delivery.source_arn, delivery.role, delivery.id)
        context.trace_id = delivery.trace_id or None
        params = {
            "Bucket": delivery.target_arn.removeprefix(_ARN),
            "Key": name_object(delivery),
            "Body": delivery.body,
            "ContentType": "application/json",
        }
        try:
            await self._s3.operations["PutObject"].handler(context, params)
        except ServiceError as error:
            if error.code in _NEVER:
                raise DeliveryRefusedError(error.message) from error
            raise
        self._record(context, delivery)

    def _record(self, context: Context, delivery: Delivery) -> None:
        for led in context.led:
            self._causes.happened(
                sent_step(
                    led.kind,
                    led.id,
                    led.resource,
                    source=delivery.function_arn,
                    cause="",
                    now_ms=self._clock.now_ms(),
                    trace_id=delivery.trace_id,
                    place=delivery.function_arn,
                )
            )


def _context(operation: str, function_arn: str, role: str, request_id: str) -> Context:
    """As the function's role would call."""
    parts = function_arn.split(":")
    region, account, function = parts[3], parts[4], parts[6]
    name = role.rpartition("/")[2]
    arn = f"arn:aws:sts::{account}:assumed-role/{name}/{function}"
    principal = Principal(PrincipalKind.ROLE, account, arn, f"{name}:{function}", role_arn=role or None)
    return Context(
        service="s3",
        operation=operation,
        principal=principal,
        account=account,
        region=region,
        request_id=request_id,
        host="",
    )
