"""Objects are deleted, one or many at once; with versions what is left is a delete marker."""

from collections.abc import Mapping, Sequence
from typing import Any

from cosset.clock import Clock
from cosset.identity.ports import Requirement
from cosset.services.operation import Context, Params, Result, operation
from cosset.services.s3.bucket_book import need_bucket
from cosset.services.s3.errors import malformed_xml
from cosset.services.s3.keys import check_key
from cosset.services.s3.model import Bucket, Versioning
from cosset.services.s3.object_files import ObjectFiles
from cosset.services.s3.requirements import on_version
from cosset.services.s3.versions import NULL_VERSION, Replaced, delete_latest, delete_version, find_version
from cosset.store.database import Store, Transaction

_MOST = 1_000


def _on_each(ctx: Context, params: Params) -> Sequence[Requirement]:
    """DeleteObjects: each object's own action. AWS answers what is refused among the errors; here all of it is."""
    arn = f"arn:aws:s3:::{params['Bucket']}/"
    return [
        Requirement("s3:DeleteObject" if "VersionId" not in each else "s3:DeleteObjectVersion", arn + each["Key"])
        for each in params["Delete"]["Objects"][:_MOST]
    ]


class Deletes:
    def __init__(self, store: Store, files: ObjectFiles, clock: Clock) -> None:
        self._store = store
        self._files = files
        self._clock = clock

    @operation("DeleteObject", on_version("DeleteObject"))
    async def delete_object(self, ctx: Context, params: Params) -> Result:
        check_key(params["Key"])

        def work(tx: Transaction) -> tuple[Replaced, dict[str, Any]]:
            return self._delete(tx, need_bucket(tx, params["Bucket"]), params["Key"], params.get("VersionId"))

        replaced, told = await self._store.write(work, frees=True)
        await self._files.remove(replaced.orphans)
        return told

    @operation("DeleteObjects", _on_each)
    async def delete_objects(self, ctx: Context, params: Params) -> Result:
        wanted: Sequence[Mapping[str, Any]] = params["Delete"]["Objects"]
        if not 1 <= len(wanted) <= _MOST:
            raise malformed_xml()

        def work(tx: Transaction) -> tuple[list[str], list[dict[str, Any]], list[dict[str, Any]]]:
            bucket = need_bucket(tx, params["Bucket"])
            orphans: list[str] = []
            deleted: list[dict[str, Any]] = []
            failed: list[dict[str, Any]] = []
            for each in wanted:
                named = {name: each[name] for name in ("Key", "VersionId") if name in each}
                version = each.get("VersionId")
                if version is not None and not _is_version(version):
                    sentence = "The specified version does not exist."
                    failed.append({**named, "Code": "NoSuchVersion", "Message": sentence})
                    continue
                replaced, told = self._delete(tx, bucket, each["Key"], version)
                orphans += replaced.orphans
                deleted.append(named | _told_of_many(told))
            return orphans, deleted, failed

        orphans, deleted, failed = await self._store.write(work, frees=True)
        await self._files.remove(orphans)
        result: Result = {}
        if deleted and not params["Delete"].get("Quiet"):
            result["Deleted"] = deleted
        if failed:
            result["Errors"] = failed
        return result

    def _delete(
        self, tx: Transaction, bucket: Bucket, key: str, version: str | None
    ) -> tuple[Replaced, dict[str, Any]]:
        """What it did, and what the caller is told."""
        if version is None:
            replaced = delete_latest(tx, bucket, key, self._clock.now_ms())
            if replaced.version is None:
                return replaced, {}
            return replaced, {"DeleteMarker": True, "VersionId": replaced.version.version}
        found = find_version(tx, bucket.name, key, version)
        told: dict[str, Any] = {"VersionId": version}
        if found is None:
            return Replaced(None), told
        if found.is_marker:
            told["DeleteMarker"] = True
        if bucket.versioning is Versioning.NEVER and version == NULL_VERSION:
            told.pop("VersionId")
        return delete_version(tx, bucket, found), told


def _told_of_many(told: Mapping[str, Any]) -> dict[str, Any]:
    return {"DeleteMarker": True, "DeleteMarkerVersionId": told["VersionId"]} if told.get("DeleteMarker") else {}


def _is_version(version: str) -> bool:
    return version == NULL_VERSION or len(version) == 32
