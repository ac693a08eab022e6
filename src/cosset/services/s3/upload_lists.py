"""Lists of uploads that are under way, and of the parts of one.

Recorded: TestS3ListMultipartUploads, test_multipart_and_list_parts.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, tuple_

from cosset.services.operation import Context, Params, Result, operation
from cosset.services.s3.bucket_book import need_bucket
from cosset.services.s3.errors import invalid_argument
from cosset.services.s3.keys import check_encoding, shown_key
from cosset.services.s3.listing import beyond, fold
from cosset.services.s3.owners import shown_owner
from cosset.services.s3.requirements import on_bucket, on_object
from cosset.services.s3.tables import s3_uploads
from cosset.services.s3.uploads import Upload, UploadedPart, need_upload, parts_of, read_upload
from cosset.store.database import Store
from cosset.store.transaction import Transaction

_PAGE = 1_000
_MAX = 2_147_483_647


class UploadLists:
    def __init__(self, store: Store) -> None:
        self._store = store

    @operation("ListParts", on_object("ListMultipartUploadParts"))
    async def list_parts(self, ctx: Context, params: Params) -> Result:
        after = params.get("PartNumberMarker") or 0
        _check_range("part-number-marker", after)
        limit = _limit(params, "MaxParts", "max-parts")

        def read(tx: Transaction) -> tuple[Upload, list[UploadedPart]]:
            need_bucket(tx, params["Bucket"])
            upload = need_upload(tx, params["Bucket"], params["Key"], params["UploadId"])
            return upload, parts_of(tx, upload.id, after, limit + 1)

        upload, parts = await self._store.read(read)
        shown, more = parts[:limit], len(parts) > limit
        result: Result = {
            "Bucket": upload.bucket,
            "Key": upload.key,
            "UploadId": upload.id,
            "PartNumberMarker": after,
            "NextPartNumberMarker": shown[-1].number if shown else 0,
            "MaxParts": limit,
            "IsTruncated": more,
            **_whose(upload),
        }
        if upload.is_asked:
            result |= {"ChecksumAlgorithm": upload.algorithm, "ChecksumType": upload.checksum_type}
        if shown:
            result["Parts"] = [_shown_part(upload, part) for part in shown]
        return result

    @operation("ListMultipartUploads", on_bucket("ListBucketMultipartUploads"))
    async def list_multipart_uploads(self, ctx: Context, params: Params) -> Result:
        encoding = check_encoding(params)
        limit = _limit(params, "MaxUploads", "max-uploads")
        key_marker, id_marker = params.get("KeyMarker") or "", params.get("UploadIdMarker") or ""
        id_marker = id_marker if key_marker else ""

        def read(tx: Transaction) -> tuple[list[Upload | bytes], bool]:
            need_bucket(tx, params["Bucket"])
            if id_marker:
                _check_marker(tx, key_marker, id_marker)
            return _page(tx, params, key_marker.encode(), id_marker, limit)

        found, more = await self._store.read(read)
        uploads = [each for each in found if isinstance(each, Upload)]
        prefixes = [each for each in found if isinstance(each, bytes)]
        last = _marker_of(found, bool(uploads))
        result: Result = {
            "Bucket": params["Bucket"],
            "KeyMarker": shown_key(key_marker.encode(), encoding),
            "UploadIdMarker": id_marker,
            "NextKeyMarker": shown_key(last[0], encoding),
            "NextUploadIdMarker": last[1],
            "MaxUploads": limit,
            "IsTruncated": more,
        }
        for name in ("Prefix", "Delimiter"):
            if params.get(name):
                result[name] = shown_key(params[name].encode(), encoding)
        if encoding:
            result["EncodingType"] = encoding
        if uploads:
            result["Uploads"] = [_shown_upload(each, encoding) for each in uploads]
        if prefixes:
            result["CommonPrefixes"] = [{"Prefix": shown_key(each, encoding)} for each in prefixes]
        return result


def _page(
    tx: Transaction, params: Mapping[str, Any], key_marker: bytes, id_marker: str, limit: int
) -> tuple[list[Upload | bytes], bool]:
    """Uploads by key and age, those below a delimiter folded into common prefixes; and whether there are more."""
    prefix, delimiter = (params.get("Prefix") or "").encode(), (params.get("Delimiter") or "").encode()
    columns, found = s3_uploads.c, list[Upload | bytes]()
    order = (columns.key, columns.id)
    query = select(s3_uploads).where(columns.bucket == params["Bucket"]).order_by(*order)
    query = query.where(columns.key >= prefix) if prefix else query
    if end := beyond(prefix):
        query = query.where(columns.key < end)
    if key_marker and (folded := fold(key_marker, prefix, delimiter)) is not None:
        page = query.where(columns.key >= beyond(folded))
    elif id_marker:
        page = query.where(tuple_(columns.key, columns.id) > tuple_(key_marker, id_marker))
    else:
        page = query.where(columns.key > key_marker) if key_marker else query
    while True:
        rows = tx.execute(page.limit(limit + 1)).all()
        for row in rows:
            folded = fold(bytes(row.key), prefix, delimiter)
            if folded is not None and found and found[-1] == folded:
                continue
            if len(found) == limit:
                return found, bool(limit)
            found.append(read_upload(row) if folded is None else folded)
        if len(rows) <= limit:
            return found, False
        if folded is not None:
            page = query.where(columns.key >= beyond(folded))
        else:
            page = query.where(tuple_(columns.key, columns.id) > tuple_(bytes(rows[-1].key), rows[-1].id))


def _marker_of(found: list[Upload | bytes], has_uploads: bool) -> tuple[bytes, str]:
    """Where the next page begins. A page of prefixes only tells nothing (recorded), a prefix behind uploads its name:
    or the next page would tell it again."""
    if not has_uploads:
        return b"", ""
    last = found[-1]
    return (last, "") if isinstance(last, bytes) else (last.key.encode(), last.id)


def _check_marker(tx: Transaction, key: str, upload_id: str) -> None:
    """Raises: ServiceError InvalidArgument, for the id of an upload of another key."""
    there = tx.execute(select(s3_uploads.c.key).where(s3_uploads.c.id == upload_id)).scalar()
    if there is not None and bytes(there) != key.encode():
        raise invalid_argument("Invalid uploadId marker", "upload-id-marker", upload_id)


def _limit(params: Mapping[str, Any], name: str, shown: str) -> int:
    """Raises: ServiceError InvalidArgument."""
    asked = params.get(name)
    if asked is None:
        return _PAGE
    _check_range(shown, asked)
    return min(int(asked), _PAGE)


def _check_range(shown: str, asked: int) -> None:
    """Raises: ServiceError InvalidArgument."""
    if not 0 <= asked <= _MAX:
        raise invalid_argument(f"Argument {shown} must be an integer between 0 and {_MAX}", shown, str(asked))


def _whose(upload: Upload) -> dict[str, Any]:
    facts, initiator = upload.object_facts, upload.facts["initiator"]
    is_root = initiator["arn"].endswith(":root")
    return {
        "Initiator": shown_owner(facts["owner"])
        if is_root
        else {"ID": initiator["arn"], "DisplayName": initiator["arn"].rpartition("/")[2]},
        "Owner": shown_owner(facts["owner"]),
        "StorageClass": facts.get("storage_class", "STANDARD"),
    }


def _shown_upload(upload: Upload, encoding: str | None) -> dict[str, Any]:
    shown = {
        "Key": shown_key(upload.key.encode(), encoding),
        "UploadId": upload.id,
        "Initiated": upload.initiated_ms / 1000,
        **_whose(upload),
    }
    if upload.is_asked:
        shown |= {"ChecksumAlgorithm": upload.algorithm, "ChecksumType": upload.checksum_type}
    return shown


def _shown_part(upload: Upload, part: UploadedPart) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "PartNumber": part.number,
        "LastModified": part.modified_ms / 1000,
        "ETag": f'"{part.etag}"',
        "Size": part.size,
    }
    if upload.is_asked:
        shown[f"Checksum{upload.algorithm}"] = part.checksum
    return shown
