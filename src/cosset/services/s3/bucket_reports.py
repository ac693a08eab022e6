"""Inventory, analytics, metrics and intelligent tiering: configurations that a bucket may have many of.

Each is checked and kept; no report is made, nothing is measured apart and nothing is moved for them.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from cosset.services.operation import Context, Params, Result, operation
from cosset.services.s3.bucket_book import need_bucket, put_setting, read_setting, read_settings, remove_setting
from cosset.services.s3.bucket_settings import plain
from cosset.services.s3.errors import malformed_xml
from cosset.services.s3.kinds import Kind
from cosset.services.s3.requirements import on_bucket
from cosset.store.database import Store, Transaction
from cosset.wire.errors import ServiceError

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_PAGE = 100
_MOST = 1_000


class BucketReports:
    def __init__(self, store: Store) -> None:
        self._store = store

    @operation("PutBucketInventoryConfiguration", on_bucket("PutInventoryConfiguration"))
    async def put_inventory(self, ctx: Context, params: Params) -> None:
        await self._put(params, Kind.INVENTORY, "InventoryConfiguration", _check_inventory)

    @operation("GetBucketInventoryConfiguration", on_bucket("GetInventoryConfiguration"))
    async def get_inventory(self, ctx: Context, params: Params) -> Result:
        return {"InventoryConfiguration": await self._get(params, Kind.INVENTORY)}

    @operation("ListBucketInventoryConfigurations", on_bucket("GetInventoryConfiguration"))
    async def list_inventories(self, ctx: Context, params: Params) -> Result:
        return await self._list(params, Kind.INVENTORY, "InventoryConfigurationList")

    @operation("DeleteBucketInventoryConfiguration", on_bucket("PutInventoryConfiguration"))
    async def delete_inventory(self, ctx: Context, params: Params) -> None:
        await self._delete(params, Kind.INVENTORY)

    @operation("PutBucketAnalyticsConfiguration", on_bucket("PutAnalyticsConfiguration"))
    async def put_analytics(self, ctx: Context, params: Params) -> None:
        await self._put(params, Kind.ANALYTICS, "AnalyticsConfiguration", _check_analytics)

    @operation("GetBucketAnalyticsConfiguration", on_bucket("GetAnalyticsConfiguration"))
    async def get_analytics(self, ctx: Context, params: Params) -> Result:
        return {"AnalyticsConfiguration": await self._get(params, Kind.ANALYTICS)}

    @operation("ListBucketAnalyticsConfigurations", on_bucket("GetAnalyticsConfiguration"))
    async def list_analytics(self, ctx: Context, params: Params) -> Result:
        return await self._list(params, Kind.ANALYTICS, "AnalyticsConfigurationList")

    @operation("DeleteBucketAnalyticsConfiguration", on_bucket("PutAnalyticsConfiguration"))
    async def delete_analytics(self, ctx: Context, params: Params) -> None:
        await self._delete(params, Kind.ANALYTICS)

    @operation("PutBucketMetricsConfiguration", on_bucket("PutMetricsConfiguration"))
    async def put_metrics(self, ctx: Context, params: Params) -> None:
        await self._put(params, Kind.METRICS, "MetricsConfiguration", _check_nothing)

    @operation("GetBucketMetricsConfiguration", on_bucket("GetMetricsConfiguration"))
    async def get_metrics(self, ctx: Context, params: Params) -> Result:
        return {"MetricsConfiguration": await self._get(params, Kind.METRICS)}

    @operation("ListBucketMetricsConfigurations", on_bucket("GetMetricsConfiguration"))
    async def list_metrics(self, ctx: Context, params: Params) -> Result:
        return await self._list(params, Kind.METRICS, "MetricsConfigurationList")

    @operation("DeleteBucketMetricsConfiguration", on_bucket("PutMetricsConfiguration"))
    async def delete_metrics(self, ctx: Context, params: Params) -> None:
        await self._delete(params, Kind.METRICS)

    @operation("PutBucketIntelligentTieringConfiguration", on_bucket("PutIntelligentTieringConfiguration"))
    async def put_intelligent_tiering(self, ctx: Context, params: Params) -> None:
        await self._put(params, Kind.INTELLIGENT_TIERING, "IntelligentTieringConfiguration", _check_tiering)

    @operation("GetBucketIntelligentTieringConfiguration", on_bucket("GetIntelligentTieringConfiguration"))
    async def get_intelligent_tiering(self, ctx: Context, params: Params) -> Result:
        return {"IntelligentTieringConfiguration": await self._get(params, Kind.INTELLIGENT_TIERING)}

    @operation("ListBucketIntelligentTieringConfigurations", on_bucket("GetIntelligentTieringConfiguration"))
    async def list_intelligent_tiering(self, ctx: Context, params: Params) -> Result:
        return await self._list(params, Kind.INTELLIGENT_TIERING, "IntelligentTieringConfigurationList")

    @operation("DeleteBucketIntelligentTieringConfiguration", on_bucket("PutIntelligentTieringConfiguration"))
    async def delete_intelligent_tiering(self, ctx: Context, params: Params) -> None:
        await self._delete(params, Kind.INTELLIGENT_TIERING)

    async def _put(self, params: Params, kind: Kind, member: str, check: Callable[[Mapping[str, Any]], None]) -> None:
        given, given_id = params[member], _id(params)
        if given["Id"] != given_id:
            # Recorded: test_s3_analytics_configurations against test_s3_put_inventory_report_exceptions.
            if kind in (Kind.ANALYTICS, Kind.INTELLIGENT_TIERING):
                raise malformed_xml()
            raise ServiceError("IdMismatch", "Document ID does not match the specified configuration ID.")
        _check_filter(given.get("Filter") or {})
        check(given)

        def work(tx: Transaction) -> None:
            need_bucket(tx, params["Bucket"])
            there = read_settings(tx, params["Bucket"], kind)
            if given_id not in there and len(there) >= _MOST:
                sentence = "You are attempting to create a new configuration but have already reached the limit."
                raise ServiceError("TooManyConfigurations", sentence)
            put_setting(tx, params["Bucket"], kind, plain(given), given_id)

        await self._store.write(work)

    async def _get(self, params: Params, kind: Kind) -> Any:
        def read(tx: Transaction) -> Any:
            need_bucket(tx, params["Bucket"])
            return read_setting(tx, params["Bucket"], kind, _id(params))

        found = await self._store.read(read)
        if found is None:
            raise _no_such_configuration()
        return found

    async def _list(self, params: Params, kind: Kind, member: str) -> Result:
        token = params.get("ContinuationToken") or ""

        def read(tx: Transaction) -> Mapping[str, Any]:
            need_bucket(tx, params["Bucket"])
            return read_settings(tx, params["Bucket"], kind)

        found = [each for name, each in (await self._store.read(read)).items() if name > token]
        result: Result = {"IsTruncated": len(found) > _PAGE}
        if token:
            result["ContinuationToken"] = token
        if found:
            result[member] = found[:_PAGE]
        if len(found) > _PAGE:
            result["NextContinuationToken"] = found[_PAGE - 1]["Id"]
        return result

    async def _delete(self, params: Params, kind: Kind) -> None:
        def work(tx: Transaction) -> bool:
            need_bucket(tx, params["Bucket"])
            return remove_setting(tx, params["Bucket"], kind, _id(params))

        if not await self._store.write(work):
            raise _no_such_configuration()


def _id(params: Mapping[str, Any]) -> str:
    given = str(params.get("Id") or "")
    if _ID.fullmatch(given) is None:
        raise ServiceError("InvalidConfigurationId", "The specified configuration id is invalid.")
    return given


def _check_filter(given: Mapping[str, Any]) -> None:
    """One predicate, or `And` with more than one."""
    inside = given.get("And")
    if len([each for each in given.values() if each is not None]) > 1:
        raise malformed_xml()
    if inside is not None:
        others = [each for name, each in inside.items() if name != "Tags" and each is not None]
        if len(others) + len(inside.get("Tags") or ()) < 2:
            raise malformed_xml()


def _check_inventory(given: Mapping[str, Any]) -> None:
    _check_destination((given["Destination"] or {}).get("S3BucketDestination"))


def _check_analytics(given: Mapping[str, Any]) -> None:
    export = given["StorageClassAnalysis"].get("DataExport")
    if export is not None:
        _check_destination(export["Destination"].get("S3BucketDestination"))


def _check_tiering(given: Mapping[str, Any]) -> None:
    if not given["Tierings"]:
        raise malformed_xml()
    if len({tier["AccessTier"] for tier in given["Tierings"]}) != len(given["Tierings"]):
        raise malformed_xml()
    for tier in given["Tierings"]:
        least = 90 if tier["AccessTier"] == "ARCHIVE_ACCESS" else 180
        if not least <= tier["Days"] <= 730:
            raise ServiceError("InvalidArgument", "Invalid Tiering Days")


def _check_nothing(given: Mapping[str, Any]) -> None:
    """All there is to check the model says."""


def _check_destination(destination: Mapping[str, Any] | None) -> None:
    if destination is None:
        raise malformed_xml()
    if not destination["Bucket"].startswith("arn:aws:s3:::"):
        raise ServiceError("InvalidS3DestinationBucket", "Invalid bucket ARN.")


def _no_such_configuration() -> ServiceError:
    return ServiceError("NoSuchConfiguration", "The specified configuration does not exist.", status=404)
