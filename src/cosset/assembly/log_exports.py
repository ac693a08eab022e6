"""Exports of logs to buckets, wired. The worker is imported with the first task, or where one was left."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import select

from cosset.assembly.ground import Ground
from cosset.clock import Clock
from cosset.identity.evaluation.context import CallContext, ContextValue
from cosset.identity.ports import Authorizer, Requirement
from cosset.identity.principal import Principal, PrincipalKind
from cosset.services.logs.places import EXPORTS, TEST_OBJECT
from cosset.services.operation import AnyService, Context, Params
from cosset.store.queue import DurableQueue
from cosset.store.queue_tables import messages
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError

if TYPE_CHECKING:
    from cosset.services.logs.export_ports import Exporter
    from cosset.services.logs.export_tasks import LogExports
    from cosset.services.logs.export_worker import ExportWorker

_TEST_TEXT = b"Permission Check Successful"
_ACL = "bucket-owner-full-control"
_REFUSED = (
    "{} call on the given bucket failed. Please check if CloudWatch Logs has been granted permission to perform this "
    "operation."
)


class LogExporting:
    """Exports on this node."""

    def __init__(self, ground: Ground, authorizer: Authorizer, clock: Clock) -> None:
        self._ground = ground
        self._clock = clock
        self._queue = DurableQueue(ground.store, EXPORTS, clock)
        self._buckets = BucketsOfS3(authorizer, clock)
        self._worker: ExportWorker | None = None
        self._wanted = asyncio.Event()
        self._is_stopping = False
        ground.store.on_change(f"queue/{EXPORTS}", lambda _: self._wanted.set())

    def operations(self) -> "LogExports":
        """A part of the service logs."""
        from cosset.services.logs.export_tasks import LogExports

        return LogExports(self._ground.store, self._queue, self._buckets, self._clock)

    def write_to(self, services: Sequence[AnyService]) -> None:
        """From here on there are buckets."""
        self._buckets.s3 = next(service for service in services if service.name == "s3")

    async def serve(self) -> None:
        """Runs until it is cancelled, after `stop`."""
        if not await self._ground.store.read(_are_waiting):
            await self._wanted.wait()
        if self._is_stopping:
            return
        from cosset.services.logs.export_worker import ExportWorker

        ground = self._ground
        self._worker = ExportWorker(ground.store, ground.segments, self._queue, self._buckets, self._clock)
        await self._worker.serve()

    async def stop(self, timeout_s: float) -> None:
        """Takes no more tasks; those under way are run again by whoever comes next."""
        self._is_stopping = True
        if self._worker is not None:
            await self._worker.stop(timeout_s)


class BucketsOfS3:
    """Implements services.logs.export_ports.ExportBuckets through S3's own operations: the bucket's policy decides."""

    def __init__(self, authorizer: Authorizer, clock: Clock) -> None:
        self.s3: AnyService | None = None
        self._authorizer = authorizer
        self._clock = clock

    async def check(self, bucket: str, prefix: str, exporter: "Exporter") -> None:
        from cosset.services.logs.export_ports import BucketRefusedError

        try:
            await self._call("HeadBucket", {"Bucket": bucket}, exporter)
        except ServiceError as error:
            if error.status >= 500:
                raise
            raise BucketRefusedError(
                "The given bucket does not exist. Please make sure the bucket is valid."
            ) from error
        await self._authorize("GetBucketAcl", f"arn:aws:s3:::{bucket}", exporter)
        await self.put(bucket, f"{prefix}/{TEST_OBJECT}", _TEST_TEXT, exporter)

    async def put(self, bucket: str, key: str, body: AsyncIterator[bytes] | bytes, exporter: "Exporter") -> None:
        from cosset.services.logs.export_ports import BucketRefusedError

        await self._authorize("PutObject", f"arn:aws:s3:::{bucket}/{key}", exporter)
        try:
            await self._call("PutObject", {"Bucket": bucket, "Key": key, "Body": body}, exporter)
        except ServiceError as error:
            if error.status >= 500:
                raise
            raise BucketRefusedError(f"PutObject call on the given bucket failed. {error.message}") from error

    async def _authorize(self, action: str, resource: str, exporter: "Exporter") -> None:
        """AWS's documents let CloudWatch Logs in by its regional name or by its plain one."""
        from cosset.services.logs.export_ports import BucketRefusedError

        context: dict[str, ContextValue] = {
            "aws:SourceArn": exporter.source_arn,
            "aws:SourceAccount": exporter.account,
            "s3:x-amz-acl": _ACL,
        }
        needed = Requirement(f"s3:{action}", resource, context)
        for name in (f"logs.{exporter.region}.amazonaws.com", "logs.amazonaws.com"):
            try:
                await self._authorizer.authorize(_service(name), [needed], self._about())
            except ServiceError as error:
                if error.status >= 500:
                    raise
            else:
                return
        raise BucketRefusedError(_REFUSED.format(action))

    async def _call(self, name: str, params: Params, exporter: "Exporter") -> None:
        assert self.s3 is not None
        context = Context(
            service="s3",
            operation=name,
            principal=_service("logs.amazonaws.com"),
            account=exporter.account,
            region=exporter.region,
            request_id="",
            host="",
        )
        await self.s3.operations[name].handler(context, params)

    def _about(self) -> CallContext:
        return CallContext(self._clock.now_ms(), service="s3")


def _service(name: str) -> Principal:
    return Principal(PrincipalKind.SERVICE, "", name, "")


def _are_waiting(tx: Transaction) -> bool:
    query = select(messages.c.seq).where(messages.c.queue == EXPORTS).limit(1)
    return tx.execute(query).first() is not None
