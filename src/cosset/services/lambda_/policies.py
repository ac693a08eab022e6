"""The operations on resource-based policies: statement by statement, and whole."""

import json
from collections.abc import Collection, Sequence
from dataclasses import replace

from cosset.functions import errors
from cosset.functions.names import FunctionReference
from cosset.functions.policies import Grant
from cosset.functions.registry import Functions
from cosset.identity.evaluation.context import ContextValue
from cosset.identity.ports import Requirement
from cosset.services.lambda_.references import on_function, reference_of
from cosset.services.operation import Context, Params, Requirements, Result, operation

_CALLS = ("lambda:InvokeFunction", "lambda:InvokeFunctionUrl")
"""Actions that are not called like an operation."""


def _to_somebody(ctx: Context, params: Params) -> Sequence[Requirement]:
    """Policies may say to whom permissions may be given."""
    context: dict[str, ContextValue] = {"lambda:Principal": params["Principal"]}
    if "FunctionUrlAuthType" in params:
        context["lambda:FunctionUrlAuthType"] = params["FunctionUrlAuthType"]
    return [replace(each, context=context) for each in on_function("AddPermission")(ctx, params)]


def _on_resource(action: str) -> Requirements:
    return lambda ctx, params: (Requirement(f"lambda:{action}", params["ResourceArn"]),)


class PolicyOperations:
    """Handlers; the requirements stand beside each. `grantable` are the actions that a permission can be about."""

    def __init__(self, functions: Functions, grantable: Collection[str]) -> None:
        self._policies = functions.policies
        self._documents = functions.policy_documents
        self._grantable = grantable

    @operation("AddPermission", _to_somebody)
    async def add_permission(self, ctx: Context, params: Params) -> Result:
        if params["Action"] not in self._grantable:
            raise errors.invalid_parameter(f"The provided action {params['Action']} is not valid.")
        grant = Grant(
            sid=params["StatementId"],
            action=params["Action"],
            principal=params["Principal"],
            source_arn=params.get("SourceArn"),
            source_account=params.get("SourceAccount"),
            event_source_token=params.get("EventSourceToken"),
            organization=params.get("PrincipalOrgID"),
            url_auth_type=params.get("FunctionUrlAuthType"),
            via_url=params.get("InvokedViaFunctionUrl"),
        )
        statement = await self._policies.add(reference_of(ctx, params), grant, revision_id=params.get("RevisionId"))
        return {"Statement": _write(statement)}

    @operation("RemovePermission", on_function("RemovePermission"))
    async def remove_permission(self, ctx: Context, params: Params) -> None:
        await self._policies.remove(
            reference_of(ctx, params), params["StatementId"], revision_id=params.get("RevisionId")
        )

    @operation("GetPolicy", on_function("GetPolicy"))
    async def get_policy(self, ctx: Context, params: Params) -> Result:
        policy, revision_id = await self._policies.get(reference_of(ctx, params))
        return {"Policy": _write(policy), "RevisionId": revision_id}

    @operation("PutResourcePolicy", _on_resource("PutResourcePolicy"))
    async def put_resource_policy(self, ctx: Context, params: Params) -> Result:
        policy, revision_id = await self._documents.put(
            _resource_of(ctx, params), params["Policy"], revision_id=params.get("RevisionId")
        )
        return {"Policy": _write(policy), "RevisionId": revision_id}

    @operation("GetResourcePolicy", _on_resource("GetResourcePolicy"))
    async def get_resource_policy(self, ctx: Context, params: Params) -> Result:
        policy, revision_id = await self._documents.get(_resource_of(ctx, params))
        return {"Policy": _write(policy), "RevisionId": revision_id}

    @operation("DeleteResourcePolicy", _on_resource("DeleteResourcePolicy"))
    async def delete_resource_policy(self, ctx: Context, params: Params) -> None:
        await self._documents.delete(_resource_of(ctx, params), revision_id=params.get("RevisionId"))


def grantable_actions(operations: Collection[str]) -> frozenset[str]:
    """What a permission can be about, given the operations that there are."""
    return frozenset({"*", "lambda:*", *_CALLS, *(f"lambda:{name}" for name in operations)})


def _resource_of(ctx: Context, params: Params) -> FunctionReference:
    """Raises: ServiceError; also for runtimes, of which none has a policy here."""
    arn = params["ResourceArn"]
    if ":runtime/" in arn:
        raise errors.not_found("The resource you requested does not exist.")
    return reference_of(ctx, {"FunctionName": arn})


def _write(document: object) -> str:
    return json.dumps(document, separators=(",", ":"))
