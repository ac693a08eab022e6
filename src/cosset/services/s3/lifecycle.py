"""Lifecycle rules are carried out: objects expire, old versions go, storage classes change, stale uploads are aborted.

A pass looks at all keys of a bucket; one node does it, whichever claims it first. What a pass finds is decided again in
the transaction that does it: a version that was replaced in the meantime stays. What is locked stays, too. Read next:
lifecycle_plan.py, what is due; lifecycle_rules.py, the rules themselves.
"""

import logging
from collections.abc import Sequence
from functools import partial

from sqlalchemy import select

from cosset.clock import Clock
from cosset.observe import causes
from cosset.services.s3.bucket_book import find_bucket, put_setting, read_setting
from cosset.services.s3.events import own_event_of
from cosset.services.s3.kinds import Kind
from cosset.services.s3.lifecycle_plan import Act, Step, is_stale, plan
from cosset.services.s3.lifecycle_rules import Rule
from cosset.services.s3.model import Bucket
from cosset.services.s3.object_files import ObjectFiles
from cosset.services.s3.ports import ObjectEvent, ObjectEvents
from cosset.services.s3.tables import s3_bucket_settings, s3_uploads, s3_versions
from cosset.services.s3.uploads import end_upload, find_upload, read_upload
from cosset.services.s3.versions import ObjectVersion, change_facts, delete_latest, delete_version, version_of_row
from cosset.store.database import Store
from cosset.store.transaction import Transaction

logger = logging.getLogger(__name__)

PASS_S = 3600
_KEYS = 200
"""Keys that are looked at in one transaction."""


class Lifecycle:
    """`run` makes a pass over every bucket whose turn it is."""

    def __init__(
        self,
        store: Store,
        files: ObjectFiles,
        events: ObjectEvents,
        clock: Clock,
        recorder: causes.CauseRecorder | None = None,
    ) -> None:
        self._recorder = recorder or causes.Unrecorded()
        self._store = store
        self._files = files
        self._events = events
        self._clock = clock

    async def run(self) -> int:
        """How much was done."""
        query = select(s3_bucket_settings.c.bucket).where(s3_bucket_settings.c.kind == Kind.LIFECYCLE)
        done = 0
        for name in await self._store.read(lambda tx: list(tx.execute(query).scalars())):
            if await self._store.write(partial(self._claim, name=name)):
                done += await self._pass(name)
        return done

    def _claim(self, tx: Transaction, name: str) -> bool:
        """One node does a bucket's pass; where it dies, another does the next."""
        now_ms = self._clock.now_ms()
        last_ms = read_setting(tx, name, Kind.LIFECYCLE_PASS)
        if last_ms is not None and now_ms - last_ms < PASS_S * 1000:
            return False
        put_setting(tx, name, Kind.LIFECYCLE_PASS, now_ms)
        return True

    async def _pass(self, name: str) -> int:
        done, after = 0, b""
        while True:
            keys, due = await self._store.read(partial(self._look, name=name, after=after))
            for key in due:
                done += await self._do(name, key)
            if len(keys) < _KEYS:
                break
            after = keys[-1]
        return done + await self._abort_uploads(name)

    def _look(self, tx: Transaction, name: str, after: bytes) -> tuple[Sequence[bytes], list[bytes]]:
        """The next keys, and those of them about which there is something to do."""
        columns = s3_versions.c
        query = select(columns.key).where(columns.bucket == name, columns.key > after).distinct()
        keys = [bytes(key) for key in tx.execute(query.order_by(columns.key).limit(_KEYS)).scalars()]
        bucket, rules = _rules(tx, name)
        if bucket is None or not rules:
            return (), []
        return keys, [key for key in keys if plan(_versions(tx, name, key), rules, self._clock.now_ms())]

    async def _do(self, name: str, key: bytes) -> int:
        def work(tx: Transaction) -> tuple[list[str], list[ObjectEvent]]:
            bucket, rules = _rules(tx, name)
            if bucket is None:
                return [], []
            orphans: list[str] = []
            told: list[ObjectEvent] = []
            for step in plan(_versions(tx, name, key), rules, self._clock.now_ms()):
                orphans += self._take(tx, bucket, step, told)
            return orphans, told

        orphans, told = await self._store.write(work, frees=True)
        for event in told:
            self._recorder.happened(_step_of(event))
        await self._files.remove(orphans)
        return len(told)

    def _take(self, tx: Transaction, bucket: Bucket, step: Step, told: list[ObjectEvent]) -> Sequence[str]:
        version, now_ms = step.version, self._clock.now_ms()
        if step.act is Act.MOVE:
            change_facts(tx, version, storage_class=step.storage_class)
            told.append(self._tell(tx, bucket, "LifecycleTransition", version))
            return ()
        if step.act is Act.EXPIRE:
            replaced = delete_latest(tx, bucket, version.key, bucket.account, now_ms)
            if replaced.version is not None:
                told.append(self._tell(tx, bucket, "LifecycleExpiration:DeleteMarkerCreated", replaced.version))
                return replaced.orphans
        else:
            replaced = delete_version(tx, bucket, version)
        told.append(self._tell(tx, bucket, "LifecycleExpiration:Delete", version))
        return replaced.orphans

    def _tell(self, tx: Transaction, bucket: Bucket, name: str, version: ObjectVersion) -> ObjectEvent:
        event = own_event_of(bucket, name, version, self._clock.now_ms())
        self._events.happened(tx, event)
        return event

    async def _abort_uploads(self, name: str) -> int:
        columns = s3_uploads.c

        def find(tx: Transaction) -> list[tuple[str, str]]:
            _, rules = _rules(tx, name)
            query = select(s3_uploads).where(columns.bucket == name)
            uploads = [read_upload(row) for row in tx.execute(query)]
            now_ms = self._clock.now_ms()
            return [(each.key, each.id) for each in uploads if is_stale(rules, each.key, each.initiated_ms, now_ms)]

        stale = await self._store.read(find)
        for key, upload_id in stale:

            def work(tx: Transaction, key: str = key, upload_id: str = upload_id) -> tuple[str, ...]:
                upload = find_upload(tx, name, key, upload_id)
                return () if upload is None else end_upload(tx, upload)

            await self._files.remove(await self._store.write(work, frees=True))
        return len(stale)


def _step_of(event: ObjectEvent) -> causes.Step:
    """Nobody's call has caused it."""
    return causes.Step(
        kind=causes.StepKind.OBJECT,
        id=event.step_id,
        account=event.bucket.account,
        region=event.bucket.region,
        resource=f"{event.bucket.arn}/{event.key}",
        at_ms=event.now_ms,
        name=event.name,
    )


def _rules(tx: Transaction, name: str) -> tuple[Bucket | None, Sequence[Rule]]:
    found = read_setting(tx, name, Kind.LIFECYCLE)
    return find_bucket(tx, name), () if found is None else found["Rules"]


def _versions(tx: Transaction, name: str, key: bytes) -> list[ObjectVersion]:
    columns = s3_versions.c
    query = select(s3_versions).where(columns.bucket == name, columns.key == key)
    return [version_of_row(row) for row in tx.execute(query.order_by(columns.seq.desc()))]
