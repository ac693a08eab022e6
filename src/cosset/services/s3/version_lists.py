"""Lists of all versions and delete markers. Recorded: TestS3ListObjectVersions."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from cosset.services.operation import Context, Params, Result, operation
from cosset.services.s3.bucket_book import need_bucket
from cosset.services.s3.errors import invalid_argument
from cosset.services.s3.keys import check_encoding, shown_key
from cosset.services.s3.listing import Entry, Walk, list_versions
from cosset.services.s3.lists import page_size
from cosset.services.s3.object_facts import check_optional, restore_status
from cosset.services.s3.owners import shown_owner
from cosset.services.s3.requirements import on_list
from cosset.services.s3.tables import s3_versions
from cosset.services.s3.versions import given_at_ms
from cosset.store.database import Store
from cosset.store.transaction import Transaction


class VersionLists:
    def __init__(self, store: Store) -> None:
        self._store = store

    @operation("ListObjectVersions", on_list("ListBucketVersions"))
    async def list_object_versions(self, ctx: Context, params: Params) -> Result:
        key_marker, version_marker = params.get("KeyMarker") or "", params.get("VersionIdMarker") or ""
        encoding, limit = check_encoding(params), page_size(params)
        if version_marker and not key_marker:
            sentence = "A version-id marker cannot be specified without a key marker."
            raise invalid_argument(sentence, "version-id-marker", version_marker)

        def read(tx: Transaction) -> tuple[list[Entry], bool]:
            need_bucket(tx, params["Bucket"])
            walk = _walk(tx, params, key_marker.encode(), version_marker)
            return list_versions(tx, walk, limit) if limit else ([], False)

        found, more = await self._store.read(read)
        place = {"KeyMarker": shown_key(key_marker.encode(), encoding), "VersionIdMarker": version_marker}
        if more:
            place["NextKeyMarker"] = shown_key(found[-1].name, encoding)
            if found[-1].row is not None:
                place["NextVersionIdMarker"] = found[-1].row.version
        return _shown(found, params, encoding, {**place, "MaxKeys": limit, "IsTruncated": more})


def _walk(tx: Transaction, params: Mapping[str, Any], after: bytes, version: str) -> Walk:
    bucket = params["Bucket"]
    below = _number_of(tx, bucket, after, version) if version else None
    prefix, delimiter = (params.get("Prefix") or "").encode(), (params.get("Delimiter") or "").encode()
    return Walk(bucket, prefix, delimiter, after, below)


def _number_of(tx: Transaction, bucket: str, key: bytes, version: str) -> int | None:
    """Of a version that is a marker, also after it was deleted: what is older than it comes next, then.

    Raises: ServiceError InvalidArgument.
    """
    columns = s3_versions.c
    query = select(columns.seq).where(columns.bucket == bucket, columns.key == key)
    found: int | None = tx.execute(query.where(columns.version == version)).scalar()
    if found is not None:
        return found
    given_ms = given_at_ms(version)
    if given_ms is None:
        raise invalid_argument("Invalid version id specified", "version-id-marker", version)
    newer = query.where(columns.modified_ms > given_ms).order_by(columns.seq).limit(1)
    oldest_newer: int | None = tx.execute(newer).scalar()
    return 2**62 if oldest_newer is None else oldest_newer


def _shown(found: Sequence[Entry], params: Mapping[str, Any], encoding: str | None, place: Mapping[str, Any]) -> Result:
    """In the order in which S3 writes it; `place`: where in the list of all it is."""
    prefix = shown_key((params.get("Prefix") or "").encode(), encoding)
    result: Result = {"Name": params["Bucket"], "Prefix": prefix, **place}
    if params.get("Delimiter"):
        result["Delimiter"] = shown_key(params["Delimiter"].encode(), encoding)
    if encoding:
        result["EncodingType"] = encoding
    with_restore = check_optional(params)
    shown = [each for each in found if each.row is not None and not each.row.is_marker]
    versions = [_version(each, encoding, with_restore=with_restore) for each in shown]
    markers = [_marker(each, encoding) for each in found if each.row is not None and each.row.is_marker]
    prefixes = [{"Prefix": shown_key(each.name, encoding)} for each in found if each.is_prefix]
    named = {"Versions": versions, "DeleteMarkers": markers, "CommonPrefixes": prefixes}
    return result | {name: entries for name, entries in named.items() if entries}


def _marker(entry: Entry, encoding: str | None) -> dict[str, Any]:
    assert entry.row is not None
    return {
        "Key": shown_key(entry.name, encoding),
        "VersionId": entry.row.version,
        "IsLatest": entry.row.is_latest,
        "LastModified": entry.row.modified_ms // 1000,
        "Owner": shown_owner(entry.row.facts.get("owner", "")),
    }


def _version(entry: Entry, encoding: str | None, *, with_restore: bool) -> dict[str, Any]:
    assert entry.row is not None
    facts = entry.row.facts
    shown = _marker(entry, encoding) | {
        "ETag": f'"{entry.row.etag}"',
        "Size": entry.row.size,
        "StorageClass": facts.get("storage_class", "STANDARD"),
    }
    if "checksum" in facts:
        shown |= {"ChecksumAlgorithm": [facts["checksum"]["algorithm"]], "ChecksumType": facts["checksum"]["type"]}
    return shown | restore_status(facts) if with_restore else shown
