"""Objects are put, read and asked about. Read next: versions.py (rows), object_files.py (bytes)."""

import base64
from collections.abc import Mapping
from typing import Any

from cosset.clock import Clock
from cosset.services.operation import Context, Params, Result, operation
from cosset.services.s3.bucket_book import need_bucket
from cosset.services.s3.checksums import FULL_OBJECT, Digests, given_checksum
from cosset.services.s3.errors import no_such_key
from cosset.services.s3.keys import check_key
from cosset.services.s3.model import Bucket, Versioning
from cosset.services.s3.object_facts import facts_of, is_md5, overridden, shown, shown_checksum
from cosset.services.s3.object_files import ObjectFiles, Span
from cosset.services.s3.preconditions import check_read, check_write, check_write_headers
from cosset.services.s3.ranges import content_range, read_range
from cosset.services.s3.requirements import on_object, on_version
from cosset.services.s3.versions import ObjectVersion, Replaced, find_latest, find_version, put_version
from cosset.store.database import Store, Transaction
from cosset.wire.errors import ServiceError

_LARGEST = 5 * 1024**3


class Objects:
    def __init__(self, store: Store, files: ObjectFiles, clock: Clock) -> None:
        self._store = store
        self._files = files
        self._clock = clock

    @operation("PutObject", on_object("PutObject"))
    async def put_object(self, ctx: Context, params: Params) -> Result:
        """The bytes are on disk before the object is; what was there before is there until then."""
        bucket, key = params["Bucket"], params["Key"]
        check_key(key)
        check_write_headers(params)
        await self._store.read(lambda tx: need_bucket(tx, bucket))
        given = given_checksum(params)
        digests = Digests(given[0] if given else params.get("ChecksumAlgorithm", "CRC64NVME"))
        stored = await self._files.write(params.get("Body", b""), digests)
        try:
            _check_body(params, digests, given)
            facts = facts_of(params, ctx.account)
            facts["checksum"] = {"algorithm": digests.algorithm, "value": digests.checksum, "type": FULL_OBJECT}

            def work(tx: Transaction) -> tuple[Bucket, Replaced]:
                owner = need_bucket(tx, bucket)
                check_write(find_latest(tx, bucket, key), key, params)
                new = ObjectVersion(key, "", True, False, stored.size, digests.md5, self._clock.now_ms(), stored, facts)
                return owner, put_version(tx, owner, new)

            owner, replaced = await self._store.write(work)
        except BaseException:
            await self._files.remove(name for name, _ in stored.files)
            raise
        await self._files.remove(replaced.orphans)
        assert replaced.version is not None
        result: Result = {"ETag": f'"{digests.md5}"', "ServerSideEncryption": "AES256", **shown_checksum(facts)}
        if owner.versioning is Versioning.ENABLED:
            result["VersionId"] = replaced.version.version
        return result

    @operation("GetObject", on_version("GetObject"))
    async def get_object(self, ctx: Context, params: Params) -> Result:
        bucket, found = await self._find(params)
        span = read_range(params.get("Range"), found.size)
        result = _described(bucket, found, params, span)
        result["Body"] = self._files.read(found.stored, span or Span(0, found.size))
        return overridden(_ranged(result, span, found.size), params)

    @operation("HeadObject", on_version("GetObject"))
    async def head_object(self, ctx: Context, params: Params) -> Result:
        bucket, found = await self._find(params)
        span = read_range(params.get("Range"), found.size)
        return overridden(_ranged(_described(bucket, found, params, span), span, found.size), params)

    async def _find(self, params: Mapping[str, Any]) -> tuple[Bucket, ObjectVersion]:
        """The version that is asked for, if its preconditions hold. Raises ServiceError."""
        name, key, version = params["Bucket"], params["Key"], params.get("VersionId")
        check_key(key)

        def read(tx: Transaction) -> tuple[Bucket, ObjectVersion | None]:
            bucket = need_bucket(tx, name)
            latest = find_latest(tx, name, key) if version is None else find_version(tx, name, key, version)
            return bucket, latest

        bucket, found = await self._store.read(read)
        found = _need_object(found, key, version)
        check_read(found, params, self._clock.now_ms())
        return bucket, found


def _described(bucket: Bucket, found: ObjectVersion, params: Mapping[str, Any], span: Span | None) -> dict[str, Any]:
    """The checksum is the whole object's: a range goes without it."""
    asked = str(params.get("ChecksumMode", "")).upper() == "ENABLED"
    return shown(
        found,
        is_versioned=bucket.versioning is not Versioning.NEVER,
        with_checksum=asked and (span is None or span.length == found.size),
    )


def _need_object(found: ObjectVersion | None, key: str, version: str | None) -> ObjectVersion:
    """Raises ServiceError NoSuchKey, NoSuchVersion, MethodNotAllowed: for what is no object that can be read."""
    if found is None:
        if version is None:
            raise no_such_key(key)
        sentence = "The specified version does not exist."
        raise ServiceError("NoSuchVersion", sentence, status=404, fields={"Key": key, "VersionId": version})
    if not found.is_marker:
        return found
    if version is None:
        raise no_such_key(key)
    sentence = "The specified method is not allowed against this resource."
    fields = {"Method": "GET", "ResourceType": "DeleteMarker"}
    raise ServiceError("MethodNotAllowed", sentence, status=405, fields=fields)


def _ranged(result: dict[str, Any], span: Span | None, size: int) -> dict[str, Any]:
    if span is None:
        return {**result, "ContentLength": size}
    return {**result, "ContentLength": span.length, "ContentRange": content_range(span, size)}


def _check_body(params: Mapping[str, Any], digests: Digests, given: tuple[str, str] | None) -> None:
    """What the caller said of the body. Raises ServiceError BadDigest, InvalidDigest, EntityTooLarge."""
    if digests.size > _LARGEST:
        fields = {"ProposedSize": str(digests.size), "MaxSizeAllowed": str(_LARGEST)}
        raise ServiceError("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", fields=fields)
    md5 = params.get("ContentMD5")
    if md5 is not None:
        if not is_md5(md5):
            sentence = "The Content-MD5 you specified was invalid."
            raise ServiceError("InvalidDigest", sentence, fields={"Content-MD5": md5})
        counted = base64.b64encode(bytes.fromhex(digests.md5)).decode()
        if counted != md5:
            fields = {"ExpectedDigest": md5, "CalculatedDigest": counted}
            sentence = "The Content-MD5 you specified did not match what we received."
            raise ServiceError("BadDigest", sentence, fields=fields)
    if given is not None and given[1] != digests.checksum:
        sentence = f"The {given[0]} you specified did not match the calculated checksum."
        raise ServiceError("BadDigest", sentence)
