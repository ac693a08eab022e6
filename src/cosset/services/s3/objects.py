"""Objects are put, read and asked about. Read next: object_writes.py, versions.py (rows), object_files.py (bytes)."""

import base64
from collections.abc import Mapping
from typing import Any

from cosset.identity.principal import PrincipalKind
from cosset.services.operation import Context, Params, Result, operation
from cosset.services.s3.checksums import (
    COMPOSITE,
    DEFAULT,
    FULL_OBJECT,
    Digests,
    compare,
    given_checksum,
    read_algorithm,
)
from cosset.services.s3.customer_keys import opens
from cosset.services.s3.errors import invalid_argument, no_such_key
from cosset.services.s3.finding import Finder
from cosset.services.s3.keys import check_key
from cosset.services.s3.model import Bucket, Versioning
from cosset.services.s3.object_facts import check_readable, is_md5, overridden, shown
from cosset.services.s3.object_files import Span
from cosset.services.s3.object_requirements import on_put
from cosset.services.s3.object_writes import NewObject, ObjectWrites, etag_of, shown_write
from cosset.services.s3.places import IF_RANGE, POSTED
from cosset.services.s3.preconditions import check_read, check_write_headers, has_not_changed
from cosset.services.s3.ranges import content_range, read_part, read_range
from cosset.services.s3.requirements import on_version
from cosset.services.s3.uploads import MOST_PARTS
from cosset.services.s3.versions import ObjectVersion
from cosset.wire.errors import ServiceError

LARGEST = 5 * 1024**3
"""What one upload, or one part of one, may carry."""

_TRIES = 3
"""Looks for an object that is being overwritten faster than its files can be opened."""


class Objects:
    def __init__(self, writes: ObjectWrites, finder: Finder) -> None:
        self._writes = writes
        self._files = writes.files
        self._clock = writes.clock
        self._finder = finder

    @operation("PutObject", on_put)
    async def put_object(self, ctx: Context, params: Params) -> Result:
        """The bytes are on disk before the object is; what was there before is there until then."""
        check_key(params["Key"])
        check_write_headers(params)
        check_length(params)
        home = await self._writes.find_home(params["Bucket"])
        facts, encryption = self._writes.facts(ctx, home, params)
        given = given_checksum(params)
        named = read_algorithm(params.get("ChecksumAlgorithm"))
        algorithm = given[0] if given is not None else named or DEFAULT
        digests = Digests(algorithm)
        stored = await self._files.write(params.get("Body", b""), digests, key=encryption.secret)
        async with self._writes.kept(stored):
            check_body(params, digests)
            compare(given, digests)
        facts["checksum"] = {"algorithm": algorithm, "value": digests.value(algorithm), "type": FULL_OBJECT}
        new = NewObject(params["Key"], stored, etag_of(digests, encryption), facts)
        event = "ObjectCreated:Post" if POSTED in params else "ObjectCreated:Put"
        return shown_write(*await self._writes.commit(ctx, new, params, event))

    @operation("GetObject", on_version("GetObject"))
    async def get_object(self, ctx: Context, params: Params) -> Result:
        if ctx.principal.kind is PrincipalKind.ANONYMOUS and any(name.startswith("Response") for name in params):
            sentence = "Request specific response headers cannot be used for anonymous GET requests."
            raise ServiceError("InvalidRequest", sentence)
        for left in reversed(range(_TRIES)):
            bucket, found = await self._find(ctx, params)
            check_readable(found.facts, self._clock.now_ms())
            span, parts_count = _span(params, found)
            key = opens(found.facts.get("encryption", {}).get("customer"), params)
            result = _described(bucket, found, params, span, parts_count)
            try:
                result["Body"] = await self._files.read(found.stored, span or Span(0, found.size), key)
            except FileNotFoundError:
                if not left:
                    raise
                continue  # overwritten or deleted since the row was read: what is there now?
            return overridden(result, params)
        raise no_such_key(params["Key"])

    @operation("HeadObject", on_version("GetObject"))
    async def head_object(self, ctx: Context, params: Params) -> Result:
        bucket, found = await self._find(ctx, params)
        opens(found.facts.get("encryption", {}).get("customer"), params)
        span, parts_count = _span(params, found)
        return overridden(_described(bucket, found, params, span, parts_count), params)

    async def _find(self, ctx: Context, params: Mapping[str, Any]) -> tuple[Bucket, ObjectVersion]:
        """The version that is asked for, if its preconditions hold. Raises ServiceError."""
        if params.get("Range") is not None and params.get("PartNumber") is not None:
            sentence = "Cannot specify both Range header and partNumber query parameter"
            raise ServiceError("InvalidRequest", sentence)
        bucket, found = await self._finder.find(ctx, params, "GET")
        check_read(found, params, self._clock.now_ms())
        return bucket, found


def check_length(params: Mapping[str, Any]) -> None:
    """Before the body is read. Raises: ServiceError EntityTooLarge."""
    length = params.get("ContentLength")
    if length is not None and length > LARGEST:
        raise _too_large(length)


def check_body(params: Mapping[str, Any], digests: Digests) -> None:
    """What the caller said of the body. Raises ServiceError BadDigest, InvalidDigest, EntityTooLarge."""
    if digests.size > LARGEST:
        raise _too_large(digests.size)
    md5 = params.get("ContentMD5")
    if md5 is None:
        return
    if not is_md5(md5):
        sentence = "The Content-MD5 you specified was invalid."
        raise ServiceError("InvalidDigest", sentence, fields={"Content-MD5": md5})
    counted = base64.b64encode(bytes.fromhex(digests.md5)).decode()
    if counted != md5:
        # Seen in reports: of an object S3 tells what it expected in hexadecimal, of a part as it came.
        expected = md5 if "PartNumber" in params else base64.b64decode(md5).hex()
        fields = {"ExpectedDigest": expected, "CalculatedDigest": counted}
        sentence = "The Content-MD5 you specified did not match what we received."
        raise ServiceError("BadDigest", sentence, fields=fields)


def _too_large(size: int) -> ServiceError:
    fields = {"ProposedSize": str(size), "MaxSizeAllowed": str(LARGEST)}
    return ServiceError("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", fields=fields)


def _span(params: Mapping[str, Any], found: ObjectVersion) -> tuple[Span | None, int | None]:
    """The bytes that are asked for (None: all), and how many parts there are, where a part is."""
    number = params.get("PartNumber")
    if number is None:
        is_same = has_not_changed(found, params.get(IF_RANGE))
        return read_range(params.get("Range") if is_same else None, found.size), None
    if not 1 <= number <= MOST_PARTS:
        sentence = "Part number must be an integer between 1 and 10000, inclusive"
        raise invalid_argument(sentence, "partNumber", str(number))
    return read_part(number, found)


def _part_checksum(found: ObjectVersion, number: int) -> dict[str, Any]:
    """Kept of parts where the checksum of the whole is made of theirs."""
    checksum = found.facts.get("checksum", {})
    if checksum.get("type") != COMPOSITE or found.parts is None:
        return {}
    return {f"Checksum{checksum['algorithm']}": found.parts[number - 1].checksum, "ChecksumType": COMPOSITE}


def _described(
    bucket: Bucket, found: ObjectVersion, params: Mapping[str, Any], span: Span | None, parts_count: int | None
) -> dict[str, Any]:
    """The checksum is the whole object's, or that of a part: a range goes without it."""
    asked = str(params.get("ChecksumMode", "")).upper() == "ENABLED"
    result = shown(
        found,
        is_versioned=bucket.versioning is not Versioning.NEVER,
        with_checksum=asked and (span is None or span.length == found.size),
    )
    if parts_count is not None:
        result |= {"PartsCount": parts_count, **(_part_checksum(found, params["PartNumber"]) if asked else {})}
    if span is None:
        return {**result, "ContentLength": found.size}
    return {**result, "ContentLength": span.length, "ContentRange": content_range(span, found.size)}
