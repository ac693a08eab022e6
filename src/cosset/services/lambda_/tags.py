"""The operations on tags. They name the function, or the code signing configuration, by its ARN alone."""

from collections.abc import Collection, Sequence
from typing import TypeVar

from cosset.functions import errors
from cosset.functions.model import FunctionKey
from cosset.functions.registry import Functions
from cosset.identity.ports import Requirement, tag_request
from cosset.services.lambda_.code_signing import own_config
from cosset.services.lambda_.references import reference_of
from cosset.services.operation import Context, Params, Requirements, Result, operation

_CODE_SIGNING = "code-signing-config"
_Given = TypeVar("_Given", bound=Collection[str])


def _on_resource(action: str) -> Requirements:
    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        context = tag_request(params.get("Tags") or {}, params.get("TagKeys") or ())
        return (Requirement(f"lambda:{action}", params["Resource"], context),)

    return requirements


class TagOperations:
    """Handlers; the requirements stand beside each."""

    def __init__(self, functions: Functions) -> None:
        self._tags = functions.tags
        self._signing = functions.code_signing

    @operation("TagResource", _on_resource("TagResource"))
    async def tag_resource(self, ctx: Context, params: Params) -> None:
        tags = _some(params["Tags"])
        if _kind(params) == _CODE_SIGNING:
            await self._signing.change_tags(own_config(ctx, params["Resource"]), add=tags)
        else:
            await self._tags.add(_function_of(ctx, params), tags)

    @operation("UntagResource", _on_resource("UntagResource"))
    async def untag_resource(self, ctx: Context, params: Params) -> None:
        names = _some(params["TagKeys"])
        if _kind(params) == _CODE_SIGNING:
            await self._signing.change_tags(own_config(ctx, params["Resource"]), remove=names)
        else:
            await self._tags.remove(_function_of(ctx, params), names)

    @operation("ListTags", _on_resource("ListTags"))
    async def list_tags(self, ctx: Context, params: Params) -> Result:
        if _kind(params) == _CODE_SIGNING:
            config = await self._signing.get(own_config(ctx, params["Resource"]))
            return {"Tags": dict(config.tags)}
        return {"Tags": dict(await self._tags.get(_function_of(ctx, params)))}


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
