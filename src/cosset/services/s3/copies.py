"""CopyObject and UploadPartCopy: an object out of another one.

Where nothing about the bytes changes none are copied: the copy has links of its own to the same files.
Recorded: test_s3_copy_*, TestS3Multipart::test_upload_part_copy_*, TestS3ObjectWritePrecondition::test_copy_*.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from cosset.identity.ports import Requirement
from cosset.services.operation import Context, Params, Result, operation
from cosset.services.s3.checksums import DEFAULT, FULL_OBJECT, Digests, read_algorithm
from cosset.services.s3.copy_sources import CopySource, read_source
from cosset.services.s3.customer_keys import opens
from cosset.services.s3.encryption import Encryption, shown_encryption
from cosset.services.s3.errors import access_denied, invalid_argument, no_such_key
from cosset.services.s3.finding import Finder
from cosset.services.s3.homes import Home
from cosset.services.s3.keys import check_key
from cosset.services.s3.model import Bucket, Versioning
from cosset.services.s3.multipart import Multipart, check_part_number, part_key
from cosset.services.s3.object_facts import check_readable, shown_checksum
from cosset.services.s3.object_files import Span, Stored
from cosset.services.s3.object_requirements import object_arn, on_copy, on_part_copy
from cosset.services.s3.object_writes import NewObject, ObjectWrites, etag_of
from cosset.services.s3.objects import LARGEST
from cosset.services.s3.ports import Rights
from cosset.services.s3.preconditions import check_read, check_write, check_write_headers
from cosset.services.s3.ranges import read_copy_range
from cosset.services.s3.versions import ObjectVersion
from cosset.wire.errors import ServiceError

_CHANGES = ("StorageClass", "WebsiteRedirectLocation", "ServerSideEncryption", "SSECustomerAlgorithm", "SSEKMSKeyId")
_TRIES = 3
_ITSELF = (
    "This copy request is illegal because it is trying to copy an object to itself without changing the object's "
    "metadata, storage class, website redirect location or encryption attributes."
)


@dataclass(frozen=True, slots=True)
class _Source:
    bucket: Bucket
    version: ObjectVersion
    key: bytes | None
    """What opens it, where a customer's key sealed it."""

    @property
    def shown(self) -> dict[str, str]:
        if self.bucket.versioning is Versioning.NEVER or self.version.version == "null":
            return {}
        return {"CopySourceVersionId": self.version.version}


class Copies:
    def __init__(self, writes: ObjectWrites, finder: Finder, multipart: Multipart, rights: Rights) -> None:
        self._writes = writes
        self._files = writes.files
        self._finder = finder
        self._multipart = multipart
        self._rights = rights

    @operation("CopyObject", on_copy)
    async def copy_object(self, ctx: Context, params: Params) -> Result:
        check_key(params["Key"])
        check_write_headers(params)
        _check_directives(params)
        for left in reversed(range(_TRIES)):
            source = await self._source(ctx, params)
            try:
                return await self._copy(ctx, params, source)
            except FileNotFoundError:
                if not left:
                    raise
        raise no_such_key(params["Key"])

    async def _copy(self, ctx: Context, params: Params, source: _Source) -> Result:
        home = await self._writes.find_home(params["Bucket"])
        _check_changes(params, source, home)
        if source.version.size > LARGEST:
            raise _too_large()
        await self._check_tags(ctx, params, source.version)
        facts, encryption = self._facts(ctx, home, params, source.version)
        new = await self._bytes(params, source.version, source.key, facts, encryption)
        bucket, version = await self._writes.commit(ctx, new, params, "ObjectCreated:Copy")
        told = {
            "ETag": f'"{version.etag}"',
            "LastModified": version.modified_ms // 1000,
            **shown_checksum(version.facts),
        }
        result: Result = {"CopyObjectResult": told, **source.shown, **shown_encryption(version.facts, to_writer=True)}
        if bucket.versioning is not Versioning.NEVER:
            result["VersionId"] = version.version
        return result

    async def _check_tags(self, ctx: Context, params: Params, source: ObjectVersion) -> None:
        """Tags that come with the copy are read and put with rights of their own. Raises: ServiceError AccessDenied."""
        if params.get("TaggingDirective") == "REPLACE" or not source.facts.get("tags"):
            return
        named = read_source(params["CopySource"])
        infix = "" if named.version is None else "Version"
        needed = [
            Requirement(f"s3:GetObject{infix}Tagging", object_arn(named.bucket, named.key)),
            Requirement("s3:PutObjectTagging", object_arn(params["Bucket"], params["Key"])),
        ]
        if not await self._rights.may(ctx, needed):
            raise access_denied()

    def _facts(
        self, ctx: Context, home: Home, params: Params, source: ObjectVersion
    ) -> tuple[dict[str, Any], Encryption]:
        """Of the copy: its own storage class, lock and encryption; headers and metadata, and tags, as directed."""
        tagging = params.get("Tagging") if params.get("TaggingDirective") == "REPLACE" else None
        facts, encryption = self._writes.facts(ctx, home, {**params, "Tagging": tagging})
        if params.get("MetadataDirective") != "REPLACE":
            redirect = facts["headers"].get("WebsiteRedirectLocation")
            kept = {name: value for name, value in source.facts["headers"].items() if name != "WebsiteRedirectLocation"}
            facts["headers"] = kept | ({"WebsiteRedirectLocation": redirect} if redirect is not None else {})
            facts.pop("metadata", None)
            if "metadata" in source.facts:
                facts["metadata"] = source.facts["metadata"]
        if params.get("TaggingDirective") != "REPLACE" and "tags" in source.facts:
            facts["tags"] = source.facts["tags"]
        return facts, encryption

    async def _bytes(
        self, params: Params, source: ObjectVersion, key: bytes | None, facts: dict[str, Any], encryption: Encryption
    ) -> NewObject:
        """Links where the bytes and their checksum stay what they are; else they are read, and written again."""
        there = source.facts.get("checksum")
        wanted = read_algorithm(params.get("ChecksumAlgorithm"))
        algorithm = wanted or (there["algorithm"] if there else DEFAULT)
        has_checksum = there is not None and there["algorithm"] == algorithm and there["type"] == FULL_OBJECT
        plain = key is None and encryption.key is None and not encryption.hides_md5
        has_md5 = "-" not in source.etag and "encryption" not in source.facts
        if plain and has_checksum and has_md5:
            facts["checksum"] = there
            return NewObject(params["Key"], await self._files.link(source.stored), source.etag, facts)
        digests = Digests(algorithm)
        body = await self._files.read(source.stored, Span(0, source.size), key)
        if key is None and encryption.key is None:
            # The bytes stay what they are: they are read for their digests only.
            stored = await self._files.link(source.stored)
            async with self._writes.kept(stored):
                await count(body, digests)
        else:
            stored = await self._files.write(body, digests, key=encryption.secret)
        facts["checksum"] = {"algorithm": algorithm, "value": digests.value(algorithm), "type": FULL_OBJECT}
        return NewObject(params["Key"], stored, etag_of(digests, encryption), facts)

    @operation("UploadPartCopy", on_part_copy)
    async def upload_part_copy(self, ctx: Context, params: Params) -> Result:
        check_key(params["Key"])
        check_part_number(params)
        upload = await self._multipart.find(params)
        secret = part_key(upload, params)
        for left in reversed(range(_TRIES)):
            source = await self._source(ctx, params)
            size = source.version.size
            span = read_copy_range(params.get("CopySourceRange"), size) or Span(0, size)
            if span.length > LARGEST:
                raise _too_large()
            digests = Digests(upload.algorithm)
            try:
                body = await self._files.read(source.version.stored, span, source.key)
                break
            except FileNotFoundError:
                if not left:
                    raise
        stored = await self._part(source.version, span, body, digests, source.key, secret)
        async with self._writes.kept(stored):
            part = await self._multipart.keep(upload, params, stored, digests)
        told: dict[str, Any] = {"ETag": f'"{part.etag}"', "LastModified": part.modified_ms // 1000}
        if upload.is_asked:
            told[f"Checksum{upload.algorithm}"] = part.checksum
        return {"CopyPartResult": told, **source.shown, **shown_encryption(upload.object_facts)}

    async def _part(
        self,
        source: ObjectVersion,
        span: Span,
        body: AsyncIterator[bytes],
        digests: Digests,
        key: bytes | None,
        secret: bytes | None,
    ) -> Stored:
        """A whole object is linked, of a range the bytes are copied."""
        if key is None and secret is None and span.length == source.size and len(source.stored.files) == 1:
            stored = await self._files.link(source.stored)
            async with self._writes.kept(stored):
                await count(body, digests)
            return stored
        return await self._files.write(body, digests, key=secret, may_inline=False)

    async def _source(self, ctx: Context, params: Mapping[str, Any]) -> _Source:
        """Raises: ServiceError."""
        named = read_source(params["CopySource"])
        bucket, version = await self._find(ctx, named)
        now_ms = self._writes.clock.now_ms()
        check_read(version, params, now_ms, "CopySource")
        check_readable(version.facts, now_ms)
        key = opens(version.facts.get("encryption", {}).get("customer"), params, "CopySource")
        return _Source(bucket, version, key)

    async def _find(self, ctx: Context, named: CopySource) -> tuple[Bucket, ObjectVersion]:
        params: dict[str, Any] = {"Bucket": named.bucket, "Key": named.key}
        if named.version is not None:
            params["VersionId"] = named.version
        try:
            return await self._finder.find(ctx, params, "GET")
        except ServiceError as error:
            if error.code == "MethodNotAllowed":
                sentence = "The source of a copy request may not specifically refer to a delete marker by version id."
                raise ServiceError("InvalidRequest", sentence) from error
            raise


async def count(body: AsyncIterator[bytes], digests: Digests) -> None:
    """Reads a body for its digests."""
    async for chunk in body:
        await asyncio.to_thread(digests.update, chunk)


def _too_large() -> ServiceError:
    sentence = f"The specified copy source is larger than the maximum allowable size for a copy source: {LARGEST}"
    return ServiceError("InvalidRequest", sentence)


def _check_directives(params: Mapping[str, Any]) -> None:
    for name, header in (
        ("MetadataDirective", "x-amz-metadata-directive"),
        ("TaggingDirective", "x-amz-tagging-directive"),
    ):
        if params.get(name) not in (None, "COPY", "REPLACE"):
            raise invalid_argument("Unknown metadata directive.", header, str(params[name]))


def _check_changes(params: Mapping[str, Any], source: _Source, home: Home) -> None:
    """A copy of an object to itself must change something: said to whose conditions hold (recorded:
    test_copy_object_if_none_match_in_place). Raises: ServiceError InvalidRequest, PreconditionFailed.
    """
    named = read_source(params["CopySource"])
    is_itself = (named.bucket, named.key) == (params["Bucket"], params["Key"])
    if not is_itself or named.version is not None or params.get("MetadataDirective") == "REPLACE":
        return
    if any(params.get(name) is not None for name in _CHANGES) or home.encryption is not None:
        return
    if home.bucket.versioning is Versioning.SUSPENDED or source.version.facts.get("encryption"):
        return
    check_write(source.version, params["Key"], params)
    raise ServiceError("InvalidRequest", _ITSELF)
