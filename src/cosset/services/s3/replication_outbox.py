"""The outbox of replication: that a version is to be elsewhere, too, is noted in the transaction that makes it.

Versions of one key go in their order. What replication made is not replicated again. Read next: replicator.py.
"""

import hashlib
import json
from collections.abc import Sequence

from cosset.services.s3.bucket_book import read_setting
from cosset.services.s3.kinds import Kind
from cosset.services.s3.model import Versioning
from cosset.services.s3.ports import ObjectEvent, ObjectEvents
from cosset.services.s3.replication_rules import goals_of
from cosset.services.s3.versions import NULL_VERSION, change_facts, find_version
from cosset.store.queue import DurableQueue
from cosset.store.transaction import Transaction

PENDING, COMPLETED, FAILED = "PENDING", "COMPLETED", "FAILED"
_TELLING = ("ObjectCreated:", "ObjectRemoved:DeleteMarkerCreated", "ObjectTagging:")


class ReplicationOutbox:
    """Implements ports.ObjectEvents."""

    def __init__(self, queue: DurableQueue) -> None:
        self._queue = queue

    def happened(self, tx: Transaction, event: ObjectEvent) -> None:
        bucket, version_id = event.bucket, event.version_id
        if bucket.versioning is not Versioning.ENABLED or version_id in (None, NULL_VERSION):
            return
        if not event.name.startswith(_TELLING):
            return
        document = read_setting(tx, bucket.name, Kind.REPLICATION)
        version = None if document is None else find_version(tx, bucket.name, event.key, str(version_id))
        if version is None or version.facts.get("is_replica") or not goals_of(document, version):
            return
        change_facts(tx, version, replication=PENDING)
        text = json.dumps([bucket.name, version.key, version.version])
        self._queue.send(tx, text.encode(), group=hashlib.sha256(f"{bucket.name}/{version.key}".encode()).hexdigest())


class Hearers:
    """Implements ports.ObjectEvents: all of them hear of what happened."""

    def __init__(self, hearers: Sequence[ObjectEvents]) -> None:
        self._hearers = tuple(hearers)

    def happened(self, tx: Transaction, event: ObjectEvent) -> None:
        for each in self._hearers:
            each.happened(tx, event)
