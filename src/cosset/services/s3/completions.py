"""Completing an upload: its parts become an object without a byte of them being read or moved.

Recorded: TestS3MultipartUploadChecksum, TestS3ObjectWritePrecondition::test_multipart_*.
"""

import hashlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any
from urllib.parse import quote

from sqlalchemy import select

from cosset.services.operation import Context, Params, Result, operation
from cosset.services.s3.bucket_book import need_bucket
from cosset.services.s3.checksums import COMPOSITE, SIZES, combine, composite, given_checksum, wrong_checksum
from cosset.services.s3.encryption import shown_encryption
from cosset.services.s3.errors import invalid_argument, malformed_xml
from cosset.services.s3.keys import check_key
from cosset.services.s3.model import Bucket, Versioning
from cosset.services.s3.multipart import part_key
from cosset.services.s3.object_facts import shown_checksum
from cosset.services.s3.object_files import Stored
from cosset.services.s3.object_requirements import on_part
from cosset.services.s3.object_writes import NewObject, ObjectWrites
from cosset.services.s3.preconditions import check_write, check_write_headers
from cosset.services.s3.tables import s3_versions
from cosset.services.s3.uploads import Upload, UploadedPart, end_upload, find_upload, no_such_upload, parts_of
from cosset.services.s3.versions import ObjectVersion, Part, find_latest, version_of_row
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError

_SMALLEST = 5 * 1024 * 1024
"""Of every part but the last."""
_REMEMBERED = 100
"""Versions of a key that a repeated completion is looked for in."""


class Completions:
    def __init__(self, writes: ObjectWrites) -> None:
        self._writes = writes

    @operation("CompleteMultipartUpload", on_part)
    async def complete_multipart_upload(self, ctx: Context, params: Params) -> Result:
        """Again after it succeeded, it answers the same: the client may not have heard."""
        check_key(params["Key"])
        check_write_headers(params)
        listed: Sequence[Mapping[str, Any]] = (params.get("MultipartUpload") or {}).get("Parts") or ()
        if not listed:
            raise malformed_xml()

        def work(tx: Transaction) -> tuple[Bucket, ObjectVersion, tuple[str, ...]]:
            bucket = need_bucket(tx, params["Bucket"])
            upload = find_upload(tx, bucket.name, params["Key"], params["UploadId"])
            if upload is None:
                return bucket, _completed_before(tx, params), ()
            if "SSECustomerKey" in params:
                part_key(upload, params)
            new = _assemble(upload, _chosen(tx, upload, listed), params)
            _check_undisturbed(tx, upload, params)
            ended = end_upload(tx, upload, frozenset(part["PartNumber"] for part in listed))
            name = "ObjectCreated:CompleteMultipartUpload"
            replaced = self._writes.put(tx, ctx, new, bucket, params, name)
            assert replaced.version is not None
            return bucket, replaced.version, (*ended, *replaced.orphans)

        bucket, version, orphans = await self._writes.store.write(work)
        await self._writes.files.remove(orphans)
        return _shown(ctx, bucket, version)


def _completed_before(tx: Transaction, params: Mapping[str, Any]) -> ObjectVersion:
    """Raises: ServiceError NoSuchUpload."""
    columns = s3_versions.c
    query = select(s3_versions).where(columns.bucket == params["Bucket"], columns.key == params["Key"].encode())
    for row in tx.execute(query.order_by(columns.seq.desc()).limit(_REMEMBERED)):
        if row.facts.get("upload") == params["UploadId"]:
            return version_of_row(row)
    raise no_such_upload(params["UploadId"])


def _chosen(tx: Transaction, upload: Upload, listed: Sequence[Mapping[str, Any]]) -> list[UploadedPart]:
    """The parts that the caller lists. Raises: ServiceError InvalidPartOrder, InvalidPart, EntityTooSmall."""
    if any(each.get("PartNumber") is None or each.get("ETag") is None for each in listed):
        raise malformed_xml()
    numbers = [int(each["PartNumber"]) for each in listed]
    if min(numbers) < 1:
        raise invalid_argument("PartNumber must be >= 1", "PartNumber", str(min(numbers)))
    if any(first >= second for first, second in pairwise(numbers)):
        sentence = "The list of parts was not in ascending order. Parts must be ordered by part number."
        raise ServiceError("InvalidPartOrder", sentence, fields={"UploadId": upload.id})
    there = {part.number: part for part in parts_of(tx, upload.id)}
    chosen: list[UploadedPart] = []
    for each in listed:
        part, etag = there.get(each["PartNumber"]), str(each.get("ETag", "")).strip('"')
        if part is None or part.etag != etag:
            raise _invalid_part(upload, each["PartNumber"], etag)
        _check_part_checksum(upload, part, each)
        chosen.append(part)
    for part in chosen[:-1]:
        if part.size < _SMALLEST:
            fields = {
                "ProposedSize": str(part.size),
                "MinSizeAllowed": str(_SMALLEST),
                "PartNumber": str(part.number),
                "ETag": part.etag,
            }
            sentence = "Your proposed upload is smaller than the minimum allowed size"
            raise ServiceError("EntityTooSmall", sentence, fields=fields)
    return chosen


def _check_part_checksum(upload: Upload, part: UploadedPart, listed: Mapping[str, Any]) -> None:
    """Raises: ServiceError InvalidRequest, BadDigest, InvalidPart."""
    if not upload.is_asked:
        return
    given = {name: listed[f"Checksum{name}"] for name in SIZES if listed.get(f"Checksum{name}") is not None}
    algorithm = upload.algorithm
    if not given:
        if upload.checksum_type == COMPOSITE:
            raise ServiceError(
                "InvalidRequest",
                f"The upload was created using a {algorithm.lower()} checksum. The complete request must include the "
                f"checksum for each part. It was missing for part {part.number} in the request.",
            )
        return
    if given.get(algorithm) != part.checksum:
        if upload.checksum_type == COMPOSITE:
            sentence = f"The {algorithm.lower()} you specified for part {part.number} did not match what we received."
            raise ServiceError("BadDigest", sentence)
        raise _invalid_part(upload, part.number, part.etag)


def _invalid_part(upload: Upload, number: int, etag: str) -> ServiceError:
    sentence = (
        "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified "
        "entity tag may not match the part's entity tag."
    )
    fields = {"UploadId": upload.id, "PartNumber": str(number), "ETag": etag}
    return ServiceError("InvalidPart", sentence, fields=fields)


def _assemble(upload: Upload, parts: Sequence[UploadedPart], params: Mapping[str, Any]) -> NewObject:
    """Raises: ServiceError InvalidRequest, BadDigest."""
    stored = Stored(files=tuple(file for part in parts for file in part.stored.files))
    checksum = _whole_checksum(upload, parts, params)
    expected = params.get("MpuObjectSize")
    if expected is not None and expected != stored.size:
        sentence = "The provided 'x-amz-mp-object-size' header value does not match what was computed."
        raise ServiceError("InvalidRequest", sentence)
    digest = hashlib.md5(b"".join(bytes.fromhex(part.etag) for part in parts), usedforsecurity=False)
    shows = upload.checksum_type == COMPOSITE
    return NewObject(
        upload.key,
        stored,
        f"{digest.hexdigest()}-{len(parts)}",
        {**upload.object_facts, "checksum": checksum, "upload": upload.id},
        tuple(Part(part.number, part.size, part.checksum if shows else None) for part in parts),
        named=stored.names,
    )


def _whole_checksum(upload: Upload, parts: Sequence[UploadedPart], params: Mapping[str, Any]) -> dict[str, str]:
    kind, algorithm = params.get("ChecksumType"), upload.algorithm
    if upload.is_asked and kind is not None and kind != upload.checksum_type:
        raise ServiceError(
            "InvalidRequest",
            f"The upload was created using the {upload.checksum_type} checksum mode. The complete request must use the "
            "same checksum mode.",
        )
    if upload.checksum_type == COMPOSITE:
        value = composite(algorithm, [part.checksum for part in parts])
    else:
        value = combine(algorithm, [(part.checksum, part.size) for part in parts])
    given = given_checksum(params, may_have_parts=True)
    if given is not None and (given[0] != algorithm or given[1].partition("-")[0] != value.partition("-")[0]):
        raise wrong_checksum(given[0])
    return {"algorithm": algorithm, "value": value, "type": upload.checksum_type}


def _check_undisturbed(tx: Transaction, upload: Upload, params: Mapping[str, Any]) -> None:
    """A condition is about what was there all the time: where the key was written or deleted since the upload began it
    cannot hold. Raises: ServiceError ConditionalRequestConflict."""
    given = [name for name in ("If-Match", "If-None-Match") if params.get(name.replace("-", "")) is not None]
    if not given:
        return
    there = find_latest(tx, upload.bucket, upload.key)
    check_write(there, upload.key, params)
    if (0 if there is None or there.is_marker else there.seq) != upload.facts["there"]:
        raise ServiceError(
            "ConditionalRequestConflict",
            "The conditional request cannot succeed due to a conflicting operation against this resource.",
            status=409,
            fields={"Condition": given[0], "Key": upload.key},
        )


def _shown(ctx: Context, bucket: Bucket, version: ObjectVersion) -> Result:
    key = quote(version.key, safe="-_.~")
    encryption = shown_encryption(version.facts)
    result: Result = {
        "Location": f"{ctx.scheme}://{ctx.host}/{bucket.name}/{key}",
        "Bucket": bucket.name,
        "Key": version.key,
        "ETag": f'"{version.etag}"',
        **{name: value for name, value in encryption.items() if not name.startswith("SSECustomer")},
        **shown_checksum(version.facts),
    }
    if bucket.versioning is Versioning.ENABLED:
        result["VersionId"] = version.version
    return result
