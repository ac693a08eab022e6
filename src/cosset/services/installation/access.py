"""The operations on what was asked of IAM: what audit let through, and the least policy for a function."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from cosset.identity.ports import Requirement
from cosset.services.installation.access_log import AccessLog, Recorded
from cosset.services.operation import Context, Params, Result, operation
from cosset.wire.errors import ServiceError

_FUNCTION = re.compile(r"(?:arn:aws:lambda:([a-z0-9-]{1,32}):([0-9]{12}):function:)?([A-Za-z0-9_-]{1,64})", re.ASCII)


def _reading_access(ctx: Context, params: Params) -> Sequence[Requirement]:
    return [Requirement("cosset:ListAccess", "*")]


class AccessOperations:
    """`audit`: nothing is refused here, only counted."""

    def __init__(self, log: AccessLog, *, audit: bool) -> None:
        self._log = log
        self._audit = audit

    @operation("ListDenied", _reading_access)
    async def list_denied(self, ctx: Context, params: Params) -> Result:
        """What functions were denied, and in audit what everyone would have been, with how often and why."""
        found = await self._log.of_account(ctx.account)
        denied = sorted((each for each in found if each.tally.denied), key=lambda each: -each.tally.denied)
        return {"mode": "audit" if self._audit else "enforce", "denied": [_shown(each) for each in denied]}

    @operation("SuggestPolicy", _reading_access)
    async def suggest_policy(self, ctx: Context, params: Params) -> Result:
        """The least policy that a function's recorded calls need, denied or not."""
        function = _function_arn(ctx, params.get("function"))
        found = await self._log.of_account(ctx.account, function)
        return {"function": function, "policy": least_policy(found), "calls": [_shown(each) for each in found]}


def least_policy(calls: Iterable[Recorded]) -> dict[str, Any] | None:
    """One statement for all resources that need the same actions. None: nothing was called."""
    actions_on: dict[str, set[str]] = defaultdict(set)
    for each in calls:
        actions_on[each.access.resource].add(each.access.action)
    resources_for: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for resource, actions in sorted(actions_on.items()):
        resources_for[tuple(sorted(actions))].append(resource)
    statements = [
        {"Effect": "Allow", "Action": list(actions), "Resource": [_literal(each) for each in resources]}
        for actions, resources in sorted(resources_for.items())
    ]
    return {"Version": "2012-10-17", "Statement": statements} if statements else None


def _literal(resource: str) -> str:
    """What a name holds of a policy's own signs stands for itself: `*` in a key is that one key."""
    if resource == "*":
        return resource
    return re.sub(r"[*?$]", lambda sign: "${" + sign[0] + "}", resource)


def _shown(recorded: Recorded) -> dict[str, Any]:
    access, tally = recorded.access, recorded.tally
    shown: dict[str, Any] = {
        "subject": access.subject,
        "action": access.action,
        "resource": access.resource,
        "denied": tally.denied,
        "last_ms": tally.at_ms,
    }
    return shown | ({"reason": tally.reason} if tally.reason else {})


def _function_arn(ctx: Context, name: Any) -> str:
    match = _FUNCTION.fullmatch(name) if isinstance(name, str) else None
    if match is None:
        raise ServiceError("ValidationException", "function must be the name or the unqualified ARN of a function.")
    region, account, short = match.groups()
    return f"arn:aws:lambda:{region or ctx.region}:{account or ctx.account}:function:{short}"
