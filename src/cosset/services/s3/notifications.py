"""The notification configuration of a bucket is put and read; what it says is checked with the destinations.

Read next: notification_rules.py (what is refused), notification_outbox.py (what follows from it).
"""

from collections.abc import Sequence
from uuid import uuid4

from cosset.clock import Clock
from cosset.services.operation import Context, Params, Result, operation
from cosset.services.s3.bucket_book import need_bucket, put_setting, read_setting, remove_setting
from cosset.services.s3.model import Bucket
from cosset.services.s3.notification_model import BUS, KIND, Rule, Target, rules_of
from cosset.services.s3.notification_outbox import NotificationOutbox
from cosset.services.s3.notification_ports import NotificationTargets, Source, TargetRefusedError
from cosset.services.s3.notification_rules import checked, undeliverable
from cosset.services.s3.requirements import on_bucket
from cosset.store.database import Store, Transaction
from cosset.wire.errors import OperationNotImplementedError


class Notifications:
    def __init__(self, store: Store, outbox: NotificationOutbox, targets: NotificationTargets, clock: Clock) -> None:
        self._store = store
        self.outbox = outbox
        self._targets = targets
        self._clock = clock

    @operation("PutBucketNotificationConfiguration", on_bucket("PutBucketNotification"))
    async def put_bucket_notification_configuration(self, ctx: Context, params: Params) -> None:
        name, given = params["Bucket"], params["NotificationConfiguration"]
        bucket = await self._store.read(lambda tx: need_bucket(tx, name))
        document = checked(given, bucket.region, lambda: str(uuid4()))
        if BUS in document and self.outbox.bus is None:
            raise OperationNotImplementedError("s3", "PutBucketNotificationConfiguration with EventBridgeConfiguration")
        rules = list(rules_of(document))
        skips = bool(params.get("SkipDestinationValidation"))
        if not skips:
            await self._check_targets(bucket, rules)

        def work(tx: Transaction) -> None:
            current = need_bucket(tx, name)
            if not document:
                remove_setting(tx, name, KIND)
                return
            put_setting(tx, name, KIND, document)
            # Whoever asks to skip it knows that the targets are not there yet, and S3 tells them nothing (recorded).
            if not skips:
                self.outbox.send_tests(tx, current, rules, ctx.request_id, self._clock.now_ms())

        await self._store.write(work)

    @operation("GetBucketNotificationConfiguration", on_bucket("GetBucketNotification"))
    async def get_bucket_notification_configuration(self, ctx: Context, params: Params) -> Result:
        def read(tx: Transaction) -> Result:
            need_bucket(tx, params["Bucket"])
            return dict(read_setting(tx, params["Bucket"], KIND) or {})

        return await self._store.read(read)

    async def _check_targets(self, bucket: Bucket, rules: Sequence[Rule]) -> None:
        """Raises: ServiceError InvalidArgument, with every target that does not let this bucket in."""
        problems: dict[Target, str] = {}
        for target in dict.fromkeys(rule.target for rule in rules):
            try:
                await self._targets.check(target, Source.of(bucket))
            except TargetRefusedError as error:
                problems[target] = str(error)
        if problems:
            raise undeliverable([(target.arn, why) for target, why in problems.items()])
