"""What the answers about an object say of when a lifecycle rule will have it gone (`x-amz-expiration`), and those about
an upload of when one will give it up (`x-amz-abort-date`).

Buckets without rules cost nothing: which ones have some is kept until a bucket changes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cosset.services.operation import Context, Handler, Params, Result
from cosset.services.s3.bucket_book import read_setting
from cosset.services.s3.kinds import Kind
from cosset.services.s3.lifecycle_rules import Rule, Subject, abortion_of, expiration_of
from cosset.services.s3.places import CHANGES
from cosset.services.s3.uploads import initiated_ms_of
from cosset.services.s3.versions import find_latest, find_version
from cosset.store.database import Store
from cosset.store.kept import Kept
from cosset.store.transaction import Transaction

TELLING = frozenset({"PutObject", "GetObject", "HeadObject", "CopyObject", "CompleteMultipartUpload"})
TELLING_OF_UPLOADS = frozenset({"CreateMultipartUpload", "ListParts"})
_KEPT = 1_000


class Expirations:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._rules = Kept[str, Sequence[Rule]](lambda bucket: store.read(lambda tx: _read(tx, bucket)), _KEPT)
        self._rules.follow(store, CHANGES)

    def told(self, handler: Handler) -> Handler:
        """The same handler, whose answer tells."""

        async def handle(ctx: Context, params: Params) -> Result | None:
            result = await handler(ctx, params)
            expiration = await self._of(params["Bucket"], params["Key"], result or {})
            return result if expiration is None else {**(result or {}), "Expiration": expiration}

        return handle

    def told_of_uploads(self, handler: Handler) -> Handler:
        async def handle(ctx: Context, params: Params) -> Result | None:
            result = await handler(ctx, params) or {}
            rules = await self._rules.get(params["Bucket"])
            found = abortion_of(rules, params["Key"], initiated_ms_of(result["UploadId"])) if rules else None
            return result if found is None else {**result, "AbortDate": found[0] // 1000, "AbortRuleId": found[1]}

        return handle

    async def _of(self, bucket: str, key: str, result: Mapping[str, Any]) -> str | None:
        rules = await self._rules.get(bucket)
        if not rules:
            return None
        version = result.get("VersionId")
        return await self._store.read(lambda tx: _expiration(tx, bucket, key, version, rules))


def _read(tx: Transaction, bucket: str) -> Sequence[Rule]:
    found = read_setting(tx, bucket, Kind.LIFECYCLE)
    return () if found is None else tuple(found["Rules"])


def _expiration(tx: Transaction, bucket: str, key: str, version: str | None, rules: Sequence[Rule]) -> str | None:
    """Of the current version only: older ones go by rules of their own, which the header does not tell."""
    found = find_latest(tx, bucket, key) if version is None else find_version(tx, bucket, key, version)
    if found is None or found.is_marker or not found.is_latest:
        return None
    return expiration_of(rules, Subject(key, found.size, found.facts.get("tags") or {}), found.modified_ms)
