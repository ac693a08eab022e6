"""From the parameters of a call to the function that it is about, and to what IAM must allow for it."""

from collections.abc import Sequence
from dataclasses import replace

from cosset.functions import errors
from cosset.functions.model import LATEST, FunctionKey
from cosset.functions.names import FunctionReference, parse_reference, resource_arn
from cosset.identity.evaluation.context import ContextValue
from cosset.identity.ports import Requirement, tag_request
from cosset.services.operation import Context, Params, Requirements

# What a policy on a function can open to other accounts besides calling it. The door has asked it, by the very ARN.
# AWS Lambda developer guide, "Granting Lambda function access to other accounts".
_ACROSS_ACCOUNTS = frozenset(
    {
        *("GetFunction", "GetFunctionConfiguration", "UpdateFunctionCode", "DeleteFunction"),
        *("PublishVersion", "ListVersionsByFunction"),
        *("CreateAlias", "GetAlias", "ListAliases", "UpdateAlias", "DeleteAlias"),
        *("GetFunctionConcurrency", "PutFunctionConcurrency", "DeleteFunctionConcurrency"),
    }
)

_CALLS_NOT_YET = {
    "TenantId": "tenant isolation (TenantId)",
    "DurableExecutionName": "durable functions (DurableExecutionName)",
}


def reference_of(ctx: Context, params: Params) -> FunctionReference:
    """What `FunctionName` and `Qualifier` name together.

    Raises:
        ServiceError: they contradict each other, another region, another account (`own`).
    """
    reference = parse_reference(params["FunctionName"], params.get("Qualifier"), account=ctx.account, region=ctx.region)
    return own(ctx, reference)


def invoked_reference_of(ctx: Context, params: Params) -> FunctionReference:
    """As `reference_of`, for calls of functions: also of another account, whose policy on the function has let the
    caller in, or the authorizer would have refused: `on_function` asked about this very function.

    Raises:
        ServiceError: as `reference_of`, but for other accounts; what would need a tenant or a durable execution.
    """
    for member, what in _CALLS_NOT_YET.items():
        if params.get(member):
            raise errors.not_here(what)
    return parse_reference(params["FunctionName"], params.get("Qualifier"), account=ctx.account, region=ctx.region)


def key_of(ctx: Context, params: Params, *, bare: bool = False) -> FunctionKey:
    """The function, for operations that are about all of it.

    Raises:
        ServiceError: the name is one of a version or an alias, or says `$LATEST` and that is too much (`bare`).
    """
    reference = parse_reference(params["FunctionName"], None, account=ctx.account, region=ctx.region)
    if reference.qualifier not in ((None,) if bare else (None, LATEST)):
        raise errors.invalid_parameter(
            "This operation is permitted on Lambda functions only. Aliases and versions do not support this "
            "operation. Please specify either a function name or an unqualified function ARN."
        )
    return own(ctx, reference).key


def own(ctx: Context, reference: FunctionReference) -> FunctionReference:
    """The caller's own function, or one whose policy has let the caller in, where that may be.

    Raises: ServiceError, for a function of another account.
    """
    if reference.key.account != ctx.account and ctx.operation not in _ACROSS_ACCOUNTS:
        action = f"lambda:{ctx.operation}"
        raise errors.access_denied(
            f"User: {ctx.principal.arn} is not authorized to perform: {action} on resource: {reference.arn} "
            f"because no resource-based policy allows the {action} action"
        )
    return reference


def on_function(action: str) -> Requirements:
    """The operation needs `lambda:<action>` on the function, qualified as the caller did."""

    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        arn = resource_arn(params["FunctionName"], params.get("Qualifier"), account=ctx.account, region=ctx.region)
        return (Requirement(f"lambda:{action}", arn),)

    return requirements


def on_everything(action: str) -> Requirements:
    """The operation names no resource."""

    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        return (Requirement(f"lambda:{action}", "*"),)

    return requirements


def with_role(action: str) -> Requirements:
    """As `on_function`; the right to pass the role where one is given, to read the layers and to tag where there are
    some."""
    on_the_function = on_function(action)

    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        layers, tags = params.get("Layers") or (), params.get("Tags") or {}
        context = tag_request(tags) | _settings(params)
        needed = [replace(each, context=context) for each in on_the_function(ctx, params)]
        if tags:
            needed.append(replace(needed[0], action="lambda:TagResource"))
        if role := params.get("Role"):
            needed.append(Requirement("iam:PassRole", role, {"iam:PassedToService": "lambda.amazonaws.com"}))
        needed += [Requirement("lambda:GetLayerVersion", layer) for layer in layers]
        return needed

    return requirements


def _settings(params: Params) -> dict[str, ContextValue]:
    """The condition keys by which a policy says which settings a function may have."""
    vpc = params.get("VpcConfig") or {}
    given = {
        "lambda:Layer": params.get("Layers"),
        "lambda:SubnetIds": vpc.get("SubnetIds"),
        "lambda:SecurityGroupIds": vpc.get("SecurityGroupIds"),
        "lambda:CodeSigningConfigArn": params.get("CodeSigningConfigArn"),
    }
    return {name: value for name, value in given.items() if value}
