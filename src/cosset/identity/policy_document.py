"""Policy documents, read once into statements. Says what is malformed in IAM's own sentences; decides nothing.

What they mean: `evaluation/`. Who may do what: `authorizer.py`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cosset.identity.evaluation.conditions import ConditionError, compile_conditions

_PARTITION = "aws"
_SID = re.compile(r"[0-9A-Za-z]*")
_VERSIONS = ("2012-10-17", "2008-10-17")
_DOCUMENT_FIELDS = {"Version", "Id", "Statement"}
_STATEMENT_FIELDS = {
    *("Sid", "Effect", "Action", "NotAction", "Principal", "NotPrincipal"),
    *("Resource", "NotResource", "Condition"),
}


class MalformedPolicyError(Exception):
    """The document is not a policy. The text is what IAM says in MalformedPolicyDocument."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `principals` maps a type (`AWS`, `Service` ...) to its values; `{"*": ("*",)}` is everyone."""

    allows: bool
    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    principals: Mapping[str, tuple[str, ...]] | None = None
    not_principals: Mapping[str, tuple[str, ...]] | None = None
    resources: tuple[str, ...] = ()
    not_resources: tuple[str, ...] = ()
    conditions: Mapping[str, Any] | None = None
    sid: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    version: str
    statements: tuple[Statement, ...]


def parse_policy(text: str) -> PolicyDocument:
    """Reads a document of any kind.

    Raises:
        MalformedPolicyError: it is no policy.
    """
    try:
        document = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise MalformedPolicyError("This policy contains invalid Json") from None
    if not isinstance(document, dict) or not set(document) <= _DOCUMENT_FIELDS or "Statement" not in document:
        raise MalformedPolicyError("Syntax errors in policy.")
    version = document.get("Version", "2008-10-17")
    if version not in _VERSIONS:
        raise MalformedPolicyError("Syntax errors in policy.")
    raw = document["Statement"]
    statements = raw if isinstance(raw, list) else [raw]
    if not statements:
        raise MalformedPolicyError("Syntax errors in policy.")
    _refuse_repeated_sids(statements)
    return PolicyDocument(version, tuple(_statement(each) for each in statements))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A key that comes twice says two things: readers would differ in which counts. As in IAM, neither does."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedPolicyError("Syntax errors in policy.")
    return found


def parse_identity_policy(text: str) -> PolicyDocument:
    """Reads a policy that is attached to a user or a role: it names resources, and no principal.

    Raises:
        MalformedPolicyError: it is no such policy.
    """
    document = parse_policy(text)
    if document.version != "2012-10-17":
        raise MalformedPolicyError("Policy document must be version 2012-10-17 or greater.")
    _check_sids(document)
    for statement in document.statements:
        if statement.principals is not None or statement.not_principals is not None:
            raise MalformedPolicyError("Policy document should not specify a principal.")
        _require_actions(statement)
        if not statement.resources and not statement.not_resources:
            raise MalformedPolicyError("Policy statement must contain resources.")
        for resource in (*statement.resources, *statement.not_resources):
            if resource != "*":
                _check_resource(resource)
    return document


def _check_resource(resource: str) -> None:
    """What IAM says of a pattern for ARNs that can match none. Wildcards may stand for all but the service."""
    kind, _, rest = resource.partition(":")
    if kind != "arn":
        raise MalformedPolicyError(f'Resource {resource} must be in ARN format or "*".')
    partition, vendor, region = [*rest.split(":"), "", ""][:3]
    if partition not in (_PARTITION, "*"):
        raise MalformedPolicyError(f'Partition "{partition}" is not valid for resource "{resource}".')
    if "*" in vendor or "?" in vendor:
        raise MalformedPolicyError("Resource vendor must be fully qualified and cannot contain regexes.")
    if vendor == "iam" and region not in ("", "*"):
        raise MalformedPolicyError(f"IAM resource {resource} cannot contain region information.")


def parse_trust_policy(text: str) -> PolicyDocument:
    """Reads a role's trust policy: it names principals, and no resource.

    Raises:
        MalformedPolicyError: it is no such policy.
    """
    document = parse_policy(text)
    _check_sids(document)
    for statement in document.statements:
        if statement.resources or statement.not_resources:
            raise MalformedPolicyError("Has prohibited field Resource")
        if statement.principals is None and statement.not_principals is None:
            raise MalformedPolicyError("Missing required field Principal")
        if not any((statement.principals or statement.not_principals or {}).values()):
            raise MalformedPolicyError("Missing required field Principal cannot be empty!")
        _require_actions(statement)
        if not all(action == "*" or action.lower().startswith("sts:") for action in statement.actions):
            raise MalformedPolicyError("AssumeRole policy may only specify STS AssumeRole actions.")
    return document


def _check_sids(document: PolicyDocument) -> None:
    """IAM's own documents are stricter than those on resources."""
    for statement in document.statements:
        if statement.sid is not None and _SID.fullmatch(statement.sid) is None:
            sentence = (
                "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression"
            )
            raise MalformedPolicyError(f"{sentence} [0-9A-Za-z]*")


def _refuse_repeated_sids(statements: list[Any]) -> None:
    sids = [each["Sid"] for each in statements if isinstance(each, dict) and isinstance(each.get("Sid"), str)]
    if len(sids) != len(set(sids)):
        raise MalformedPolicyError("Statement IDs (SID) in a single policy must be unique.")


def _require_actions(statement: Statement) -> None:
    if not statement.actions and not statement.not_actions:
        raise MalformedPolicyError("Policy statement must contain actions.")
    for action in (*statement.actions, *statement.not_actions):
        if action != "*" and ":" not in action:
            raise MalformedPolicyError("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")


def _statement(raw: Any) -> Statement:
    if not isinstance(raw, dict) or not set(raw) <= _STATEMENT_FIELDS or raw.get("Effect") not in ("Allow", "Deny"):
        raise MalformedPolicyError("Syntax errors in policy.")
    conditions, sid = raw.get("Condition"), raw.get("Sid")
    if not isinstance(conditions, dict | None) or not isinstance(sid, str | None):
        raise MalformedPolicyError("Syntax errors in policy.")
    if any(name in raw and f"Not{name}" in raw for name in ("Action", "Resource", "Principal")):
        raise MalformedPolicyError("Syntax errors in policy.")
    try:
        compile_conditions(conditions, variables=True)
    except ConditionError:
        raise MalformedPolicyError("Syntax errors in policy.") from None
    return Statement(
        allows=raw["Effect"] == "Allow",
        actions=_strings(raw.get("Action")),
        not_actions=_strings(raw.get("NotAction")),
        principals=_principals(raw.get("Principal")),
        not_principals=_principals(raw.get("NotPrincipal")),
        resources=_strings(raw.get("Resource")),
        not_resources=_strings(raw.get("NotResource")),
        conditions=conditions,
        sid=sid,
    )


def _strings(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str) for each in values):
        raise MalformedPolicyError("Syntax errors in policy.")
    return tuple(values)


def _principals(value: Any) -> Mapping[str, tuple[str, ...]] | None:
    if value is None:
        return None
    if value == "*":
        return {"*": ("*",)}
    if not isinstance(value, dict) or not set(value) <= {"AWS", "Service", "Federated", "CanonicalUser"}:
        raise MalformedPolicyError("Syntax errors in policy.")
    return {kind: _strings(values) for kind, values in value.items()}
