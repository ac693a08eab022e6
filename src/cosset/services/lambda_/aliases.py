"""The operations on aliases."""

from cosset.functions.model import Alias
from cosset.functions.registry import Functions
from cosset.services.lambda_.paging import page_size, read_marker, write_marker
from cosset.services.lambda_.references import key_of, on_function
from cosset.services.operation import Context, Params, Result, operation


class AliasOperations:
    """Handlers; the requirements stand beside each."""

    def __init__(self, functions: Functions) -> None:
        self._aliases = functions.aliases

    @operation("CreateAlias", on_function("CreateAlias"))
    async def create_alias(self, ctx: Context, params: Params) -> Result:
        alias = await self._aliases.create(
            key_of(ctx, params),
            params["Name"],
            params["FunctionVersion"],
            description=params.get("Description", ""),
            weights=_read_weights(params) or {},
        )
        return write_alias(alias)

    @operation("GetAlias", on_function("GetAlias"))
    async def get_alias(self, ctx: Context, params: Params) -> Result:
        return write_alias(await self._aliases.get(key_of(ctx, params), params["Name"]))

    @operation("UpdateAlias", on_function("UpdateAlias"))
    async def update_alias(self, ctx: Context, params: Params) -> Result:
        alias = await self._aliases.update(
            key_of(ctx, params),
            params["Name"],
            version=params.get("FunctionVersion"),
            description=params.get("Description"),
            weights=_read_weights(params),
            revision_id=params.get("RevisionId"),
        )
        return write_alias(alias)

    @operation("DeleteAlias", on_function("DeleteAlias"))
    async def delete_alias(self, ctx: Context, params: Params) -> None:
        await self._aliases.delete(key_of(ctx, params), params["Name"])

    @operation("ListAliases", on_function("ListAliases"))
    async def list_aliases(self, ctx: Context, params: Params) -> Result:
        size = page_size(params.get("MaxItems"))
        position = read_marker(params.get("Marker"), of=(str,))
        found = await self._aliases.list(
            key_of(ctx, params),
            version=params.get("FunctionVersion"),
            after="" if position is None else str(position[0]),
            limit=size + 1,
        )
        result: Result = {"Aliases": [write_alias(alias) for alias in found[:size]]}
        if len(found) > size:
            result["NextMarker"] = write_marker([found[size - 1].name])
        return result


def write_alias(alias: Alias) -> Result:
    result: Result = {
        "AliasArn": alias.key.qualified_arn(alias.name),
        "Name": alias.name,
        "FunctionVersion": alias.version,
        "Description": alias.description,
        "RevisionId": alias.revision_id,
    }
    if alias.weights:
        result["RoutingConfig"] = {"AdditionalVersionWeights": dict(alias.weights)}
    return result


def _read_weights(params: Params) -> dict[str, float] | None:
    """None when no RoutingConfig was given; an empty one takes the weights away."""
    routing = params.get("RoutingConfig")
    return None if routing is None else dict(routing.get("AdditionalVersionWeights") or {})
