"""The operations on tags. They name functions, code signing configurations and event source mappings by ARN alone."""

from collections.abc import Collection, Sequence
from typing import TypeVar

from cosset.functions import errors
from cosset.functions.model import FunctionKey
from cosset.functions.registry import Functions
from cosset.identity.ports import Requirement, tag_request
from cosset.services.lambda_.code_signing import own_config
from cosset.services.lambda_.references import reference_of
from cosset.services.operation import Context, Params, Requirements, Result, operation
from cosset.triggers.mappings import EventSourceMappings

_Given = TypeVar("_Given", bound=Collection[str])


def _on_resource(action: str) -> Requirements:
    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        context = tag_request(params.get("Tags") or {}, params.get("TagKeys") or ())
        return (Requirement(f"lambda:{action}", params["Resource"], context),)

    return requirements


class TagOperations:
    """Handlers; the requirements stand beside each. What a resource is, its ARN says."""

    def __init__(self, functions: Functions, mappings: EventSourceMappings) -> None:
        self._tags = functions.tags
        self._signing = functions.code_signing
        self._mappings = mappings

    @operation("TagResource", _on_resource("TagResource"))
    async def tag_resource(self, ctx: Context, params: Params) -> None:
        tags = _some(params["Tags"])
        match _kind(params):
            case "code-signing-config":
                await self._signing.change_tags(own_config(ctx, params["Resource"]), add=tags)
            case "event-source-mapping":
                await self._mappings.change_tags(*_mapping_of(ctx, params), add=tags)
            case _:
                await self._tags.add(_function_of(ctx, params), tags)

    @operation("UntagResource", _on_resource("UntagResource"))
    async def untag_resource(self, ctx: Context, params: Params) -> None:
        names = _some(params["TagKeys"])
        match _kind(params):
            case "code-signing-config":
                await self._signing.change_tags(own_config(ctx, params["Resource"]), remove=names)
            case "event-source-mapping":
                await self._mappings.change_tags(*_mapping_of(ctx, params), remove=names)
            case _:
                await self._tags.remove(_function_of(ctx, params), names)

    @operation("ListTags", _on_resource("ListTags"))
    async def list_tags(self, ctx: Context, params: Params) -> Result:
        match _kind(params):
            case "code-signing-config":
                tags = (await self._signing.get(own_config(ctx, params["Resource"]))).tags
            case "event-source-mapping":
                tags = (await self._mappings.get(*_mapping_of(ctx, params))).tags
            case _:
                tags = await self._tags.get(_function_of(ctx, params))
        return {"Tags": dict(tags)}


def _mapping_of(ctx: Context, params: Params) -> tuple[str, str, str]:
    """Account, region and UUID; another account's or region's mapping is not there for the caller."""
    parts = params["Resource"].split(":")
    if (parts[4], parts[3]) != (ctx.account, ctx.region):
        raise errors.not_found("The resource you requested does not exist.")
    return ctx.account, ctx.region, parts[6]


def _kind(params: Params) -> str:
    """`function`, `code-signing-config` ... of the resource's ARN."""
    arn: str = params["Resource"]
    return arn.split(":")[5] if arn.count(":") >= 5 else ""


def _some(given: _Given) -> _Given:
    if not given:
        raise errors.invalid_parameter("An error occurred and the request cannot be processed.")
    return given


def _function_of(ctx: Context, params: Params) -> FunctionKey:
    """Raises: ServiceError, for aliases and versions (recorded: test_tag_versions), and for what is no function."""
    kind = _kind(params)
    if kind != "function":
        raise errors.not_here(f"tags on resources of the kind {kind!r}")
    reference = reference_of(ctx, {"FunctionName": params["Resource"]})
    if reference.qualifier is not None:
        raise errors.invalid_parameter(
            "Tags on function aliases and versions are not supported. Please specify a function ARN."
        )
    return reference.key
