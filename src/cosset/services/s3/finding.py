"""Finds the version that a call is about, and says in S3's words why there is none.

Recorded: test_s3_put_object_versioned, test_put_object_acl_on_delete_marker, TestS3ObjectLockRetention.
"""

import re
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

from cosset.services.operation import Context
from cosset.services.s3.bucket_access import ENFORCED, ownership_of
from cosset.services.s3.bucket_book import need_bucket
from cosset.services.s3.errors import access_denied, invalid_argument, no_such_key
from cosset.services.s3.keys import check_key
from cosset.services.s3.model import Bucket, Versioning
from cosset.services.s3.ports import Rights
from cosset.services.s3.requirements import listing_of
from cosset.services.s3.versions import NULL_VERSION, ObjectVersion, find_latest, find_version
from cosset.store.database import Store
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError

_VERSION = re.compile(r"[A-Za-z0-9._]{32}")


def check_version(version: str | None) -> None:
    """Raises: ServiceError InvalidArgument, for what cannot be the id of a version."""
    if version is None or version == NULL_VERSION or _VERSION.fullmatch(version):
        return
    sentence = "Invalid version id specified" if version else "Version id cannot be the empty string"
    raise invalid_argument(sentence, "versionId", version)


def find_named(
    tx: Transaction, params: Mapping[str, Any], method: str, *, latest_marker_is_told: bool = False
) -> tuple[Bucket, ObjectVersion]:
    """The object that `Bucket`, `Key` and `VersionId` name.

    Raises: ServiceError NoSuchBucket, NoSuchKey, NoSuchVersion, MethodNotAllowed (a delete marker that is named, or is
    the latest where that is told).
    """
    name, key, version = params["Bucket"], params["Key"], params.get("VersionId")
    bucket = need_bucket(tx, name)
    if bucket.versioning is Versioning.NEVER and version not in (None, NULL_VERSION):
        raise invalid_argument("Invalid version id specified", "versionId", str(version))
    found = find_latest(tx, name, key) if version is None else find_version(tx, name, key, version)
    if found is None:
        if version is None:
            raise no_such_key(key)
        sentence = "The specified version does not exist."
        raise ServiceError("NoSuchVersion", sentence, status=404, fields={"Key": key, "VersionId": version})
    if found.is_marker:
        raise _marker(found, method, is_told=version is not None or latest_marker_is_told)
    return bucket, found


def _marker(found: ObjectVersion, method: str, *, is_told: bool) -> ServiceError:
    headers = {"x-amz-delete-marker": "true", "x-amz-version-id": found.version}
    if not is_told:
        error = no_such_key(found.key)
        error.headers |= headers
        return error
    return ServiceError(
        "MethodNotAllowed",
        "The specified method is not allowed against this resource.",
        status=405,
        fields={"Method": method, "ResourceType": "DeleteMarker"},
        headers=headers | {"Allow": "DELETE", "Last-Modified": formatdate(found.modified_ms // 1000, usegmt=True)},
    )


class Finder:
    """For reading calls: who may not list a bucket is not told what is not in it."""

    def __init__(self, store: Store, rights: Rights) -> None:
        self._store = store
        self._rights = rights

    async def find(
        self, ctx: Context, params: Mapping[str, Any], method: str, *, latest_marker_is_told: bool = False
    ) -> tuple[Bucket, ObjectVersion]:
        """Raises: ServiceError, as `find_named`, and AccessDenied."""
        check_key(params["Key"])
        check_version(params.get("VersionId"))
        try:
            return await self._store.read(
                lambda tx: find_named(tx, params, method, latest_marker_is_told=latest_marker_is_told)
            )
        except ServiceError as error:
            if error.code in ("NoSuchKey", "NoSuchVersion") and not await self._rights.may(
                ctx, [listing_of(params["Bucket"])]
            ):
                raise access_denied() from error
            raise

    async def refused(self, ctx: Context, params: Mapping[str, Any], error: ServiceError) -> ServiceError:
        """Where objects have ACLs one that is missing has none that could let anybody in: whoever may list the bucket
        is told that it is missing."""
        name, key = params["Bucket"], params["Key"]

        def is_missing(tx: Transaction) -> bool:
            if params.get("VersionId") is not None or ownership_of(tx, name) == ENFORCED:
                return False
            found = find_latest(tx, name, key)
            return found is None or found.is_marker

        if error.status != 403 or not await self._store.read(is_missing):
            return error
        return no_such_key(key) if await self._rights.may(ctx, [listing_of(name)]) else error


def shown_version(bucket: Bucket, version: ObjectVersion) -> dict[str, str]:
    return {} if bucket.versioning is Versioning.NEVER else {"VersionId": version.version}
