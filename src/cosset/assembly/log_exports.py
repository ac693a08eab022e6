"""Exports of logs to buckets, wired. The worker is imported with the first task, or where one was left."""

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from cosset.assembly.ground import Ground
from cosset.assembly.late_workers import LateWorkers
from cosset.clock import Clock
from cosset.identity.ports import Authorizer
from cosset.identity.service_callers import ServiceCaller, service_principal
from cosset.invocation import lineage
from cosset.observe.causes import CauseRecorder, StepKind, key_of, sent_step
from cosset.services.logs.places import EXPORTS, TEST_OBJECT
from cosset.services.operation import AnyService, Context, Params
from cosset.store.queue import DurableQueue
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
        self._buckets = BucketsOfS3(authorizer, ground.causes, clock)
        self._workers = LateWorkers(ground.store, (EXPORTS,), self._make_workers)
        # Those under way at a stop are run again by whoever comes next.
        self.serve, self.stop = self._workers.serve, self._workers.stop

    def operations(self) -> "LogExports":
        """A part of the service logs."""
        from cosset.services.logs.export_tasks import LogExports

        return LogExports(self._ground.store, self._queue, self._buckets, self._clock)

    def write_to(self, services: Sequence[AnyService]) -> None:
        """From here on there are buckets."""
        self._buckets.s3 = next(service for service in services if service.name == "s3")

    def _make_workers(self) -> "list[ExportWorker]":
        from cosset.services.logs.export_worker import ExportWorker

        ground = self._ground
        return [ExportWorker(ground.store, ground.segments, self._queue, self._buckets, self._clock)]


class BucketsOfS3:
    """Implements services.logs.export_ports.ExportBuckets through S3's own operations: the bucket's policy decides."""

    def __init__(self, authorizer: Authorizer, causes: CauseRecorder, clock: Clock) -> None:
        self._causes = causes
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

        for name in (f"logs.{exporter.region}.amazonaws.com", "logs.amazonaws.com"):
            caller = ServiceCaller(name, exporter.source_arn, exporter.account)
            now_ms, more = self._clock.now_ms(), {"s3:x-amz-acl": _ACL}
            try:
                await caller.authorize(self._authorizer, f"s3:{action}", resource, now_ms, more)
            except ServiceError as error:
                if error.status >= 500:
                    raise
            else:
                return
        raise BucketRefusedError(_REFUSED.format(action))

    async def _call(self, name: str, params: Params, exporter: "Exporter") -> None:
        assert self.s3 is not None
        cause = key_of(exporter.task_id, StepKind.EXPORT)
        context = Context(
            service="s3",
            operation=name,
            principal=service_principal("logs.amazonaws.com"),
            account=exporter.account,
            region=exporter.region,
            request_id="",
            host="",
            trace_id=lineage.led_by("", cause, self._clock.now_ms()),
        )
        await self.s3.operations[name].handler(context, params)
        for led in context.led:
            self._causes.happened(
                sent_step(
                    led.kind,
                    led.id,
                    led.resource,
                    source=exporter.source_arn,
                    cause=cause,
                    now_ms=self._clock.now_ms(),
                    trace_id=context.trace_id or "",
                    name="export",
                    place=exporter.source_arn,
                )
            )
