"""Lifecycle rules over a real store of either engine, with time moved by hand."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cosset.identity.ports import Requirement
from cosset.observe.causes import Step, Unrecorded
from cosset.services.operation import Context, Service
from cosset.services.s3.bucket_parts import bucket_parts
from cosset.services.s3.deletes import Deletes
from cosset.services.s3.finding import Finder
from cosset.services.s3.lifecycle import Lifecycle
from cosset.services.s3.lifecycle_rules import Subject, applies, due_ms, expiration_of
from cosset.services.s3.mfa_deletes import MfaDeletes
from cosset.services.s3.multipart import Multipart
from cosset.services.s3.object_files import ObjectFiles
from cosset.services.s3.object_locks import ObjectLocks
from cosset.services.s3.object_writes import ObjectWrites
from cosset.services.s3.objects import Objects
from cosset.services.s3.ports import ObjectEvent
from cosset.services.s3.upload_lists import UploadLists
from cosset.services.s3.version_lists import VersionLists
from cosset.store.database import Store
from cosset.store.transaction import Transaction
from support.caller import Caller
from support.clock import ManualClock

DAY_S = 86_400
BUCKET = "kept-for-a-while"


class Told(Unrecorded):
    """What caused what, as it is told."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def happened(self, step: Step) -> None:
        self.steps.append(step)


class Heard:
    def __init__(self) -> None:
        self.events: list[ObjectEvent] = []

    def happened(self, tx: Transaction, event: ObjectEvent) -> None:
        self.events.append(event)


class Everything:
    async def may(self, ctx: Context, needed: Sequence[Requirement]) -> bool:
        return True


class NoDevices:
    async def verify(self, account: str, user_name: str, serial: str, code: str) -> bool:
        return False


class Room:
    """A bucket, and what carries out its rules."""

    def __init__(self, store: Store, folder: Path, clock: ManualClock) -> None:
        self.clock = clock
        self.heard = Heard()
        files, rights, mfa = ObjectFiles(folder), Everything(), MfaDeletes(NoDevices())
        writes, finder = ObjectWrites(store, files, clock, self.heard), Finder(store, rights)
        parts = [
            *bucket_parts(store, files, clock, mfa),
            Objects(writes, finder),
            Multipart(writes),
            Deletes(writes, rights, mfa),
            ObjectLocks(writes, finder),
            VersionLists(store),
            UploadLists(store),
        ]
        self.call = Caller(Service.of("s3", parts))
        self.told = Told()
        self.lifecycle = Lifecycle(store, files, self.heard, clock, self.told)
        self.another_node = Lifecycle(store, files, self.heard, clock)

    async def put(self, key: str, body: bytes = b"x", **params: Any) -> str | None:
        async def chunks() -> AsyncIterator[bytes]:
            yield body

        result = await self.call("PutObject", Bucket=BUCKET, Key=key, Body=chunks(), **params)
        return result.get("VersionId")

    async def rule(self, *rules: dict[str, Any]) -> None:
        named = [{"Status": "Enabled", "Filter": {"Prefix": ""}, **rule} for rule in rules]
        await self.call("PutBucketLifecycleConfiguration", Bucket=BUCKET, LifecycleConfiguration={"Rules": named})

    async def versions(self) -> list[str]:
        """`key`, and `-key` for a delete marker; the newest first."""
        found = await self.call("ListObjectVersions", Bucket=BUCKET)
        markers = [f"-{each['Key']}" for each in found.get("DeleteMarkers", [])]
        return sorted([each["Key"] for each in found.get("Versions", [])] + markers)

    async def enable(self) -> None:
        await self.call("PutBucketVersioning", Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})

    async def after(self, days: float) -> int:
        """Lets so much time go by, then makes a pass; how much was done."""
        self.clock.advance(days * DAY_S)
        return await self.lifecycle.run()

    def names(self) -> list[str]:
        return [event.name for event in self.heard.events if event.principal is None]


Test = Callable[[Room], Awaitable[None]]


@pytest.fixture(params=["sqlite", "postgresql"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Test], None]:
    database = request.getfixturevalue("postgres").new_database() if request.param == "postgresql" else None
    clock = ManualClock()

    @asynccontextmanager
    async def opened() -> AsyncIterator[Room]:
        store = await Store.open(data=tmp_path / "data", database=database, clock=clock, min_free_mb=0)
        try:
            room = Room(store, tmp_path / "objects", clock)
            await room.call("CreateBucket", Bucket=BUCKET)
            yield room
        finally:
            await store.close()

    async def main(test: Test) -> None:
        async with opened() as room:
            await asyncio.wait_for(test(room), 60)

    return lambda test: asyncio.run(main(test))


def test_what_expires_is_on_record_for_what_it_leads_to(run: Callable[[Test], None]) -> None:
    async def test(room: Room) -> None:
        await room.put("a")
        await room.rule({"Expiration": {"Days": 1}})
        assert await room.after(3) == 1
        (event,) = (each for each in room.heard.events if each.principal is None)
        (step,) = room.told.steps
        assert (step.id, step.name, step.causes) == (event.step_id, "LifecycleExpiration:Delete", ())
        assert step.resource == f"arn:aws:s3:::{BUCKET}/a"

    run(test)


def test_objects_expire_at_the_midnight_after_their_days(run: Callable[[Test], None]) -> None:
    async def test(room: Room) -> None:
        await room.rule({"ID": "old", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 2}})
        await room.put("logs/a", b"a" * 10_000)
        await room.put("kept")
        assert await room.after(0) == 0
        assert await room.after(1.9) == 0
        assert await room.after(1.1) == 1
        assert await room.versions() == ["kept"]
        assert room.names() == ["LifecycleExpiration:Delete"]

    run(test)


def test_a_pass_is_one_nodes(run: Callable[[Test], None]) -> None:
    async def test(room: Room) -> None:
        await room.enable()
        await room.rule({"Expiration": {"Days": 1}})
        await room.put("a")
        room.clock.advance(3 * DAY_S)
        assert await room.lifecycle.run() + await room.another_node.run() == 1
        assert await room.versions() == ["-a", "a"]
        assert room.names() == ["LifecycleExpiration:DeleteMarkerCreated"]

    run(test)


def test_old_versions_go_but_the_newest_of_them(run: Callable[[Test], None]) -> None:
    async def test(room: Room) -> None:
        await room.enable()
        await room.rule({"NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 1}})
        for _ in range(4):
            await room.put("a")
        assert await room.after(3) == 2
        assert await room.versions() == ["a", "a"]

    run(test)


def test_a_delete_marker_goes_when_nothing_is_behind_it(run: Callable[[Test], None]) -> None:
    async def test(room: Room) -> None:
        await room.enable()
        await room.rule(
            {"NoncurrentVersionExpiration": {"NoncurrentDays": 1}},
            {"ID": "marker", "Expiration": {"ExpiredObjectDeleteMarker": True}},
        )
        await room.put("a")
        await room.call("DeleteObject", Bucket=BUCKET, Key="a")
        assert await room.after(0.1) == 0
        assert await room.after(3) == 1
        assert await room.after(0.1) == 1
        assert await room.versions() == []

    run(test)


def test_storage_classes_change_downwards(run: Callable[[Test], None]) -> None:
    async def test(room: Room) -> None:
        moves = [{"Days": 30, "StorageClass": "STANDARD_IA"}, {"Days": 60, "StorageClass": "GLACIER"}]
        await room.rule({"Transitions": moves})
        await room.put("large", b"x" * 200_000)
        await room.put("small")

        async def storage() -> list[str | None]:
            heads = [await room.call("HeadObject", Bucket=BUCKET, Key=key) for key in ("large", "small")]
            return [head.get("StorageClass") for head in heads]

        await room.after(32)
        assert await storage() == ["STANDARD_IA", None]
        await room.after(32)
        assert await storage() == ["GLACIER", None]
        assert await room.after(1) == 0
        assert room.names() == ["LifecycleTransition"] * 2

    run(test)


def test_what_is_locked_stays(run: Callable[[Test], None]) -> None:
    async def test(room: Room) -> None:
        await room.enable()
        locked = {"ObjectLockEnabled": "Enabled"}
        await room.call("PutObjectLockConfiguration", Bucket=BUCKET, ObjectLockConfiguration=locked)
        await room.rule({"NoncurrentVersionExpiration": {"NoncurrentDays": 1}})
        version = await room.put("a")
        hold = {"Status": "ON"}
        await room.call("PutObjectLegalHold", Bucket=BUCKET, Key="a", VersionId=version, LegalHold=hold)
        await room.put("a")
        assert await room.after(5) == 0
        hold = {"Status": "OFF"}
        await room.call("PutObjectLegalHold", Bucket=BUCKET, Key="a", VersionId=version, LegalHold=hold)
        assert await room.after(1) == 1

    run(test)


def test_stale_uploads_are_aborted(run: Callable[[Test], None]) -> None:
    async def test(room: Room) -> None:
        await room.rule({"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}})
        await room.call("CreateMultipartUpload", Bucket=BUCKET, Key="a")
        assert await room.after(0.2) == 0
        assert await room.after(2) == 1
        assert not (await room.call("ListMultipartUploads", Bucket=BUCKET)).get("Uploads")

    run(test)


def test_rules_that_are_disabled_or_gone_do_nothing(run: Callable[[Test], None]) -> None:
    async def test(room: Room) -> None:
        await room.put("a")
        await room.rule({"Status": "Disabled", "Expiration": {"Days": 1}})
        assert await room.after(5) == 0
        await room.call("DeleteBucketLifecycle", Bucket=BUCKET)
        assert await room.after(5) == 0
        assert await room.versions() == ["a"]

    run(test)


@pytest.mark.parametrize(
    ("filter_", "matches"),
    [
        ({}, True),
        ({"Prefix": "a/"}, True),
        ({"Prefix": "b/"}, False),
        ({"Tag": {"Key": "k", "Value": "v"}}, True),
        ({"Tag": {"Key": "k", "Value": "w"}}, False),
        ({"ObjectSizeGreaterThan": 10}, False),
        ({"ObjectSizeGreaterThan": 9}, True),
        ({"ObjectSizeLessThan": 10}, False),
        ({"And": {"Prefix": "a/", "Tags": [{"Key": "k", "Value": "v"}], "ObjectSizeLessThan": 11}}, True),
        ({"And": {"Prefix": "a/", "Tags": [{"Key": "k", "Value": "v"}, {"Key": "l", "Value": "v"}]}}, False),
    ],
)
def test_filters(filter_: dict[str, Any], matches: bool) -> None:
    rule = {"ID": "r", "Status": "Enabled", "Filter": filter_}
    assert applies(rule, Subject("a/b", 10, {"k": "v"})) is matches


def test_the_first_expiration_is_told() -> None:
    rules = [
        {"ID": "late one", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 30}},
        {"ID": "first", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}},
    ]
    at_ms = 1_763_700_000_000  # 2025-11-21 04:40 UTC
    assert due_ms({"Days": 1}, at_ms) == 1_763_856_000_000
    told = expiration_of(rules, Subject("k", 1, {}), at_ms)
    assert told == 'expiry-date="Sun, 23 Nov 2025 00:00:00 GMT", rule-id="first"'
