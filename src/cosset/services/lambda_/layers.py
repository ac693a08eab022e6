"""The operations on layers."""

import itertools
import json
from collections.abc import Sequence

from cosset.functions import errors
from cosset.functions.layer_records import LayerKey, LayerVersion
from cosset.functions.layers import parse_layer, parse_layer_version
from cosset.functions.policies import Grant
from cosset.functions.registry import Functions
from cosset.identity.ports import Requirement
from cosset.services.lambda_.code_links import CodeLinks
from cosset.services.lambda_.packages import package_of
from cosset.services.lambda_.paging import page_size, read_marker, write_marker
from cosset.services.lambda_.references import on_everything
from cosset.services.operation import Context, Params, Requirements, Result, operation


def _on_layer(action: str) -> Requirements:
    """The operation needs `lambda:<action>` on the layer, or on its version where it names one."""

    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        arn = params.get("Arn")
        if arn is None:
            name = params["LayerName"]
            arn = name if name.startswith("arn:") else LayerKey(ctx.account, ctx.region, name).arn
            if "VersionNumber" in params:
                arn = f"{arn}:{params['VersionNumber']}"
        return (Requirement(f"lambda:{action}", arn),)

    return requirements


class LayerOperations:
    """Handlers; the requirements stand beside each."""

    def __init__(self, functions: Functions, links: CodeLinks) -> None:
        self._layers = functions.layers
        self._sources = functions.sources
        self._links = links

    @operation("PublishLayerVersion", _on_layer("PublishLayerVersion"))
    async def publish_layer_version(self, ctx: Context, params: Params) -> Result:
        layer = await self._layers.publish(
            _key_of(ctx, params),
            await package_of(ctx, self._sources, params["Content"], other="LayerVersionContent"),
            description=params.get("Description", ""),
            runtimes=_tuple(params, "CompatibleRuntimes"),
            architectures=_tuple(params, "CompatibleArchitectures"),
            license_info=params.get("LicenseInfo"),
        )
        return await self._write(ctx, layer)

    @operation("GetLayerVersion", _on_layer("GetLayerVersion"))
    async def get_layer_version(self, ctx: Context, params: Params) -> Result:
        key = parse_layer(params["LayerName"], account=ctx.account, region=ctx.region)
        return await self._write(ctx, await self._layers.get(key, params["VersionNumber"]))

    @operation("GetLayerVersionByArn", _on_layer("GetLayerVersion"))
    async def get_layer_version_by_arn(self, ctx: Context, params: Params) -> Result:
        key, number = parse_layer_version(params["Arn"], region=ctx.region)
        return await self._write(ctx, await self._layers.get(key, number))

    @operation("ListLayers", on_everything("ListLayers"))
    async def list_layers(self, ctx: Context, params: Params) -> Result:
        size = page_size(params.get("MaxItems"))
        position = read_marker(params.get("Marker"), of=(str,))
        after = "" if position is None else str(position[0])
        found = [
            layer
            for layer in await self._layers.list_all(ctx.account, ctx.region, after=after)
            if _matches(layer, params)
        ]
        newest = [next(versions) for _, versions in itertools.groupby(found, key=lambda layer: layer.key)]
        result: Result = {
            "Layers": [
                {
                    "LayerName": layer.key.name,
                    "LayerArn": layer.key.arn,
                    "LatestMatchingVersion": _write_item(layer),
                }
                for layer in newest[:size]
            ]
        }
        if len(newest) > size:
            result["NextMarker"] = write_marker([newest[size - 1].key.name])
        return result

    @operation("ListLayerVersions", _on_layer("ListLayerVersions"))
    async def list_layer_versions(self, ctx: Context, params: Params) -> Result:
        size = page_size(params.get("MaxItems"))
        position = read_marker(params.get("Marker"), of=(int,))
        below = None if position is None else int(position[0])
        found = [
            layer
            for layer in await self._layers.list_versions(_key_of(ctx, params), below=below)
            if _matches(layer, params)
        ]
        result: Result = {"LayerVersions": [_write_item(layer) for layer in found[:size]]}
        if len(found) > size:
            result["NextMarker"] = write_marker([found[size - 1].number])
        return result

    @operation("DeleteLayerVersion", _on_layer("DeleteLayerVersion"))
    async def delete_layer_version(self, ctx: Context, params: Params) -> None:
        await self._layers.delete(_key_of(ctx, params), params["VersionNumber"])

    @operation("AddLayerVersionPermission", _on_layer("AddLayerVersionPermission"))
    async def add_layer_version_permission(self, ctx: Context, params: Params) -> Result:
        grant = Grant(
            sid=params["StatementId"],
            action=params["Action"],
            principal=params["Principal"],
            organization=params.get("OrganizationId"),
        )
        statement, revision_id = await self._layers.add_permission(
            _key_of(ctx, params), params["VersionNumber"], grant, revision_id=params.get("RevisionId")
        )
        return {"Statement": _document(statement), "RevisionId": revision_id}

    @operation("RemoveLayerVersionPermission", _on_layer("RemoveLayerVersionPermission"))
    async def remove_layer_version_permission(self, ctx: Context, params: Params) -> None:
        await self._layers.remove_permission(
            _key_of(ctx, params),
            params["VersionNumber"],
            params["StatementId"],
            revision_id=params.get("RevisionId"),
        )

    @operation("GetLayerVersionPolicy", _on_layer("GetLayerVersionPolicy"))
    async def get_layer_version_policy(self, ctx: Context, params: Params) -> Result:
        policy, revision_id = await self._layers.get_policy(_key_of(ctx, params), params["VersionNumber"])
        return {"Policy": _document(policy), "RevisionId": revision_id}

    async def _write(self, ctx: Context, layer: LayerVersion) -> Result:
        return {
            **_write_item(layer),
            "LayerArn": layer.key.arn,
            "Content": {
                "Location": await self._links.make(layer.code.digest, scheme=ctx.scheme, host=ctx.host),
                "CodeSha256": layer.code.sha256,
                "CodeSize": layer.code.size_bytes,
            },
        }


def _key_of(ctx: Context, params: Params) -> LayerKey:
    """The layer, for what only its own account may do. Raises: ServiceError."""
    key = parse_layer(params["LayerName"], account=ctx.account, region=ctx.region)
    if key.account != ctx.account:
        action = f"lambda:{ctx.operation}"
        raise errors.access_denied(
            f"User: {ctx.principal.arn} is not authorized to perform: {action} on resource: {key.arn} "
            f"because no resource-based policy allows the {action} action"
        )
    return key


def _tuple(params: Params, member: str) -> tuple[str, ...] | None:
    given = params.get(member)
    return tuple(given) if given else None


def _matches(layer: LayerVersion, params: Params) -> bool:
    runtime, architecture = params.get("CompatibleRuntime"), params.get("CompatibleArchitecture")
    return (runtime is None or runtime in (layer.runtimes or ())) and (
        architecture is None or architecture in (layer.architectures or ())
    )


def _write_item(layer: LayerVersion) -> Result:
    result: Result = {
        "LayerVersionArn": layer.arn,
        "Version": layer.number,
        "Description": layer.description,
        "CreatedDate": layer.created,
        "LicenseInfo": layer.license_info,
        "CompatibleRuntimes": None if layer.runtimes is None else list(layer.runtimes),
        "CompatibleArchitectures": None if layer.architectures is None else list(layer.architectures),
    }
    return {name: value for name, value in result.items() if value is not None}


def _document(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
