"""Replication of buckets, wired. The worker is imported with the first version that is to be elsewhere, too."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cosset.assembly.ground import Ground
from cosset.assembly.late_workers import LateWorkers
from cosset.assembly.notifications import BucketNotifications
from cosset.clock import Clock
from cosset.identity.ports import Authorizer, Requirement
from cosset.identity.principal import Principal, PrincipalKind
from cosset.identity.trust import trusts_service
from cosset.services.s3.places import REPLICATION
from cosset.settings import Settings
from cosset.store.queue import DurableQueue
from cosset.wire.errors import ServiceError

if TYPE_CHECKING:
    from cosset.services.s3.model import Bucket
    from cosset.services.s3.replication_outbox import ReplicationOutbox
    from cosset.services.s3.replicator import Replicator

_SERVICE = "s3.amazonaws.com"
_SESSION = "s3-replication"


class BucketReplications:
    """Replication on this node."""

    def __init__(
        self,
        settings: Settings,
        ground: Ground,
        notifications: BucketNotifications,
        authorizer: Authorizer,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._ground = ground
        self._notifications = notifications
        self._authorizer = authorizer
        self._clock = clock
        self._queue = DurableQueue(ground.store, REPLICATION, clock)
        self._workers = LateWorkers(ground.store, (REPLICATION,), self._make_workers)
        self.serve, self.stop = self._workers.serve, self._workers.stop

    def outbox(self) -> "ReplicationOutbox":
        from cosset.services.s3.replication_outbox import ReplicationOutbox

        return ReplicationOutbox(self._queue)

    def _make_workers(self) -> "list[Replicator]":
        from cosset.assembly.buckets import open_files
        from cosset.services.s3.replicator import Replicator

        files, events = open_files(self._settings, self._ground), self._notifications.outbox()
        rights = RolesOfReplication(self._ground, self._authorizer, self._clock)
        return [Replicator(self._ground.store, self._queue, files, events, rights, self._clock)]


class RolesOfReplication:
    """Implements services.s3.replicator.ReplicationRights."""

    def __init__(self, ground: Ground, authorizer: Authorizer, clock: Clock) -> None:
        self._directory = ground.directory
        self._authorizer = authorizer
        self._clock = clock

    async def may(self, role_arn: str, source: "Bucket", needed: Sequence[Requirement]) -> bool:
        role = await self._directory.role(role_arn)
        context = {"aws:SourceArn": source.arn, "aws:SourceAccount": source.account}
        now_ms = self._clock.now_ms()
        if role is None or not trusts_service(role.trust_policy, role.arn, _SERVICE, now_ms, context):
            return False
        name = role.arn.rpartition("/")[2]
        arn = f"arn:aws:sts::{role.account}:assumed-role/{name}/{_SESSION}"
        principal = Principal(
            PrincipalKind.ROLE, role.account, arn, f"{role.unique_id}:{_SESSION}", role_arn=role.arn, is_temporary=True
        )
        try:
            await self._authorizer.authorize(principal, needed)
        except ServiceError as error:
            if error.status == 403:
                return False
            raise
        return True
