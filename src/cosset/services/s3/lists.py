"""Lists of current objects, in both generations. Of versions: `version_lists.py`."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from cosset.services.operation import Context, Params, Result, operation
from cosset.services.s3.bucket_book import need_bucket
from cosset.services.s3.errors import invalid_argument
from cosset.services.s3.keys import check_encoding, shown_key
from cosset.services.s3.listing import Entry, Walk, list_latest
from cosset.services.s3.object_facts import check_optional, restore_status
from cosset.services.s3.owners import shown_owner
from cosset.services.s3.requirements import on_list
from cosset.store.database import Store, Transaction

_PAGE = 1_000


class Lists:
    def __init__(self, store: Store) -> None:
        self._store = store

    @operation("ListObjects", on_list("ListBucket"))
    async def list_objects(self, ctx: Context, params: Params) -> Result:
        marker, encoding = params.get("Marker", ""), check_encoding(params)
        found, more, region = await self._walk(params, marker.encode())
        place = {"Marker": shown_key(marker.encode(), encoding)}
        if more and params.get("Delimiter"):
            place["NextMarker"] = shown_key(found[-1].name, encoding)
        return _shown(found, more, params, place, with_owner=True) | {"BucketRegion": region}

    @operation("ListObjectsV2", on_list("ListBucket"))
    async def list_objects_v2(self, ctx: Context, params: Params) -> Result:
        token, start = params.get("ContinuationToken"), params.get("StartAfter", "")
        after = start.encode() if token is None else _read_token(token)
        encoding = check_encoding(params)
        found, more, region = await self._walk(params, after)
        place: dict[str, Any] = {}
        if token is not None:
            place["ContinuationToken"] = token
        elif start:
            place["StartAfter"] = shown_key(start.encode(), encoding)
        if more:
            place["NextContinuationToken"] = _write_token(found[-1].name)
        place["KeyCount"] = len(found)
        with_owner = bool(params.get("FetchOwner"))
        return _shown(found, more, params, place, with_owner=with_owner) | {"BucketRegion": region}

    async def _walk(self, params: Mapping[str, Any], after: bytes) -> tuple[list[Entry], bool, str]:
        walk = Walk(params["Bucket"], params.get("Prefix", "").encode(), params.get("Delimiter", "").encode(), after)
        limit = page_size(params)

        def read(tx: Transaction) -> tuple[list[Entry], bool, str]:
            bucket = need_bucket(tx, walk.bucket)
            found, more = list_latest(tx, walk, limit) if limit else ([], False)
            return found, more, bucket.region

        return await self._store.read(read)


def page_size(params: Mapping[str, Any]) -> int:
    """Raises ServiceError InvalidArgument."""
    asked = int(params.get("MaxKeys", _PAGE))
    if asked < 0:
        sentence = "Argument maxKeys must be an integer between 0 and 2147483647"
        raise invalid_argument(sentence, "maxKeys", str(asked))
    return min(asked, _PAGE)


def _shown(
    found: Sequence[Entry], more: bool, params: Mapping[str, Any], place: Mapping[str, Any], *, with_owner: bool
) -> dict[str, Any]:
    """In the order in which S3 writes it; `place`: where in the list of all it is."""
    encoding = check_encoding(params)
    result: dict[str, Any] = {
        "Name": params["Bucket"],
        "Prefix": shown_key(params.get("Prefix", "").encode(), encoding),
        **place,
        "MaxKeys": page_size(params),
    }
    if params.get("Delimiter"):
        result["Delimiter"] = shown_key(params["Delimiter"].encode(), encoding)
    if encoding:
        result["EncodingType"] = encoding
    result["IsTruncated"] = more
    with_restore = check_optional(params)
    contents = [_object(each, encoding, with_owner=with_owner) for each in found if not each.is_prefix]
    if with_restore:
        restores = [restore_status(each.row.facts) for each in found if each.row is not None]
        contents = [each | restore for each, restore in zip(contents, restores, strict=True)]
    prefixes = [{"Prefix": shown_key(each.name, encoding)} for each in found if each.is_prefix]
    if contents:
        result["Contents"] = contents
    if prefixes:
        result["CommonPrefixes"] = prefixes
    return result


def _object(entry: Entry, encoding: str | None, *, with_owner: bool) -> dict[str, Any]:
    assert entry.row is not None
    facts = entry.row.facts
    shown: dict[str, Any] = {
        "Key": shown_key(entry.name, encoding),
        "LastModified": entry.row.modified_ms // 1000,
        "ETag": f'"{entry.row.etag}"',
    }
    if "checksum" in facts:
        shown |= {"ChecksumAlgorithm": [facts["checksum"]["algorithm"]], "ChecksumType": facts["checksum"]["type"]}
    shown["Size"] = entry.row.size
    if with_owner:
        shown["Owner"] = shown_owner(facts["owner"])
    return shown | {"StorageClass": facts.get("storage_class", "STANDARD")}


def _write_token(key: bytes) -> str:
    return base64.urlsafe_b64encode(b"1" + key).decode()


def _read_token(token: str) -> bytes:
    try:
        read = base64.urlsafe_b64decode(token.encode())
    except (ValueError, binascii.Error):
        read = b""
    if not read.startswith(b"1"):
        error = invalid_argument("The continuation token provided is incorrect", "continuation-token", "")
        del error.fields["ArgumentValue"]
        raise error
    return read[1:]
