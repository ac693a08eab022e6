"""Carries versions to the buckets that they are to be in, too: the same bytes under the same version id.

Within one account. The role of the configuration must let S3 in, and allow what AWS asks of it. A version that cannot
be replicated says so (`x-amz-replication-status: FAILED`), and the node's log says why. Nothing is copied twice: what
is there already only has its tags brought up to date.
Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cosset.clock import Clock
from cosset.identity.ports import Requirement
from cosset.invocation.queue_worker import QueueWorker
from cosset.services.s3.bucket_book import find_bucket, read_setting
from cosset.services.s3.events import own_event_of
from cosset.services.s3.kinds import Kind
from cosset.services.s3.model import Bucket, Versioning
from cosset.services.s3.object_files import ObjectFiles, Stored
from cosset.services.s3.ports import ObjectEvents
from cosset.services.s3.replication_outbox import COMPLETED, FAILED
from cosset.services.s3.replication_rules import Goal, goals_of
from cosset.services.s3.versions import ObjectVersion, change_facts, find_version, put_version
from cosset.store.database import Store
from cosset.store.queue import DurableQueue, Message
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)

_MOST_ATTEMPTS = 8
_BACKOFF_MS = (1_000, 300_000)


class ReplicationRights(Protocol):
    async def may(self, role_arn: str, source: Bucket, needed: Sequence[Requirement]) -> bool:
        """Does the role let S3 in for that bucket, and allow all of it?"""
        ...


@dataclass(frozen=True, slots=True)
class _Job:
    bucket: Bucket
    role: str
    version: ObjectVersion
    goals: Sequence[Goal]


class Replicator:
    """A worker of the outbox's queue."""

    def __init__(
        self,
        store: Store,
        queue: DurableQueue,
        files: ObjectFiles,
        events: ObjectEvents,
        rights: ReplicationRights,
        clock: Clock,
        *,
        width: int = 8,
    ) -> None:
        self._store = store
        self._queue = queue
        self._files = files
        self._events = events
        self._rights = rights
        self._clock = clock
        self._worker = QueueWorker(store, queue, self._attempt, clock, noun="replication", width=width)
        self.serve = self._worker.serve
        self.stop = self._worker.stop
        self.handle = self._worker.handle

    async def _attempt(self, message: Message) -> None:
        name, key, version_id = json.loads(message.body)
        try:
            status = await self._replicate(name, key, version_id)
        except (ServiceError, OSError) as error:
            if message.attempts < _MOST_ATTEMPTS:
                lower_ms, upper_ms = _BACKOFF_MS
                delay_ms = min(upper_ms, lower_ms << min(message.attempts - 1, 20))
                logger.info("the replication of %s/%s waits %d ms: %s", name, key, delay_ms, error)
                await self._worker.settle(lambda tx: self._queue.release(tx, message, delay_ms=delay_ms))
                return
            logger.error("%s/%s could not be replicated: %s", name, key, error)
            status = FAILED

        def settle(tx: Transaction) -> None:
            version = find_version(tx, name, key, version_id)
            if version is not None and status is not None:
                change_facts(tx, version, replication=status)
            self._queue.delete(tx, message)

        await self._worker.settle(settle)

    async def _replicate(self, name: str, key: str, version_id: str) -> str | None:
        """What became of it; None where there is nothing to do any more."""
        job = await self._store.read(lambda tx: _read_job(tx, name, key, version_id))
        if job is None:
            return None
        status = COMPLETED
        for goal in job.goals:
            why = await self._carry(job, goal)
            if why is not None:
                status = FAILED
                logger.error("%s/%s was not replicated to %s: %s", name, key, goal.bucket, why)
        return status

    async def _carry(self, job: _Job, goal: Goal) -> str | None:
        """Why not, where it was not."""
        if not await self._rights.may(job.role, job.bucket, _needed(job, goal)):
            return f"{job.role} does not let S3 do it"
        stored = Stored() if job.version.is_marker else await self._files.link(job.version.stored)
        try:
            why, is_used = await self._store.write(lambda tx: self._put(tx, job, goal, stored))
        except ServiceError:
            await self._files.remove(stored.names)
            raise  # of anything else nobody knows whether it was committed: the sweep does
        if not is_used:
            await self._files.remove(stored.names)
        return why

    def _put(self, tx: Transaction, job: _Job, goal: Goal, stored: Stored) -> tuple[str | None, bool]:
        """Why it was not put; whether the files are used."""
        target, source = find_bucket(tx, goal.bucket), job.version
        if target is None or target.versioning is not Versioning.ENABLED:
            return "the bucket is not there, or has no versions", False
        if target.account != job.bucket.account:
            return "the bucket is another account's", False
        if find_version(tx, job.bucket.name, source.key, source.version) is None:
            return None, False
        there = find_version(tx, target.name, source.key, source.version)
        if there is not None:
            change_facts(tx, there, tags=source.facts.get("tags"))
            return None, False
        now_ms = self._clock.now_ms()
        facts = _facts_of(source.facts, target, goal)
        new = ObjectVersion(
            source.key, "", True, source.is_marker, source.size, source.etag, now_ms, stored, facts, parts=source.parts
        )
        made = put_version(tx, target, new, version_id=source.version).version
        assert made is not None
        self._tell(tx, target, made, now_ms)
        return None, True

    def _tell(self, tx: Transaction, bucket: Bucket, made: ObjectVersion, now_ms: int) -> None:
        name = "ObjectRemoved:DeleteMarkerCreated" if made.is_marker else "ObjectCreated:Put"
        self._events.happened(tx, own_event_of(bucket, name, made, now_ms))


def _read_job(tx: Transaction, name: str, key: str, version_id: str) -> _Job | None:
    bucket, document = find_bucket(tx, name), read_setting(tx, name, Kind.REPLICATION)
    version = find_version(tx, name, key, version_id)
    if bucket is None or document is None or version is None:
        return None
    return _Job(bucket, document["Role"], version, goals_of(document, version))


def _needed(job: _Job, goal: Goal) -> list[Requirement]:
    source = f"{job.bucket.arn}/{job.version.key}"
    target = f"arn:aws:s3:::{goal.bucket}/{job.version.key}"
    if job.version.is_marker:
        return [Requirement("s3:ReplicateDelete", target)]
    needed = [Requirement("s3:GetObjectVersionForReplication", source), Requirement("s3:ReplicateObject", target)]
    if job.version.facts.get("tags"):
        needed.append(Requirement("s3:ReplicateTags", target))
    return needed


def _facts_of(facts: Mapping[str, Any], target: Bucket, goal: Goal) -> dict[str, Any]:
    """The replica is its bucket's owner's, with the ACL of a new object."""
    dropped = {"acl", "replication", "restore", *(() if target.has_object_lock else ("lock", "hold"))}
    kept = {name: value for name, value in facts.items() if name not in dropped}
    if goal.storage_class is not None:
        kept["storage_class"] = goal.storage_class
    if kept.get("storage_class") == "STANDARD":
        del kept["storage_class"]
    return {**kept, "owner": target.account, "is_replica": True}
