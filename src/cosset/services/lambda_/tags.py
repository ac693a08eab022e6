"""The operations on tags. They name the function by its ARN alone."""

from collections.abc import Collection, Sequence
from typing import TypeVar

from cosset.functions import errors
from cosset.functions.model import FunctionKey
from cosset.functions.registry import Functions
from cosset.identity.ports import Requirement
from cosset.services.lambda_.references import reference_of
from cosset.services.operation import Context, Params, Requirements, Result, operation

_Given = TypeVar("_Given", bound=Collection[str])


def _on_resource(action: str) -> Requirements:
    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        return (Requirement(f"lambda:{action}", params["Resource"]),)

    return requirements


class TagOperations:
    """Handlers; the requirements stand beside each."""

    def __init__(self, functions: Functions) -> None:
        self._tags = functions.tags

    @operation("TagResource", _on_resource("TagResource"))
    async def tag_resource(self, ctx: Context, params: Params) -> None:
        await self._tags.add(_function_of(ctx, params), _some(params["Tags"]))

    @operation("UntagResource", _on_resource("UntagResource"))
    async def untag_resource(self, ctx: Context, params: Params) -> None:
        await self._tags.remove(_function_of(ctx, params), _some(params["TagKeys"]))

    @operation("ListTags", _on_resource("ListTags"))
    async def list_tags(self, ctx: Context, params: Params) -> Result:
        return {"Tags": dict(await self._tags.get(_function_of(ctx, params)))}


def _some(given: _Given) -> _Given:
    if not given:
        raise errors.invalid_parameter("An error occurred and the request cannot be processed.")
    return given


def _function_of(ctx: Context, params: Params) -> FunctionKey:
    """Raises: ServiceError, for aliases and versions (recorded: test_tag_versions), and for what is no function."""
    arn = params["Resource"]
    kind = arn.split(":")[5] if arn.count(":") >= 5 else ""
    if kind != "function":
        raise errors.not_here(f"tags on resources of the kind {kind!r}")
    reference = reference_of(ctx, {"FunctionName": arn})
    if reference.qualifier is not None:
        raise errors.invalid_parameter(
            "Tags on function aliases and versions are not supported. Please specify a function ARN."
        )
    return reference.key
