"""Replication configurations: checked, kept and shown. Who carries them out: replicator.py, within one account."""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from cosset.identity.ports import Requirement
from cosset.services.operation import Context, Params, Result, operation
from cosset.services.s3.bucket_book import find_bucket
from cosset.services.s3.bucket_settings import BucketSettings, plain
from cosset.services.s3.errors import malformed_xml
from cosset.services.s3.kinds import Kind
from cosset.services.s3.model import Bucket, Versioning
from cosset.services.s3.requirements import on_bucket
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)

_MISSING = ("ReplicationConfigurationNotFoundError", "The replication configuration was not found")
_ARN = "arn:aws:s3:::"
_ROLE = re.compile(r"arn:aws:iam::\d{12}:role/.+")
_MOST = 1_000
_NEWER = "must be specified for this version of Cross Region Replication configuration schema."
_GUIDE = "Please refer to S3 Developer Guide for more information."


def _on_configuration(ctx: Context, params: Params) -> Sequence[Requirement]:
    """The role is handed to S3."""
    needed = list(on_bucket("PutReplicationConfiguration")(ctx, params))
    role = params["ReplicationConfiguration"]["Role"]
    if _ROLE.fullmatch(role) is not None:
        needed.append(Requirement("iam:PassRole", role, {"iam:PassedToService": "s3.amazonaws.com"}))
    return needed


class BucketReplication:
    def __init__(self, settings: BucketSettings) -> None:
        self._settings = settings

    @operation("PutBucketReplication", _on_configuration)
    async def put_bucket_replication(self, ctx: Context, params: Params) -> None:
        given, name = params["ReplicationConfiguration"], params["Bucket"]
        _check_rules(given)
        rules = [{"ID": uuid4().hex, **rule} for rule in given["Rules"]]
        is_away = False

        def check(tx: Transaction, bucket: Bucket) -> None:
            nonlocal is_away
            if bucket.versioning is not Versioning.ENABLED:
                sentence = "Versioning must be 'Enabled' on the bucket to apply a replication configuration"
                raise ServiceError("InvalidRequest", sentence)
            targets = [_check_destination(tx, bucket, rule["Destination"]) for rule in rules]
            is_away = any(target.account != bucket.account for target in targets)

        await self._settings.put(name, Kind.REPLICATION, plain({**given, "Rules": rules}), check)
        if is_away:
            logger.warning("Bucket %s asks for replication to another account, which is kept and not done", name)

    @operation("GetBucketReplication", on_bucket("GetReplicationConfiguration"))
    async def get_bucket_replication(self, ctx: Context, params: Params) -> Result:
        return {"ReplicationConfiguration": await self._settings.need(params["Bucket"], Kind.REPLICATION, _MISSING)}

    @operation("DeleteBucketReplication", on_bucket("PutReplicationConfiguration"))
    async def delete_bucket_replication(self, ctx: Context, params: Params) -> None:
        await self._settings.remove(params["Bucket"], Kind.REPLICATION)


def _check_rules(given: Mapping[str, Any]) -> None:
    rules: Sequence[Mapping[str, Any]] = given["Rules"]
    if not 1 <= len(rules) <= _MOST:
        raise malformed_xml()
    if _ROLE.fullmatch(given["Role"]) is None:
        raise ServiceError("InvalidArgument", "Invalid Role specified in replication configuration")
    ids = [rule["ID"] for rule in rules if rule.get("ID")]
    if len(set(ids)) != len(ids):
        raise ServiceError("InvalidArgument", "Rule Id must be unique")
    if any(len(each) > 255 for each in ids):
        raise ServiceError("InvalidArgument", "Rule Id must not be longer than 255")
    for rule in rules:
        if rule.get("Filter") is not None and rule.get("Prefix") is not None:
            raise malformed_xml()
        if rule.get("Filter") is None:
            continue
        if rule.get("Priority") is None:
            raise ServiceError("InvalidRequest", f"Priority {_NEWER} {_GUIDE}")
        if rule.get("DeleteMarkerReplication") is None:
            raise ServiceError("InvalidRequest", f"DeleteMarkerReplication {_NEWER} {_GUIDE}")


def _check_destination(tx: Transaction, source: Bucket, destination: Mapping[str, Any]) -> Bucket:
    arn = destination["Bucket"]
    if not arn.startswith(_ARN):
        raise ServiceError("InvalidArgument", "Invalid bucket ARN.")
    if arn == source.arn:
        raise ServiceError("InvalidRequest", "Destination bucket cannot be the same as the source bucket.")
    target = find_bucket(tx, arn.removeprefix(_ARN))
    if target is None or target.versioning is not Versioning.ENABLED:
        raise ServiceError("InvalidRequest", "Destination bucket must have versioning enabled.")
    return target
