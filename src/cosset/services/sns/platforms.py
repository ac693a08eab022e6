"""The operations on platform applications and their endpoints: kept, checked and shown.

No platform is ever called, so nothing checks the credentials, and publishing to an endpoint says by name that it is not
there. Source: recorded answers (sns, TestSNSPlatform*).
"""

import json
import re
from collections.abc import Mapping

from cosset.services.operation import Context, Params, Result, operation
from cosset.services.sns import platform_book as book
from cosset.services.sns.errors import invalid
from cosset.services.sns.paging import read_token, write_token
from cosset.services.sns.platform_book import ApplicationKey, EndpointKey, PlatformEndpoint
from cosset.services.sns.requirements import on_everything
from cosset.store.database import Store, Transaction
from cosset.wire.errors import ServiceError

_PLATFORMS = frozenset(
    {"ADM", "APNS", "APNS_SANDBOX", "APNS_VOIP", "APNS_VOIP_SANDBOX", "BAIDU", "FCM", "GCM", "MACOS", "MACOS_SANDBOX"}
    | {"MPNS", "WNS"}
)
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,256}")
_CREDENTIALS = frozenset(
    {"PlatformCredential", "PlatformPrincipal", "ApplePlatformTeamID", "ApplePlatformBundleID"}
    | {"AuthenticationMethod", "PlatformToken"}
)
_KEPT = frozenset(
    {"EventEndpointCreated", "EventEndpointDeleted", "EventEndpointUpdated", "EventDeliveryFailure"}
    | {"SuccessFeedbackRoleArn", "FailureFeedbackRoleArn", "SuccessFeedbackSampleRate", "Enabled"}
)
_OF_ENDPOINTS = frozenset({"CustomUserData", "Enabled", "Token"})
_MAX_DATA_BYTES = 2048
_PAGE = 100


class Platforms:
    def __init__(self, store: Store) -> None:
        self._store = store

    @operation("CreatePlatformApplication", on_everything("CreatePlatformApplication"))
    async def create_platform_application(self, ctx: Context, params: Params) -> Result:
        platform, name = params["Platform"], params["Name"]
        if platform not in _PLATFORMS:
            raise invalid(f"Platform Reason: {platform} is not supported")
        if not _NAME.fullmatch(name):
            raise invalid("Name")
        key = ApplicationKey(ctx.account, ctx.region, platform, name)
        kept, credentials = _sorted_out(params["Attributes"])
        await self._store.write(lambda tx: book.put_application(tx, key, {"Enabled": "true", **kept}, credentials))
        return {"PlatformApplicationArn": key.arn}

    @operation("GetPlatformApplicationAttributes", on_everything("GetPlatformApplicationAttributes"))
    async def get_platform_application_attributes(self, ctx: Context, params: Params) -> Result:
        key = _application(ctx, params)
        return {"Attributes": await self._store.read(lambda tx: dict(book.need_application(tx, key)))}

    @operation("SetPlatformApplicationAttributes", on_everything("SetPlatformApplicationAttributes"))
    async def set_platform_application_attributes(self, ctx: Context, params: Params) -> None:
        key = _application(ctx, params)
        kept, credentials = _sorted_out(params["Attributes"])

        def work(tx: Transaction) -> None:
            book.put_application(tx, key, {**book.need_application(tx, key), **kept}, credentials)

        await self._store.write(work)

    @operation("ListPlatformApplications", on_everything("ListPlatformApplications"))
    async def list_platform_applications(self, ctx: Context, params: Params) -> Result:
        after = read_token(params.get("NextToken"), 2)
        found = await self._store.read(lambda tx: book.list_applications(tx, ctx.account, ctx.region, after, _PAGE + 1))
        shown = [{"PlatformApplicationArn": key.arn, "Attributes": dict(kept)} for key, kept in found[:_PAGE]]
        result: Result = {"PlatformApplications": shown}
        if len(found) > _PAGE:
            last = found[_PAGE - 1][0]
            result["NextToken"] = write_token(last.platform, last.name)
        return result

    @operation("DeletePlatformApplication", on_everything("DeletePlatformApplication"))
    async def delete_platform_application(self, ctx: Context, params: Params) -> None:
        key = _application(ctx, params)
        await self._store.write(lambda tx: book.remove_application(tx, key))

    @operation("CreatePlatformEndpoint", on_everything("CreatePlatformEndpoint"))
    async def create_platform_endpoint(self, ctx: Context, params: Params) -> Result:
        """The endpoint of a token that is there already is given again, if it is the same in all."""
        key, token = _application(ctx, params), params["Token"]
        if not token:
            raise invalid("Token")
        given = dict(params.get("Attributes", {}))
        _check_endpoint_attributes(given)
        if "CustomUserData" in params:
            if _is_too_long(params["CustomUserData"]):
                raise invalid(f"CustomUserData Reason: {_TOO_LONG}")
            given["CustomUserData"] = params["CustomUserData"]
        wanted = {"Enabled": "true", **{name: value for name, value in given.items() if name != "Token"}}

        def work(tx: Transaction) -> EndpointKey:
            book.need_application(tx, key)
            there = book.find_by_token(tx, key, token)
            if there is None:
                return book.add_endpoint(tx, key, token, wanted)
            if there.attributes != wanted:
                raise invalid(
                    f"Token Reason: Endpoint {there.key.arn} already exists with the same Token, but different "
                    "attributes."
                )
            return there.key

        return {"EndpointArn": (await self._store.write(work)).arn}

    @operation("GetEndpointAttributes", on_everything("GetEndpointAttributes"))
    async def get_endpoint_attributes(self, ctx: Context, params: Params) -> Result:
        key = _endpoint(ctx, params)
        return {"Attributes": await self._store.read(lambda tx: book.need_endpoint(tx, key).shown)}

    @operation("SetEndpointAttributes", on_everything("SetEndpointAttributes"))
    async def set_endpoint_attributes(self, ctx: Context, params: Params) -> None:
        key, given = _endpoint(ctx, params), params["Attributes"]
        _check_endpoint_attributes(given)

        def work(tx: Transaction) -> None:
            changed = {**book.need_endpoint(tx, key).shown, **given}
            book.change_endpoint(tx, key, changed.pop("Token"), changed)

        await self._store.write(work)

    @operation("DeleteEndpoint", on_everything("DeleteEndpoint"))
    async def delete_endpoint(self, ctx: Context, params: Params) -> None:
        key = _endpoint(ctx, params)
        await self._store.write(lambda tx: book.remove_endpoint(tx, key))

    @operation("ListEndpointsByPlatformApplication", on_everything("ListEndpointsByPlatformApplication"))
    async def list_endpoints_by_platform_application(self, ctx: Context, params: Params) -> Result:
        key = _application(ctx, params)
        after = read_token(params.get("NextToken"), 1)[0]

        def read(tx: Transaction) -> list[PlatformEndpoint]:
            book.need_application(tx, key)
            return book.list_endpoints(tx, key, after, _PAGE + 1)

        found = await self._store.read(read)
        result: Result = {
            "Endpoints": [{"EndpointArn": each.key.arn, "Attributes": each.shown} for each in found[:_PAGE]]
        }
        if len(found) > _PAGE:
            result["NextToken"] = write_token(found[_PAGE - 1].key.id)
        return result


_TOO_LONG = f"must be at most {_MAX_DATA_BYTES} bytes long in UTF-8 encoding"


def _is_too_long(data: str) -> bool:
    return len(data.encode("utf-8", "surrogatepass")) > _MAX_DATA_BYTES


def _sorted_out(given: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """What is shown again, and what is not. Raises ServiceError InvalidParameter."""
    for name in given:
        if name not in _KEPT | _CREDENTIALS:
            raise invalid(f"Attributes Reason: Invalid attribute name: {name}")
    secret = {name: value for name, value in given.items() if name in _CREDENTIALS}
    return {name: value for name, value in given.items() if name in _KEPT}, json.dumps(secret)


def _check_endpoint_attributes(given: Mapping[str, str]) -> None:
    """Recorded: test_create_platform_endpoint_with_invalid_attributes."""
    for name, value in given.items():
        if name not in _OF_ENDPOINTS:
            raise invalid(f"Attributes Reason: Invalid attribute name: {name}")
        if name == "CustomUserData" and _is_too_long(value):
            raise invalid(f"Attributes Reason: Invalid value for attribute: {name}: {_TOO_LONG}")


def _application(ctx: Context, params: Params) -> ApplicationKey:
    key = ApplicationKey.of_arn(params["PlatformApplicationArn"])
    _check_own(ctx, key, "PlatformApplicationArn")
    return key


def _endpoint(ctx: Context, params: Params) -> EndpointKey:
    key = EndpointKey.of_arn(params["EndpointArn"])
    _check_own(ctx, key.application, "EndpointArn")
    return key


def _check_own(ctx: Context, key: ApplicationKey, parameter: str) -> None:
    if key.region != ctx.region:
        raise invalid(parameter)
    if key.account != ctx.account:
        sentence = f"User: {ctx.principal.arn} is not authorized to access this resource"
        raise ServiceError("AuthorizationError", sentence, status=403)
