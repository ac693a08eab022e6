"""The operations on resource-based policies."""

import json
from collections.abc import Sequence
from dataclasses import replace

from cosset.functions.policies import Grant
from cosset.functions.registry import Functions
from cosset.identity.evaluation.context import ContextValue
from cosset.identity.ports import Requirement
from cosset.services.lambda_.references import on_function, reference_of
from cosset.services.operation import Context, Params, Result, operation


def _to_somebody(ctx: Context, params: Params) -> Sequence[Requirement]:
    """Policies may say to whom permissions may be given."""
    context: dict[str, ContextValue] = {"lambda:Principal": params["Principal"]}
    if "FunctionUrlAuthType" in params:
        context["lambda:FunctionUrlAuthType"] = params["FunctionUrlAuthType"]
    return [replace(each, context=context) for each in on_function("AddPermission")(ctx, params)]


class PolicyOperations:
    """Handlers; the requirements stand beside each."""

    def __init__(self, functions: Functions) -> None:
        self._policies = functions.policies

    @operation("AddPermission", _to_somebody)
    async def add_permission(self, ctx: Context, params: Params) -> Result:
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


def _write(document: object) -> str:
    return json.dumps(document, separators=(",", ":"))
