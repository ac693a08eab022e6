"""The operations on resource policies: who else may do what with the log groups of an account in a region.

Those of one log group alone (`resourceArn`) say by name that they are not there yet. Recorded:
test_put_resource_policy, test_describe_resource_policies, test_put_resource_policy_limit_exceeded.
"""

from collections.abc import Sequence
from typing import Any

from cosset.clock import Clock
from cosset.identity.policy_document import MalformedPolicyError, parse_policy
from cosset.identity.ports import Requirement
from cosset.services.logs.errors import invalid_parameter
from cosset.services.logs.policy_book import ResourcePolicy, delete_policy, policies_of, put_policy
from cosset.services.logs.tokens import read_name, write_token
from cosset.services.operation import Context, Params, Requirements, Result, operation
from cosset.store.database import Store, Transaction
from cosset.wire.errors import OperationNotImplementedError, ServiceError

MAX_POLICIES = 10
_DEFAULT_LIMIT = 50


def _on_everything(action: str) -> Requirements:
    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        return [Requirement(f"logs:{action}", "*")]

    return requirements


class LogPolicies:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    @operation("PutResourcePolicy", _on_everything("PutResourcePolicy"))
    async def put_resource_policy(self, ctx: Context, params: Params) -> Result:
        _refuse_others("PutResourcePolicy", params)
        name, document = _needed(params, "policyName"), _needed(params, "policyDocument")
        _check(document)
        put = ResourcePolicy(name, document, self._clock.now_ms())

        def work(tx: Transaction) -> None:
            others = [each for each in policies_of(tx, ctx.account, ctx.region) if each.name != name]
            if len(others) >= MAX_POLICIES:
                raise ServiceError("LimitExceededException", "Resource limit exceeded.")
            put_policy(tx, ctx.account, ctx.region, put)

        await self._store.write(work)
        return {"resourcePolicy": _shown(put)}

    @operation("DescribeResourcePolicies", _on_everything("DescribeResourcePolicies"))
    async def describe_resource_policies(self, ctx: Context, params: Params) -> Result:
        if params.get("policyScope", "ACCOUNT") != "ACCOUNT":
            raise OperationNotImplementedError("logs", "DescribeResourcePolicies of the scope RESOURCE")
        _refuse_others("DescribeResourcePolicies", params)
        after = read_name(params["nextToken"]) if "nextToken" in params else ""
        kept = await self._store.read(lambda tx: policies_of(tx, ctx.account, ctx.region))
        found = [each for each in kept if each.name > after]
        shown = found[: params.get("limit", _DEFAULT_LIMIT)]
        result: Result = {"resourcePolicies": [_shown(each) for each in shown]}
        if len(found) > len(shown):
            result["nextToken"] = write_token(shown[-1].name)
        return result

    @operation("DeleteResourcePolicy", _on_everything("DeleteResourcePolicy"))
    async def delete_resource_policy(self, ctx: Context, params: Params) -> None:
        _refuse_others("DeleteResourcePolicy", params)
        name = _needed(params, "policyName")

        def work(tx: Transaction) -> None:
            if not delete_policy(tx, ctx.account, ctx.region, name):
                sentence = f"Policy with name [{name}] does not exist."
                raise ServiceError("ResourceNotFoundException", sentence)

        await self._store.write(work)


def _refuse_others(operation: str, params: Params) -> None:
    for member in ("resourceArn", "expectedRevisionId"):
        if params.get(member):
            raise OperationNotImplementedError("logs", f"{operation} with {member}")


def _needed(params: Params, member: str) -> str:
    value = params.get(member)
    if not value:
        raise invalid_parameter(f"{member} is required.")
    return str(value)


def _check(document: str) -> None:
    """Raises ServiceError InvalidParameterException."""
    try:
        policy = parse_policy(document)
    except MalformedPolicyError as error:
        raise invalid_parameter(f"Invalid policy document: {error}") from None
    for statement in policy.statements:
        if statement.principals is None and statement.not_principals is None:
            raise invalid_parameter("Invalid policy document: a statement without a principal.")
        for action in (*statement.actions, *statement.not_actions):
            if action != "*" and not action.lower().startswith("logs:"):
                raise invalid_parameter(f"Invalid policy document: {action} is no action of CloudWatch Logs.")


def _shown(policy: ResourcePolicy) -> dict[str, Any]:
    return {
        "policyName": policy.name,
        "policyDocument": policy.document,
        "lastUpdatedTime": policy.updated_ms,
        "policyScope": "ACCOUNT",
    }
