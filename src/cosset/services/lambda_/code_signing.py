"""The operations on code signing configurations, and on which functions have them."""

from collections.abc import Sequence
from dataclasses import replace

from cosset.functions import errors
from cosset.functions.code_signing import parse_key
from cosset.functions.model import CodeSigningConfig, CodeSigningKey
from cosset.functions.registry import Functions
from cosset.identity.ports import Requirement, tag_request
from cosset.services.lambda_.paging import page_size, read_marker, write_marker
from cosset.services.lambda_.references import key_of, on_everything, on_function
from cosset.services.operation import Context, Params, Requirements, Result, operation

_MAX_ITEMS = 10_000


def _on_new(ctx: Context, params: Params) -> Sequence[Requirement]:
    tags = params.get("Tags") or {}
    needed = [Requirement("lambda:CreateCodeSigningConfig", "*", tag_request(tags))]
    if tags:
        new = f"arn:aws:lambda:{ctx.region}:{ctx.account}:code-signing-config:*"
        needed.append(Requirement("lambda:TagResource", new, tag_request(tags)))
    return needed


def _on_attachment(ctx: Context, params: Params) -> Sequence[Requirement]:
    (needed,) = on_function("PutFunctionCodeSigningConfig")(ctx, params)
    return (replace(needed, context={"lambda:CodeSigningConfigArn": params["CodeSigningConfigArn"]}),)


def _on_config(action: str) -> Requirements:
    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        return (Requirement(f"lambda:{action}", params["CodeSigningConfigArn"]),)

    return requirements


class CodeSigningOperations:
    """Handlers; the requirements stand beside each."""

    def __init__(self, functions: Functions) -> None:
        self._signing = functions.code_signing

    @operation("CreateCodeSigningConfig", _on_new)
    async def create_code_signing_config(self, ctx: Context, params: Params) -> Result:
        config = await self._signing.create(
            ctx.account,
            ctx.region,
            publishers=params["AllowedPublishers"]["SigningProfileVersionArns"],
            policy=_read_policy(params),
            description=params.get("Description"),
            tags=params.get("Tags") or {},
        )
        return {"CodeSigningConfig": _write(config)}

    @operation("GetCodeSigningConfig", _on_config("GetCodeSigningConfig"))
    async def get_code_signing_config(self, ctx: Context, params: Params) -> Result:
        return {"CodeSigningConfig": _write(await self._signing.get(own_config(ctx, params["CodeSigningConfigArn"])))}

    @operation("UpdateCodeSigningConfig", _on_config("UpdateCodeSigningConfig"))
    async def update_code_signing_config(self, ctx: Context, params: Params) -> Result:
        publishers = params.get("AllowedPublishers")
        config = await self._signing.update(
            own_config(ctx, params["CodeSigningConfigArn"]),
            publishers=None if publishers is None else publishers["SigningProfileVersionArns"],
            policy=_read_policy(params),
            description=params.get("Description"),
        )
        return {"CodeSigningConfig": _write(config)}

    @operation("DeleteCodeSigningConfig", _on_config("DeleteCodeSigningConfig"))
    async def delete_code_signing_config(self, ctx: Context, params: Params) -> None:
        await self._signing.delete(own_config(ctx, params["CodeSigningConfigArn"]))

    @operation("ListCodeSigningConfigs", on_everything("ListCodeSigningConfigs"))
    async def list_code_signing_configs(self, ctx: Context, params: Params) -> Result:
        size = page_size(params.get("MaxItems"), at_most=_MAX_ITEMS)
        position = read_marker(params.get("Marker"), of=(str,))
        after = "" if position is None else str(position[0])
        found = await self._signing.list(ctx.account, ctx.region, after=after, limit=size + 1)
        result: Result = {"CodeSigningConfigs": [_write(config) for config in found[:size]]}
        if len(found) > size:
            result["NextMarker"] = write_marker([found[size - 1].key.id])
        return result

    @operation("ListFunctionsByCodeSigningConfig", _on_config("ListFunctionsByCodeSigningConfig"))
    async def list_functions_by_code_signing_config(self, ctx: Context, params: Params) -> Result:
        size = page_size(params.get("MaxItems"), at_most=_MAX_ITEMS)
        position = read_marker(params.get("Marker"), of=(str,))
        after = "" if position is None else str(position[0])
        config = own_config(ctx, params["CodeSigningConfigArn"])
        found = await self._signing.functions_with(config, after=after, limit=size + 1)
        result: Result = {"FunctionArns": [key.arn for key in found[:size]]}
        if len(found) > size:
            result["NextMarker"] = write_marker([found[size - 1].name])
        return result

    @operation("PutFunctionCodeSigningConfig", _on_attachment)
    async def put_function_code_signing_config(self, ctx: Context, params: Params) -> Result:
        key, arn = key_of(ctx, params), params["CodeSigningConfigArn"]
        await self._signing.attach(key, arn)
        return {"CodeSigningConfigArn": arn, "FunctionName": key.name}

    @operation("GetFunctionCodeSigningConfig", on_function("GetFunctionCodeSigningConfig"))
    async def get_function_code_signing_config(self, ctx: Context, params: Params) -> Result:
        key = key_of(ctx, params)
        arn = await self._signing.attached(key)
        return {} if arn is None else {"CodeSigningConfigArn": arn, "FunctionName": key.name}

    @operation("DeleteFunctionCodeSigningConfig", on_function("DeleteFunctionCodeSigningConfig"))
    async def delete_function_code_signing_config(self, ctx: Context, params: Params) -> None:
        await self._signing.detach(key_of(ctx, params))


def own_config(ctx: Context, arn: str) -> CodeSigningKey:
    """Raises: ServiceError, for another account's or region's configuration, which this one does not show."""
    key = parse_key(arn)
    if (key.account, key.region) != (ctx.account, ctx.region):
        raise errors.code_signing_not_found(arn)
    return key


def _read_policy(params: Params) -> str | None:
    policy: str | None = params.get("CodeSigningPolicies", {}).get("UntrustedArtifactOnDeployment")
    return policy


def _write(config: CodeSigningConfig) -> Result:
    result: Result = {
        "CodeSigningConfigId": config.key.id,
        "CodeSigningConfigArn": config.key.arn,
        "AllowedPublishers": {"SigningProfileVersionArns": list(config.publishers)},
        "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": config.policy},
        "LastModified": config.last_modified,
    }
    if config.description is not None:
        result["Description"] = config.description
    return result
