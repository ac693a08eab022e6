"""How an object comes to be, whichever call made it: its bytes first, then its row, what is owed to others with it.

PutObject, CopyObject, CompleteMultipartUpload and browser forms all end here.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from cosset.clock import Clock
from cosset.services.operation import Context, Result
from cosset.services.s3.acl import OWNED, grants_of
from cosset.services.s3.bucket_access import ENFORCED, PREFERRED, check_grants
from cosset.services.s3.bucket_book import need_bucket
from cosset.services.s3.checksums import Digests
from cosset.services.s3.encryption import Encryption, read_encryption, shown_encryption
from cosset.services.s3.events import event_of
from cosset.services.s3.homes import Home, kept_homes
from cosset.services.s3.locks import read_lock
from cosset.services.s3.model import Bucket, Versioning
from cosset.services.s3.object_facts import facts_of, shown_checksum
from cosset.services.s3.object_files import ObjectFiles, Stored
from cosset.services.s3.ports import ObjectEvents
from cosset.services.s3.preconditions import check_write, has_conditions
from cosset.services.s3.versions import ObjectVersion, Part, Replaced, find_latest, put_version
from cosset.store.database import Store
from cosset.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class NewObject:
    """What is to become the newest version. `named`: files of it that rows name already (parts)."""

    key: str
    stored: Stored
    etag: str
    facts: Mapping[str, Any]
    parts: tuple[Part, ...] | None = None
    named: tuple[str, ...] = field(default=())

    @property
    def size(self) -> int:
        return self.stored.size


class ObjectWrites:
    def __init__(self, store: Store, files: ObjectFiles, clock: Clock, events: ObjectEvents) -> None:
        self.store = store
        self.files = files
        self.clock = clock
        self.events = events
        self.find_home = kept_homes(store).get

    def facts(self, ctx: Context, home: Home, params: Mapping[str, Any]) -> tuple[dict[str, Any], Encryption]:
        """What the call's headers say of the object. Raises: ServiceError."""
        facts = facts_of(params, ctx.account)
        canned, whose = params.get("ACL"), home.bucket.account
        grants = grants_of(params, ctx.account, whose)
        if home.ownership == ENFORCED or (home.ownership == PREFERRED and canned == OWNED):
            facts["owner"] = whose
            grants = None if canned == OWNED else grants
        if grants is not None:
            facts["acl"] = grants
        encryption = read_encryption(ctx, params, home.encryption)
        if encryption.kept:
            facts["encryption"] = dict(encryption.kept)
        return facts | read_lock(home.bucket, params, home.retention, self.clock.now_ms()), encryption

    def put(
        self, tx: Transaction, ctx: Context, new: NewObject, home: Bucket, params: Mapping[str, Any], event: str
    ) -> Replaced:
        """In the caller's transaction, if the call's conditions hold.

        Raises: ServiceError PreconditionFailed, NoSuchKey.
        """
        if has_conditions(params):
            check_write(find_latest(tx, home.name, new.key), new.key, params)
        if "acl" in new.facts:
            check_grants(tx, ctx, home, new.facts["acl"], "PutObject", new.key)
        now_ms = self.clock.now_ms()
        version = ObjectVersion(
            new.key, "", True, False, new.size, new.etag, now_ms, new.stored, new.facts, parts=new.parts
        )
        replaced = put_version(tx, home, version, named=new.named)
        assert replaced.version is not None
        self.events.happened(tx, event_of(ctx, home, event, replaced.version, now_ms))
        return replaced

    async def commit(
        self, ctx: Context, new: NewObject, params: Mapping[str, Any], event: str
    ) -> tuple[Bucket, ObjectVersion]:
        """In a transaction of its own; where it fails the files of the object go."""

        def work(tx: Transaction) -> tuple[Bucket, Replaced]:
            home = need_bucket(tx, params["Bucket"])
            return home, self.put(tx, ctx, new, home, params, event)

        async with self.kept(new.stored):
            home, replaced = await self.store.write(work)
        await self.files.remove_soon(replaced.orphans)
        assert replaced.version is not None
        return home, replaced.version

    @asynccontextmanager
    async def kept(self, stored: Stored) -> AsyncIterator[None]:
        """Files that are not named by a row yet: they go where the block fails. Where it is cancelled they stay for the
        sweep: what was submitted to the store is committed all the same, and may name them."""
        try:
            yield
        except asyncio.CancelledError:
            raise
        except BaseException:
            await self.files.remove(stored.names)
            raise


def etag_of(digests: Digests, encryption: Encryption) -> str:
    """The MD5, or what is as long, where the object is encrypted with a key."""
    return secrets.token_hex(16) if encryption.hides_md5 else digests.md5


def shown_write(bucket: Bucket, version: ObjectVersion) -> Result:
    """The answer to PutObject, and what those to other writes share with it."""
    facts = version.facts
    result: Result = {"ETag": f'"{version.etag}"', **shown_encryption(facts, to_writer=True), **shown_checksum(facts)}
    if bucket.versioning is Versioning.ENABLED:
        result["VersionId"] = version.version
    return result
