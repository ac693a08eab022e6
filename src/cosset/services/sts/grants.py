"""What a call asks a session to carry: policies that narrow it, tags, a source identity; and what it hands down.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cosset.identity.arn import Arn
from cosset.identity.policy_document import MalformedPolicyError, parse_identity_policy
from cosset.identity.ports import Requirement
from cosset.identity.principal import UNNARROWED, SessionGrant
from cosset.identity.session_claims import packed_percentage
from cosset.services.operation import Params
from cosset.wire.errors import OperationNotImplementedError, ServiceError

_MAX_TAGS = 50
_NOT_THERE = ("ProvidedContexts", "MinimumSessionTokenSize")


def refuse_what_is_not_there(operation: str, params: Params) -> None:
    """A session without these would be another than was asked for. Raises OperationNotImplementedError."""
    for name in _NOT_THERE:
        if params.get(name):
            raise OperationNotImplementedError("sts", f"{operation} with {name}")


def read_grant(params: Params, account: str, caller: SessionGrant = UNNARROWED) -> SessionGrant:
    """What the session is to carry. `account` is whose managed policies may narrow it; `caller`, the calling session,
    hands its transitive tags and its source identity down.

    Raises:
        ServiceError: MalformedPolicyDocument, ValidationError, InvalidParameterValue.
    """
    tags, transitive = _read_tags(params, caller)
    policy = params.get("Policy")
    return SessionGrant(
        policies=None if policy is None else (_checked_policy(policy),),
        policy_arns=tuple(_checked_arn(each["arn"], account) for each in params.get("PolicyArns", [])),
        tags=tags,
        transitive_tag_keys=transitive,
        source_identity=params.get("SourceIdentity", caller.source_identity),
    )


def grant_shown(params: Params, grant: SessionGrant) -> dict[str, Any]:
    """PackedPolicySize where the call gave anything to pack, SourceIdentity where there is one."""
    shown: dict[str, Any] = {}
    if any(params.get(name) for name in ("Policy", "PolicyArns", "Tags")):
        shown["PackedPolicySize"] = packed_percentage(grant)
    if grant.source_identity is not None:
        shown["SourceIdentity"] = grant.source_identity
    return shown


def grant_requirements(
    action: str, resource: str, params: Params, caller: SessionGrant = UNNARROWED
) -> list[Requirement]:
    """`action`, and besides sts:TagSession and sts:SetSourceIdentity where the session is to carry such things."""
    context = _context(params, caller)
    needed = [Requirement(action, resource, context)]
    if params.get("Tags") or caller.transitive_tag_keys:
        needed.append(Requirement("sts:TagSession", resource, context))
    if params.get("SourceIdentity") or caller.source_identity:
        needed.append(Requirement("sts:SetSourceIdentity", resource, context))
    return needed


def _context(params: Params, caller: SessionGrant) -> Mapping[str, str | Sequence[str]]:
    """The condition keys of the call:
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecuritytokenservice.html"""
    tags = _inherited(caller) | {tag["Key"]: tag["Value"] for tag in params.get("Tags") or []}
    context: dict[str, str | Sequence[str]] = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    if tags:
        context["aws:TagKeys"] = tuple(tags)
    if params.get("TransitiveTagKeys"):
        context["sts:TransitiveTagKeys"] = tuple(params["TransitiveTagKeys"])
    source_identity = params.get("SourceIdentity") or caller.source_identity
    said = {
        "sts:ExternalId": params.get("ExternalId"),
        "sts:RoleSessionName": params.get("RoleSessionName"),
        "sts:SourceIdentity": source_identity,
        "sts:DurationSeconds": str(params["DurationSeconds"]) if "DurationSeconds" in params else None,
    }
    return context | {key: value for key, value in said.items() if value}


def _read_tags(params: Params, caller: SessionGrant) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """The tags of the session and the keys of those that it hands down. Keys differ by more than case."""
    inherited = _inherited(caller)
    given: dict[str, str] = {}
    for tag in params.get("Tags") or []:
        if tag["Key"].lower() in (key.lower() for key in given):
            raise _invalid("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
        if tag["Key"].lower().startswith("aws:"):
            raise _invalid("Tag keys beginning with aws: are reserved for internal use.")
        given[tag["Key"]] = tag["Value"]
    if {key.lower() for key in given} & {key.lower() for key in inherited}:
        # Recorded: test_iam_role_chaining_override_transitive_tags.
        raise _invalid(
            "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key "
            "from the calling session."
        )
    transitive = params.get("TransitiveTagKeys") or []
    if not {key.lower() for key in transitive} <= {key.lower() for key in given}:
        raise _invalid("The specified transitive tag key must be included in the requested tags.")
    tags = inherited | given
    if len(tags) > _MAX_TAGS:
        raise _invalid(f"The number of session tags exceeds the maximum limit of {_MAX_TAGS}.")
    named = {key.lower() for key in transitive}
    return tuple(tags.items()), (*inherited, *(key for key in given if key.lower() in named))


def _inherited(caller: SessionGrant) -> dict[str, str]:
    handed_down = {key.lower() for key in caller.transitive_tag_keys}
    return {key: value for key, value in caller.tags if key.lower() in handed_down}


def _checked_policy(document: str) -> str:
    try:
        parse_identity_policy(document)
    except MalformedPolicyError as error:
        raise ServiceError("MalformedPolicyDocument", str(error)) from None
    return document


def _checked_arn(text: str, account: str) -> str:
    """A policy that is not there allows nothing, so it need not be looked up."""
    arn = Arn.parse(text)
    if arn is None or arn.service != "iam" or not arn.resource.startswith("policy/"):
        raise ServiceError("ValidationError", "Invalid ARN:  Could not be parsed!")
    if arn.account not in ("aws", account):
        raise ServiceError("ValidationError", f"Policy {text} does not exist or is not attachable.")
    return text


def _invalid(sentence: str) -> ServiceError:
    return ServiceError("InvalidParameterValue", sentence)
