"""Uploads in parts: begun, filled, given up. Completing them: completions.py; lists: upload_lists.py."""

from collections.abc import Mapping
from typing import Any

from cosset.services.operation import Context, Params, Result, operation
from cosset.services.s3.bucket_access import check_grants
from cosset.services.s3.bucket_book import need_bucket
from cosset.services.s3.checksums import (
    COMPOSITE,
    DEFAULT,
    FULL_OBJECT,
    HASHES,
    Digests,
    compare,
    given_checksum,
    read_algorithm,
)
from cosset.services.s3.customer_keys import read_key
from cosset.services.s3.encryption import shown_encryption
from cosset.services.s3.errors import invalid_argument
from cosset.services.s3.keys import check_key
from cosset.services.s3.object_files import Stored
from cosset.services.s3.object_requirements import on_part, on_put
from cosset.services.s3.object_writes import ObjectWrites
from cosset.services.s3.objects import check_body, check_length
from cosset.services.s3.preconditions import not_implemented
from cosset.services.s3.requirements import on_object
from cosset.services.s3.uploads import (
    MOST_PARTS,
    Upload,
    UploadedPart,
    add_upload,
    end_upload,
    need_upload,
    new_upload_id,
    put_part,
)
from cosset.services.s3.versions import find_latest
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError

_ONLY_FULL = frozenset({"CRC64NVME"})


class Multipart:
    def __init__(self, writes: ObjectWrites) -> None:
        self._writes = writes
        self._store = writes.store
        self._files = writes.files
        self._clock = writes.clock

    @operation("CreateMultipartUpload", on_put)
    async def create_multipart_upload(self, ctx: Context, params: Params) -> Result:
        bucket, key, now_ms = params["Bucket"], params["Key"], self._clock.now_ms()
        check_key(key)
        counting = _counting(params)
        home = await self._writes.find_home(bucket)
        facts, _ = self._writes.facts(ctx, home, params)
        initiator = {"arn": ctx.principal.arn, "id": ctx.account}

        def work(tx: Transaction) -> Upload:
            found = need_bucket(tx, bucket)
            if "acl" in facts:
                check_grants(tx, ctx, found, facts["acl"], "PutObject", key)
            there = find_latest(tx, bucket, key)
            seq = 0 if there is None or there.is_marker else there.seq
            kept = {**counting, "object": facts, "there": seq, "initiator": initiator}
            upload = Upload(new_upload_id(now_ms), bucket, key, now_ms, kept)
            add_upload(tx, upload)
            return upload

        upload = await self._store.write(work)
        result: Result = {"Bucket": bucket, "Key": key, "UploadId": upload.id}
        result |= shown_encryption(facts, to_writer=True)
        if upload.is_asked:
            result |= {"ChecksumAlgorithm": upload.algorithm, "ChecksumType": upload.checksum_type}
        return result

    @operation("UploadPart", on_part)
    async def upload_part(self, ctx: Context, params: Params) -> Result:
        check_key(params["Key"])
        check_part_number(params)
        check_length(params)
        upload = await self.find(params)
        given = given_checksum(params)
        further = given[0] if given is not None else read_algorithm(params.get("ChecksumAlgorithm"))
        _check_algorithm(upload, further)
        secret = part_key(upload, params)
        digests = Digests(*dict.fromkeys((upload.algorithm, further or upload.algorithm)))
        stored = await self._files.write(params.get("Body", b""), digests, key=secret, may_inline=False)
        async with self._writes.kept(stored):
            check_body(params, digests)
            compare(given, digests)
            part = await self.keep(upload, params, stored, digests)
        result: Result = {"ETag": f'"{part.etag}"', **shown_encryption(upload.object_facts)}
        if further is not None or upload.is_asked:
            named = further or upload.algorithm
            result[f"Checksum{named}"] = digests.value(named)
        return result

    @operation("AbortMultipartUpload", on_object("AbortMultipartUpload"))
    async def abort_multipart_upload(self, ctx: Context, params: Params) -> None:
        if params.get("IfMatchInitiatedTime") is not None:
            raise not_implemented("x-amz-if-match-initiated-time")

        def work(tx: Transaction) -> tuple[str, ...]:
            need_bucket(tx, params["Bucket"])
            return end_upload(tx, need_upload(tx, params["Bucket"], params["Key"], params["UploadId"]))

        await self._files.remove(await self._store.write(work, frees=True))

    async def find(self, params: Mapping[str, Any]) -> Upload:
        """Raises: ServiceError NoSuchBucket, NoSuchUpload."""

        def read(tx: Transaction) -> Upload:
            need_bucket(tx, params["Bucket"])
            return need_upload(tx, params["Bucket"], params["Key"], params["UploadId"])

        return await self._store.read(read)

    async def keep(self, upload: Upload, params: Mapping[str, Any], stored: Stored, digests: Digests) -> UploadedPart:
        """The part's row, once its bytes are on disk. Raises: ServiceError NoSuchUpload, if it ended meanwhile."""
        part = UploadedPart(
            params["PartNumber"],
            digests.size,
            digests.md5,
            self._clock.now_ms(),
            stored,
            digests.value(upload.algorithm),
        )

        def work(tx: Transaction) -> tuple[str, ...]:
            return put_part(tx, need_upload(tx, upload.bucket, upload.key, upload.id), part)

        await self._files.remove(await self._store.write(work))
        return part


def part_key(upload: Upload, params: Mapping[str, Any]) -> bytes | None:
    """The customer's key for a part: the one that the upload began with.

    Recorded: test_multipart_upload_sse_c_validation.

    Raises: ServiceError InvalidRequest.
    """
    kept = upload.object_facts.get("encryption", {}).get("customer")
    key = read_key(params)
    if (kept is None) != (key is None):
        raise ServiceError(
            "InvalidRequest",
            "The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate "
            "encryption parameters.",
        )
    if key is None or kept is None:
        return None
    if not key.fits(kept):
        sentence = "The provided encryption parameters did not match the ones used originally."
        raise ServiceError("InvalidRequest", sentence)
    return key.secret


def check_part_number(params: Mapping[str, Any]) -> None:
    """Raises: ServiceError InvalidArgument."""
    number = params["PartNumber"]
    if not 1 <= number <= MOST_PARTS:
        sentence = f"Part number must be an integer between 1 and {MOST_PARTS}, inclusive"
        raise invalid_argument(sentence, "partNumber", str(number))


def _counting(params: Mapping[str, Any]) -> dict[str, Any]:
    """How the upload's checksum is counted. Recorded: TestS3MultipartUploadChecksum. Raises: ServiceError."""
    asked, kind = read_algorithm(params.get("ChecksumAlgorithm")), params.get("ChecksumType")
    if asked is None:
        if kind is not None:
            raise ServiceError(
                "InvalidRequest",
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
            )
        return {"algorithm": DEFAULT, "type": FULL_OBJECT, "asked": False}
    if kind not in (None, COMPOSITE, FULL_OBJECT):
        raise invalid_argument("Value for x-amz-checksum-type header is invalid.", "x-amz-checksum-type", str(kind))
    kind = kind or (FULL_OBJECT if asked in _ONLY_FULL else COMPOSITE)
    if (kind == COMPOSITE and asked in _ONLY_FULL) or (kind == FULL_OBJECT and asked in HASHES):
        sentence = f"The {kind} checksum type cannot be used with the {asked.lower()} checksum algorithm."
        raise ServiceError("InvalidRequest", sentence)
    return {"algorithm": asked, "type": kind, "asked": True}


def _check_algorithm(upload: Upload, named: str | None) -> None:
    """A checksum of checksums is made of those that came with the parts: none may lack its own (seen in reports of
    UploadPart); that of the whole is counted here.

    Raises: ServiceError InvalidRequest (recorded: upload-part-different-checksum-exc).
    """
    is_missing = named is None and upload.checksum_type == COMPOSITE
    if upload.is_asked and (is_missing or named not in (None, upload.algorithm)):
        expected, actual = upload.algorithm.lower(), (named or "null").lower()
        sentence = (
            f"Checksum Type mismatch occurred, expected checksum Type: {expected}, actual checksum Type: {actual}"
        )
        raise ServiceError("InvalidRequest", sentence)
