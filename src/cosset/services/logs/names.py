"""How a call names a log group: by name, or by name or ARN in `logGroupIdentifier`; and what IAM sees of it.

Names are checked here and not by the wire (see its overlays), because one that is too long has its own sentence.
"""

import re
from collections.abc import Callable, Sequence

from cosset.identity.arn import Arn
from cosset.identity.ports import Requirement
from cosset.services.logs.errors import invalid_parameter
from cosset.services.operation import Context, Params, Requirements
from cosset.wire.errors import ServiceError, ValidationError

_GROUP = "log-group:"
_LONGEST = 512
# As the model writes them, and as the violation shows them.
_PATTERNS = {
    "logGroupName": r"[\.\-_/#A-Za-z0-9]+",
    "logGroupNamePrefix": r"[\.\-_/#A-Za-z0-9]+",
    "logStreamName": "[^:*]*",
    "logStreamNamePrefix": "[^:*]*",
}


def check_names(params: Params) -> None:
    """Raises ServiceError InvalidParameterException for names that are none, all violations in one sentence."""
    named = {member: str(params[member]) for member in _PATTERNS if member in params}
    if any(len(name) > _LONGEST for name in named.values()):
        # Recorded: test_create_log_group_invalid_name_length.
        raise invalid_parameter("Invalid LogGroup or LogStream, both must have length less than or equal to 512.")
    violations: list[str] = []
    for member, name in named.items():
        opening = f"Value '{name}' at '{member}' failed to satisfy constraint: Member must"
        if not re.fullmatch(_PATTERNS[member], name):
            violations.append(f"{opening} satisfy regular expression pattern: {_PATTERNS[member]}")
        if not name:
            violations.append(f"{opening} have length greater than or equal to 1")
    if violations:
        raise ValidationError(violations, "InvalidParameterException")


def group_name(params: Params) -> str:
    """The name of the group that the call is about.

    Raises:
        ServiceError: ValidationException for both forms at once or none, InvalidParameterException for no group's ARN.
    """
    name, identifier = params.get("logGroupName"), params.get("logGroupIdentifier")
    if name is not None and identifier is not None:
        # Recorded: test_describe_log_streams_with_log_group_identifier.
        sentence = "LogGroup name and LogGroup ARN are mutually exclusive parameters."
        raise ServiceError("ValidationException", sentence)
    if name is not None:
        return str(name)
    if identifier is None:
        raise ServiceError("ValidationException", "Either LogGroup name or LogGroup ARN must be specified.")
    return name_of(identifier)


def name_of(identifier: str) -> str:
    """The group's name in a name or an ARN, with or without the `:*` that DescribeLogGroups shows.

    Raises:
        ServiceError: InvalidParameterException for the ARN of something else.
    """
    if not identifier.startswith("arn:"):
        return identifier
    arn = Arn.parse(identifier)
    if arn is None or arn.service != "logs" or not arn.resource.startswith(_GROUP):
        raise invalid_parameter("Invalid ARN")
    return arn.resource.removeprefix(_GROUP).removesuffix(":*")


def on_group(action: str) -> Requirements:
    """For what is done to a group; CloudWatch Logs names it as the parent of streams."""
    return _on(action, lambda params: "")


def on_stream(action: str) -> Requirements:
    return _on(action, lambda params: str(params.get("logStreamName", "")))


def on_arn(action: str) -> Requirements:
    """For the tag operations that take an ARN."""

    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        return [Requirement(f"logs:{action}", params["resourceArn"])]

    return requirements


def on_all_groups(action: str) -> Requirements:
    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        check_names(params)
        resource = f"arn:aws:logs:{ctx.region}:{ctx.account}:log-group::log-stream:"
        return [Requirement(f"logs:{action}", resource)]

    return requirements


def _on(action: str, stream: Callable[[Params], str]) -> Requirements:
    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        check_names(params)
        identifier = params.get("logGroupIdentifier") or ""
        arn = Arn.parse(identifier)
        # Another account's group is that account's to give.
        region, account = (arn.region, arn.account) if arn is not None else (ctx.region, ctx.account)
        name = params.get("logGroupName") or (name_of(identifier) if identifier else "")
        resource = f"arn:aws:logs:{region}:{account}:log-group:{name}:log-stream:{stream(params)}"
        return [Requirement(f"logs:{action}", resource)]

    return requirements
