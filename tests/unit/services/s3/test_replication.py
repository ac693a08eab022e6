"""Which versions go where, and that a version which is carried twice is there once; on both engines."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cosset.identity.ports import Requirement
from cosset.services.operation import Context
from cosset.services.s3.bucket_book import add_bucket, put_setting
from cosset.services.s3.events import event_of
from cosset.services.s3.kinds import Kind
from cosset.services.s3.model import Bucket, Versioning
from cosset.services.s3.object_files import ObjectFiles, Stored
from cosset.services.s3.ports import ObjectEvent
from cosset.services.s3.replication_outbox import ReplicationOutbox
from cosset.services.s3.replication_rules import Goal, goals_of
from cosset.services.s3.replicator import Replicator
from cosset.services.s3.versions import ObjectVersion, find_version, put_version
from cosset.store.queue import DurableQueue
from cosset.store.transaction import Transaction
from support.caller import ADMINISTRATOR
from support.clock import ManualClock
from support.stores import OpenStore

ACCOUNT = "123456789012"
KMS = {"SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}}}


def rule(target: str = "there", **more: Any) -> dict[str, Any]:
    return {"Status": "Enabled", "Filter": {}, "Destination": {"Bucket": f"arn:aws:s3:::{target}"}, **more}


def version(key: str = "a/k", *, is_marker: bool = False, **facts: Any) -> ObjectVersion:
    return ObjectVersion(key, "v", True, is_marker, 1, "e", 0, Stored(), facts)


@pytest.mark.parametrize(
    ("rules", "found", "wanted"),
    [
        ([rule()], version(), ["there"]),
        ([rule(Status="Disabled")], version(), []),
        ([rule(Filter={"Prefix": "a/"}), rule("other", Filter={"Prefix": "b/"})], version(), ["there"]),
        ([rule(Prefix="b/", Filter=None)], version(), []),
        ([rule(Filter={"Tag": {"Key": "t", "Value": "1"}})], version(), []),
        ([rule(Filter={"Tag": {"Key": "t", "Value": "1"}})], version(tags={"t": "1"}), ["there"]),
        ([rule(Filter={"And": {"Prefix": "a", "Tags": [{"Key": "t", "Value": "1"}]}})], version(tags={"t": "2"}), []),
        ([rule()], version(is_marker=True), []),
        ([rule(DeleteMarkerReplication={"Status": "Enabled"})], version(is_marker=True), ["there"]),
        ([rule(Filter=None, Prefix="")], version(is_marker=True), ["there"]),
        ([rule()], version(encryption={"ServerSideEncryption": "aws:kms"}), []),
        ([rule(**KMS)], version(encryption={"ServerSideEncryption": "aws:kms"}), ["there"]),
        ([rule(**KMS)], version(encryption={"customer": {}}), []),
    ],
)
def test_which_versions_go_where(rules: list[Any], found: ObjectVersion, wanted: list[str]) -> None:
    assert [goal.bucket for goal in goals_of({"Rules": rules}, found)] == wanted


def test_of_two_rules_the_more_important_counts() -> None:
    cold = rule(Priority=2)
    cold["Destination"] = {**cold["Destination"], "StorageClass": "GLACIER"}
    assert goals_of({"Rules": [rule(Priority=1), cold]}, version()) == [Goal("there", "GLACIER")]


class Heard:
    def __init__(self) -> None:
        self.events: list[str] = []

    def happened(self, tx: Transaction, event: ObjectEvent) -> None:
        self.events.append(f"{event.bucket.name} {event.name}")


class Rights:
    async def may(self, role_arn: str, source: Bucket, needed: Sequence[Requirement]) -> bool:
        return role_arn == "good"


@pytest.mark.parametrize(
    ("role", "target", "wanted"),
    [
        ("good", Bucket("there", ACCOUNT, "eu-west-1", 0, Versioning.ENABLED), "COMPLETED"),
        ("bad", Bucket("there", ACCOUNT, "eu-west-1", 0, Versioning.ENABLED), "FAILED"),
        ("good", Bucket("there", ACCOUNT, "eu-west-1", 0, Versioning.SUSPENDED), "FAILED"),
        ("good", Bucket("there", "210987654321", "eu-west-1", 0, Versioning.ENABLED), "FAILED"),
        ("good", Bucket("elsewhere", ACCOUNT, "eu-west-1", 0, Versioning.ENABLED), "FAILED"),
    ],
)
def test_a_version_is_carried_once(
    open_store: OpenStore, tmp_path: Path, role: str, target: Bucket, wanted: str
) -> None:
    async def run() -> None:
        async with open_store() as store:
            clock, heard, files = ManualClock(), Heard(), ObjectFiles(tmp_path / "objects")
            queue = DurableQueue(store, "replication", clock)
            replicator = Replicator(store, queue, files, heard, Rights(), clock)
            source = Bucket("source", ACCOUNT, "us-east-1", 0, Versioning.ENABLED)
            stored = Stored(inline=b"x")

            def make(tx: Transaction) -> str:
                add_bucket(tx, source)
                add_bucket(tx, target)
                put_setting(tx, "source", Kind.REPLICATION, {"Role": role, "Rules": [rule()]})
                facts = {"owner": ACCOUNT, "acl": []}
                made = put_version(tx, source, ObjectVersion("k", "", True, False, 1, "e", 0, stored, facts)).version
                assert made is not None
                ctx = Context("s3", "PutObject", ADMINISTRATOR, ACCOUNT, "us-east-1", "request", "")
                ReplicationOutbox(queue).happened(tx, event_of(ctx, source, "ObjectCreated:Put", made, 0))
                found = find_version(tx, "source", "k", made.version)
                assert found is not None
                assert found.facts["replication"] == "PENDING"
                return made.version

            version_id = await store.write(make)
            [message] = await queue.receive(limit=10, lease_ms=60_000)
            await replicator.handle(message)
            await replicator.handle(message)  # as after a crash in between

            def look(tx: Transaction) -> tuple[Any, Any]:
                return find_version(tx, "source", "k", version_id), find_version(tx, target.name, "k", version_id)

            left, there = await store.read(look)
            assert left.facts["replication"] == wanted
            assert (there is not None) == (wanted == "COMPLETED")
            if there is not None:
                assert heard.events == ["there ObjectCreated:Put"]
                assert (there.stored.inline, there.facts) == (b"x", {"owner": ACCOUNT, "is_replica": True})

    asyncio.run(run())
