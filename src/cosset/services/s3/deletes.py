"""Objects are deleted, one or many at once; with versions what is left is a delete marker."""

from collections.abc import Mapping, Sequence
from typing import Any

from cosset.identity.ports import Requirement
from cosset.services.operation import Context, Params, Result, no_requirements, operation
from cosset.services.s3.bucket_book import need_bucket
from cosset.services.s3.errors import access_denied, malformed_xml
from cosset.services.s3.events import event_of
from cosset.services.s3.finding import check_version
from cosset.services.s3.keys import check_key
from cosset.services.s3.locks import check_deletable
from cosset.services.s3.mfa_deletes import MfaDeletes, check_shown
from cosset.services.s3.model import Bucket, Versioning
from cosset.services.s3.object_requirements import deletion, object_arn, on_delete
from cosset.services.s3.object_writes import ObjectWrites
from cosset.services.s3.ports import Rights
from cosset.services.s3.preconditions import check_delete
from cosset.services.s3.versions import (
    ObjectVersion,
    Replaced,
    delete_latest,
    delete_version,
    find_latest,
    find_version,
    was_given,
)
from cosset.store.database import Transaction
from cosset.wire.errors import ServiceError

_MOST = 1_000
_CONDITIONS = {"ETag": "IfMatch", "LastModifiedTime": "IfMatchLastModifiedTime", "Size": "IfMatchSize"}


class Deletes:
    def __init__(self, writes: ObjectWrites, rights: Rights, mfa: MfaDeletes) -> None:
        self._mfa = mfa
        self._writes = writes
        self._store = writes.store
        self._files = writes.files
        self._clock = writes.clock
        self._rights = rights

    @operation("DeleteObject", on_delete)
    async def delete_object(self, ctx: Context, params: Params) -> Result:
        check_key(params["Key"])
        check_version(params.get("VersionId"))
        bypasses = bool(params.get("BypassGovernanceRetention"))
        is_shown = await self._mfa.is_shown(ctx, params.get("MFA"))

        def work(tx: Transaction) -> tuple[Replaced, dict[str, Any]]:
            bucket = _need_bucket(tx, params)
            if params.get("VersionId") is not None:
                check_shown(tx, bucket, is_shown=is_shown)
            return self._delete(tx, ctx, bucket, params, bypasses=bypasses)

        replaced, told = await self._store.write(work, frees=True)
        await self._files.remove(replaced.orphans)
        return told

    @operation("DeleteObjects", no_requirements)
    async def delete_objects(self, ctx: Context, params: Params) -> Result:
        """Every object needs its own right: what is refused stands among the errors of the answer. A second factor is
        needed for all or none."""
        wanted: Sequence[Mapping[str, Any]] = params["Delete"]["Objects"]
        if not 1 <= len(wanted) <= _MOST or not all(each["Key"] for each in wanted):
            raise malformed_xml()
        is_shown = await self._mfa.is_shown(ctx, params.get("MFA"))
        names_versions = any(each.get("VersionId") for each in wanted)
        await self._store.read(lambda tx: _need_bucket(tx, params))
        bypasses = bool(params.get("BypassGovernanceRetention"))
        allowed = [await self._may_delete(ctx, params["Bucket"], each, bypasses=bypasses) for each in wanted]

        def work(tx: Transaction) -> tuple[list[str], list[dict[str, Any]], list[dict[str, Any]]]:
            bucket = need_bucket(tx, params["Bucket"])
            if names_versions:
                check_shown(tx, bucket, is_shown=is_shown)
            orphans: list[str] = []
            deleted: list[dict[str, Any]] = []
            failed: list[dict[str, Any]] = []
            for each, is_allowed in zip(wanted, allowed, strict=True):
                named = {name: each[name] for name in ("Key", "VersionId") if each.get(name)}
                try:
                    if not is_allowed:
                        raise access_denied()
                    replaced, told = self._delete_one(tx, ctx, bucket, each, bypasses=bypasses)
                except ServiceError as error:
                    failed.append({**named, "Code": error.code, "Message": error.message})
                    continue
                orphans += replaced.orphans
                deleted.append(named | told)
            return orphans, deleted, failed

        orphans, deleted, failed = await self._store.write(work, frees=True)
        await self._files.remove(orphans)
        result: Result = {}
        if deleted and not params["Delete"].get("Quiet"):
            result["Deleted"] = deleted
        if failed:
            result["Errors"] = failed
        return result

    async def _may_delete(self, ctx: Context, bucket: str, each: Mapping[str, Any], *, bypasses: bool) -> bool:
        arn = object_arn(bucket, each["Key"])
        needed = [deletion(arn, each.get("VersionId") or None)]
        if bypasses:
            needed.append(Requirement("s3:BypassGovernanceRetention", arn))
        return await self._rights.may(ctx, needed)

    def _delete_one(
        self, tx: Transaction, ctx: Context, bucket: Bucket, each: Mapping[str, Any], *, bypasses: bool
    ) -> tuple[Replaced, dict[str, Any]]:
        """One of many: as DeleteObject, told in other words. An id that was never given is refused, one whose version
        is gone is not (recorded: test_delete_objects_versioned)."""
        check_key(each["Key"])
        params = {"Key": each["Key"], "VersionId": each.get("VersionId") or None}
        params |= {name: each[given] for given, name in _CONDITIONS.items() if given in each}
        version = params["VersionId"]
        if version is not None and not was_given(version):
            raise ServiceError("NoSuchVersion", "The specified version does not exist.", status=404)
        replaced, told = self._delete(tx, ctx, bucket, params, bypasses=bypasses)
        if not told.get("DeleteMarker"):
            return replaced, {}
        return replaced, {"DeleteMarker": True, "DeleteMarkerVersionId": told["VersionId"]}

    def _delete(
        self, tx: Transaction, ctx: Context, bucket: Bucket, params: Mapping[str, Any], *, bypasses: bool
    ) -> tuple[Replaced, dict[str, Any]]:
        """What it did, and what the caller is told."""
        key, version, now_ms = params["Key"], params.get("VersionId"), self._clock.now_ms()
        found = find_latest(tx, bucket.name, key) if version is None else find_version(tx, bucket.name, key, version)
        check_delete(found, key, params)
        if version is None:
            return self._delete_latest(tx, ctx, bucket, key, found, now_ms)
        if found is None:
            return Replaced(None), {"VersionId": version}
        check_deletable(found.facts, now_ms, bypasses=bypasses)
        replaced = delete_version(tx, bucket, found)
        self._tell(tx, ctx, bucket, "ObjectRemoved:Delete", found, now_ms)
        told: dict[str, Any] = {} if bucket.versioning is Versioning.NEVER else {"VersionId": version}
        return replaced, {**told, "DeleteMarker": True} if found.is_marker else told

    def _delete_latest(
        self, tx: Transaction, ctx: Context, bucket: Bucket, key: str, found: ObjectVersion | None, now_ms: int
    ) -> tuple[Replaced, dict[str, Any]]:
        replaced = delete_latest(tx, bucket, key, ctx.account, now_ms)
        if replaced.version is not None:
            self._tell(tx, ctx, bucket, "ObjectRemoved:DeleteMarkerCreated", replaced.version, now_ms)
            return replaced, {"DeleteMarker": True, "VersionId": replaced.version.version}
        if found is not None:
            self._tell(tx, ctx, bucket, "ObjectRemoved:Delete", found, now_ms)
        return replaced, {}

    def _tell(
        self, tx: Transaction, ctx: Context, bucket: Bucket, name: str, version: ObjectVersion, now_ms: int
    ) -> None:
        is_gone = name == "ObjectRemoved:Delete"
        self._writes.events.happened(tx, event_of(ctx, bucket, name, version, now_ms, is_gone=is_gone))


def _need_bucket(tx: Transaction, params: Mapping[str, Any]) -> Bucket:
    """Recorded: test_delete_object_with_no_locking. Raises: ServiceError NoSuchBucket, InvalidArgument."""
    bucket = need_bucket(tx, params["Bucket"])
    if params.get("BypassGovernanceRetention") is not None and not bucket.has_object_lock:
        sentence = "x-amz-bypass-governance-retention is only applicable to Object Lock enabled buckets."
        raise ServiceError("InvalidArgument", sentence, fields={"ArgumentName": "x-amz-bypass-governance-retention"})
    return bucket
