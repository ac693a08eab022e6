"""What browsers meet of a bucket, and how long its objects live: CORS, website and lifecycle configurations."""

import secrets
from collections.abc import Mapping
from typing import Any

from cosset.services.operation import Context, Params, Result, operation
from cosset.services.s3 import cors_rules, lifecycle_checks, lifecycle_rules, mfa_deletes, website_rules
from cosset.services.s3.bucket_settings import BucketSettings, plain
from cosset.services.s3.kinds import Kind
from cosset.services.s3.model import Bucket
from cosset.services.s3.requirements import on_bucket
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError

DEFAULT_MINIMUM = "all_storage_classes_128K"
_NO_CORS = ("NoSuchCORSConfiguration", "The CORS configuration does not exist")
_NO_WEBSITE = ("NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration")
_NO_LIFECYCLE = ("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist")


class BucketPages:
    def __init__(self, settings: BucketSettings) -> None:
        self._settings = settings

    @operation("PutBucketCors", on_bucket("PutBucketCORS"))
    async def put_bucket_cors(self, ctx: Context, params: Params) -> None:
        rules = params["CORSConfiguration"]["CORSRules"]
        cors_rules.check_rules(rules)
        await self._settings.put(params["Bucket"], Kind.CORS, rules)

    @operation("GetBucketCors", on_bucket("GetBucketCORS"))
    async def get_bucket_cors(self, ctx: Context, params: Params) -> Result:
        return {"CORSRules": await self._settings.need(params["Bucket"], Kind.CORS, _NO_CORS)}

    @operation("DeleteBucketCors", on_bucket("PutBucketCORS"))
    async def delete_bucket_cors(self, ctx: Context, params: Params) -> None:
        await self._settings.remove(params["Bucket"], Kind.CORS)

    @operation("PutBucketWebsite", on_bucket("PutBucketWebsite"))
    async def put_bucket_website(self, ctx: Context, params: Params) -> None:
        given = params["WebsiteConfiguration"]
        website_rules.check_website(given)
        await self._settings.put(params["Bucket"], Kind.WEBSITE, given)

    @operation("GetBucketWebsite", on_bucket("GetBucketWebsite"))
    async def get_bucket_website(self, ctx: Context, params: Params) -> Result:
        found: Result = await self._settings.need(params["Bucket"], Kind.WEBSITE, _NO_WEBSITE)
        return found

    @operation("DeleteBucketWebsite", on_bucket("DeleteBucketWebsite"))
    async def delete_bucket_website(self, ctx: Context, params: Params) -> None:
        await self._settings.remove(params["Bucket"], Kind.WEBSITE)

    @operation("PutBucketLifecycleConfiguration", on_bucket("PutLifecycleConfiguration"))
    async def put_bucket_lifecycle_configuration(self, ctx: Context, params: Params) -> Result:
        rules = (params.get("LifecycleConfiguration") or {}).get("Rules") or ()
        lifecycle_checks.check_rules(rules)
        minimum = params.get("TransitionDefaultMinimumObjectSize") or DEFAULT_MINIMUM
        lifecycle_checks.check_minimum(minimum)
        kept = {"Rules": plain([_named(rule) for rule in rules]), "Minimum": minimum}
        await self._settings.put(params["Bucket"], Kind.LIFECYCLE, kept, _check_no_mfa)
        return {"TransitionDefaultMinimumObjectSize": minimum}

    @operation("GetBucketLifecycleConfiguration", on_bucket("GetLifecycleConfiguration"))
    async def get_bucket_lifecycle_configuration(self, ctx: Context, params: Params) -> Result:
        found = await self._settings.need(params["Bucket"], Kind.LIFECYCLE, _NO_LIFECYCLE)
        return {
            "Rules": [_timed(rule) for rule in found["Rules"]],
            "TransitionDefaultMinimumObjectSize": found["Minimum"],
        }

    @operation("DeleteBucketLifecycle", on_bucket("PutLifecycleConfiguration"))
    async def delete_bucket_lifecycle(self, ctx: Context, params: Params) -> None:
        await self._settings.remove(params["Bucket"], Kind.LIFECYCLE)


def _check_no_mfa(tx: Transaction, bucket: Bucket) -> None:
    """What needs a second factor to go does not go by itself. Raises ServiceError InvalidBucketState."""
    if mfa_deletes.is_on(tx, bucket):
        sentence = "A lifecycle configuration cannot be put on a bucket with MFA delete enabled."
        raise ServiceError("InvalidBucketState", sentence, status=409)


def _named(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {**rule, "ID": rule.get("ID") or secrets.token_urlsafe(36)}


def _timed(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Dates as the wire writes them."""
    shown = dict(rule)
    if rule.get("Expiration"):
        shown["Expiration"] = _dated(rule["Expiration"])
    if rule.get("Transitions"):
        shown["Transitions"] = [_dated(each) for each in rule["Transitions"]]
    return shown


def _dated(action: Mapping[str, Any]) -> dict[str, Any]:
    date = action.get("Date")
    return dict(action) if date is None else {**action, "Date": lifecycle_rules.due_ms(action, 0) // 1000}  # type: ignore[operator]
