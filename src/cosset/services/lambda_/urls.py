"""The operations on function URLs. What comes to a URL is served elsewhere: gateway/function_urls.py."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cosset.functions.registry import Functions
from cosset.functions.url_records import FunctionUrl
from cosset.functions.urls import UrlChange
from cosset.identity.ports import Requirement
from cosset.services.lambda_.paging import page_size, read_marker, write_marker
from cosset.services.lambda_.references import on_function, reference_of
from cosset.services.operation import Context, Params, Requirements, Result, operation

PATH = "/_cosset/url/"
"""Where every URL is served too, for those who cannot resolve its name: below it stands the URL's id."""


def _on_url(action: str) -> Requirements:
    """As `on_function`; a policy may ask for the auth type that the caller wants."""
    on_the_function = on_function(action)

    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        auth_type = params.get("AuthType")
        own = {} if auth_type is None else {"lambda:FunctionUrlAuthType": auth_type}
        return [replace(needed, context={**needed.context, **own}) for needed in on_the_function(ctx, params)]

    return requirements


class UrlOperations:
    """Handlers; the requirements stand beside each."""

    def __init__(self, functions: Functions) -> None:
        self._urls = functions.urls

    @operation("CreateFunctionUrlConfig", _on_url("CreateFunctionUrlConfig"))
    async def create_function_url_config(self, ctx: Context, params: Params) -> Result:
        url = await self._urls.create(reference_of(ctx, params), _read_change(params))
        answer = _write(ctx, url)
        del answer["LastModifiedTime"]
        if url.invoke_mode is None:
            del answer["InvokeMode"]
        return answer

    @operation("GetFunctionUrlConfig", on_function("GetFunctionUrlConfig"))
    async def get_function_url_config(self, ctx: Context, params: Params) -> Result:
        return _write(ctx, await self._urls.get(reference_of(ctx, params)))

    @operation("UpdateFunctionUrlConfig", _on_url("UpdateFunctionUrlConfig"))
    async def update_function_url_config(self, ctx: Context, params: Params) -> Result:
        return _write(ctx, await self._urls.update(reference_of(ctx, params), _read_change(params)))

    @operation("DeleteFunctionUrlConfig", on_function("DeleteFunctionUrlConfig"))
    async def delete_function_url_config(self, ctx: Context, params: Params) -> None:
        await self._urls.delete(reference_of(ctx, params))

    @operation("ListFunctionUrlConfigs", on_function("ListFunctionUrlConfigs"))
    async def list_function_url_configs(self, ctx: Context, params: Params) -> Result:
        size = page_size(params.get("MaxItems"))
        position = read_marker(params.get("Marker"), of=(str,))
        after = None if position is None else str(position[0])
        found = await self._urls.list(reference_of(ctx, params).key, after=after, limit=size + 1)
        result: Result = {"FunctionUrlConfigs": [_write(ctx, url) for url in found[:size]]}
        if len(found) > size:
            result["NextMarker"] = write_marker([found[size - 1].qualifier])
        return result


def _read_change(params: Params) -> UrlChange:
    return UrlChange(auth_type=params.get("AuthType"), invoke_mode=params.get("InvokeMode"), cors=params.get("Cors"))


def _write(ctx: Context, url: FunctionUrl) -> dict[str, Any]:
    cors: Mapping[str, Any] = {} if url.cors is None else {"Cors": dict(url.cors)}
    return {
        "FunctionUrl": address(ctx, url),
        "FunctionArn": url.arn,
        "AuthType": url.auth_type,
        **cors,
        "CreationTime": url.created,
        "LastModifiedTime": url.modified,
        "InvokeMode": url.invoke_mode or "BUFFERED",
    }


def address(ctx: Context, url: FunctionUrl) -> str:
    """By name on this machine, where `*.localhost` leads back here; from elsewhere by path, which needs no name."""
    name, port = _split(ctx.host)
    if name == "localhost" or name.endswith(".localhost") or _is_loopback(name):
        return f"{ctx.scheme}://{url.url_id}.lambda-url.{url.key.region}.localhost{port}/"
    return f"{ctx.scheme}://{ctx.host}{PATH}{url.url_id}/"


def _split(host: str) -> tuple[str, str]:
    """The name, and the port with its colon where there is one."""
    name, colon, port = host.rpartition(":")
    if colon and port.isdecimal():
        return name.strip("[]").lower(), f":{port}"
    return host.strip("[]").lower(), ""


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
