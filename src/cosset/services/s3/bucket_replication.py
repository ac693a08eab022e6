"""Replication configurations: checked, kept and shown. Nothing is replicated, and the server's log says so."""

import logging
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

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


class BucketReplication:
    def __init__(self, settings: BucketSettings) -> None:
        self._settings = settings

    @operation("PutBucketReplication", on_bucket("PutReplicationConfiguration"))
    async def put_bucket_replication(self, ctx: Context, params: Params) -> None:
        given = params["ReplicationConfiguration"]
        if not given["Rules"]:
            raise malformed_xml()
        rules = [{"ID": uuid4().hex, **rule} for rule in given["Rules"]]

        def check(tx: Transaction, bucket: Bucket) -> None:
            if bucket.versioning is not Versioning.ENABLED:
                sentence = "Versioning must be 'Enabled' on the bucket to apply a replication configuration"
                raise ServiceError("InvalidRequest", sentence)
            for rule in rules:
                _check_destination(tx, rule["Destination"])

        await self._settings.put(params["Bucket"], Kind.REPLICATION, plain({**given, "Rules": rules}), check)
        logger.warning("Bucket %s asks for replication, which is kept as asked and not done", params["Bucket"])

    @operation("GetBucketReplication", on_bucket("GetReplicationConfiguration"))
    async def get_bucket_replication(self, ctx: Context, params: Params) -> Result:
        return {"ReplicationConfiguration": await self._settings.need(params["Bucket"], Kind.REPLICATION, _MISSING)}

    @operation("DeleteBucketReplication", on_bucket("PutReplicationConfiguration"))
    async def delete_bucket_replication(self, ctx: Context, params: Params) -> None:
        await self._settings.remove(params["Bucket"], Kind.REPLICATION)


def _check_destination(tx: Transaction, destination: Mapping[str, Any]) -> None:
    arn = destination["Bucket"]
    if not arn.startswith(_ARN):
        raise ServiceError("InvalidArgument", "Invalid bucket ARN.")
    target = find_bucket(tx, arn.removeprefix(_ARN))
    if target is None or target.versioning is not Versioning.ENABLED:
        raise ServiceError("InvalidRequest", "Destination bucket must have versioning enabled.")
