"""Server access logs of buckets, wired. What gathers them is imported with the first request for a bucket."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cosset.assembly.ground import Ground
from cosset.clock import Clock
from cosset.identity.ports import Authorizer
from cosset.identity.service_callers import ServiceCaller, service_principal
from cosset.services.operation import AnyService, Context

if TYPE_CHECKING:
    from cosset.services.s3.access_logs import AccessLogs, Logged

logger = logging.getLogger(__name__)

_PRINCIPAL = "logging.s3.amazonaws.com"
_FLUSH_S = 60.0


class BucketLogs:
    """Access logs on this node."""

    def __init__(self, ground: Ground, services: Sequence[AnyService], authorizer: Authorizer, clock: Clock) -> None:
        self._store = ground.store
        self._clock = clock
        self._targets = LogBuckets(next(each for each in services if each.name == "s3"), authorizer, clock)
        self._made: AccessLogs | None = None

    def logs(self) -> "AccessLogs":
        from cosset.services.s3.access_logs import AccessLogs

        if self._made is None:
            self._made = AccessLogs(self._store, self._targets, self._clock)
        return self._made

    async def serve(self) -> None:
        """Runs until it is cancelled; what waits then is written."""
        try:
            while True:
                await self._clock.sleep(_FLUSH_S)
                await self._flush()
        finally:
            await self._flush()

    async def _flush(self) -> None:
        if self._made is None:
            return
        try:
            await self._made.flush()
        except Exception:
            logger.exception("Access logs of buckets could not be written")


class LogBuckets:
    """Implements services.s3.access_logs.LogTargets through S3's own operations: the target's policy, or the grant to
    the group of log delivery in its ACL, decides."""

    def __init__(self, s3: AnyService, authorizer: Authorizer, clock: Clock) -> None:
        self._s3 = s3
        self._authorizer = authorizer
        self._clock = clock

    async def put(self, logged: "Logged", key: str, body: bytes) -> None:
        caller = ServiceCaller(_PRINCIPAL, logged.arn, logged.account)
        resource = f"arn:aws:s3:::{logged.target}/{key}"
        await caller.authorize(self._authorizer, "s3:PutObject", resource, self._clock.now_ms())
        context = Context(
            service="s3",
            operation="PutObject",
            principal=service_principal(_PRINCIPAL),
            account=logged.account,
            region=logged.region,
            request_id="",
            host="",
        )
        params = {"Bucket": logged.target, "Key": key, "Body": body, "ContentType": "text/plain"}
        await self._s3.operations["PutObject"].handler(context, params)
