"""The operations on functions themselves: create, get, list, update, delete."""

from cosset.functions import errors
from cosset.functions.names import FunctionReference
from cosset.functions.registry import Functions
from cosset.services.lambda_.code_links import CodeLinks
from cosset.services.lambda_.configuration import (
    read_architectures,
    read_change,
    refuse_not_yet,
    write_configuration,
    write_published,
)
from cosset.services.lambda_.packages import package_of, refuse_image, refuse_image_config
from cosset.services.lambda_.paging import page_size, read_marker, write_marker
from cosset.services.lambda_.references import key_of, on_everything, on_function, reference_of, with_role
from cosset.services.operation import Context, Params, Result, operation


class FunctionOperations:
    """Handlers; the requirements stand beside each."""

    def __init__(self, functions: Functions, links: CodeLinks) -> None:
        self._functions = functions
        self._links = links

    @operation("CreateFunction", with_role("CreateFunction"))
    async def create_function(self, ctx: Context, params: Params) -> Result:
        refuse_image(params)
        change = read_change(params)
        created = await self._functions.create(
            key_of(ctx, params),
            change,
            await package_of(ctx, self._functions.sources, params["Code"]),
            publish_it=bool(params.get("Publish")),
            tags=params.get("Tags") or {},
            code_signing_config=params.get("CodeSigningConfigArn") or None,
        )
        return write_configuration(created)  # a plain ARN even of a published version, unlike UpdateFunctionCode

    @operation("GetFunction", on_function("GetFunction"))
    async def get_function(self, ctx: Context, params: Params) -> Result:
        reference = reference_of(ctx, params)
        version, settings = await self._functions.get_with_settings(reference)
        result: Result = {
            "Configuration": write_configuration(version, qualifier=reference.qualifier),
            "Code": {
                "RepositoryType": "S3",
                "Location": await self._links.make(version.code.digest, scheme=ctx.scheme, host=ctx.host),
            },
        }
        if settings.tags:
            result["Tags"] = dict(settings.tags)
        if settings.reserved_concurrency is not None:
            result["Concurrency"] = {"ReservedConcurrentExecutions": settings.reserved_concurrency}
        return result

    @operation("GetFunctionConfiguration", on_function("GetFunctionConfiguration"))
    async def get_function_configuration(self, ctx: Context, params: Params) -> Result:
        reference = reference_of(ctx, params)
        return write_configuration(await self._functions.get(reference), qualifier=reference.qualifier)

    @operation("ListFunctions", on_everything("ListFunctions"))
    async def list_functions(self, ctx: Context, params: Params) -> Result:
        if params.get("MasterRegion") not in (None, "ALL", ctx.region):
            return {"Functions": []}  # replicas of Lambda@Edge functions, of which there are none
        everything = params.get("FunctionVersion") == "ALL"
        size = page_size(params.get("MaxItems"))
        position = read_marker(params.get("Marker"), of=(str, int))
        found = await self._functions.list(
            ctx.account,
            ctx.region,
            everything=everything,
            after=None if position is None else (str(position[0]), int(position[1])),
            limit=size + 1,
        )
        result: Result = {
            "Functions": [
                write_configuration(version, qualifier=version.version if everything else None, listed=True)
                for version in found[:size]
            ]
        }
        if len(found) > size:
            result["NextMarker"] = write_marker([found[size - 1].key.name, found[size - 1].number])
        return result

    @operation("UpdateFunctionCode", on_function("UpdateFunctionCode"))
    async def update_function_code(self, ctx: Context, params: Params) -> Result:
        refuse_not_yet(params)
        key = key_of(ctx, params)
        if params.get("ImageUri"):  # every function here is one from a zip
            await self._functions.get(FunctionReference(key))
            raise errors.invalid_parameter(
                "Please do not provide ImageUri when updating a function with packageType Zip."
            )
        changed = await self._functions.update_code(
            key,
            await package_of(ctx, self._functions.sources, params),
            architectures=read_architectures(params),
            publish_it=bool(params.get("Publish")),
            dry_run=bool(params.get("DryRun")),
            revision_id=params.get("RevisionId"),
        )
        return write_published(changed)

    @operation("UpdateFunctionConfiguration", with_role("UpdateFunctionConfiguration"))
    async def update_function_configuration(self, ctx: Context, params: Params) -> Result:
        refuse_image_config(params)
        changed = await self._functions.update_configuration(
            key_of(ctx, params), read_change(params), revision_id=params.get("RevisionId")
        )
        return write_configuration(changed)

    @operation("DeleteFunction", on_function("DeleteFunction"))
    async def delete_function(self, ctx: Context, params: Params) -> Result:
        await self._functions.delete(reference_of(ctx, params))
        return {"StatusCode": 204}
