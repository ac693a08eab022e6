"""What S3 refuses of a bucket's policy, in its own sentences. What a policy means: identity/.

Sources: the API reference's errors, and answers that users reported (aws-sdk-java 2678, versitygw 645 to 650 and 965).
Accounts, users and services that a policy names need not be there: AWS refuses those that it does not know.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cosset.identity.evaluation.conditions import ConditionError, compile_conditions
from cosset.identity.matching import matches, matches_any
from cosset.identity.policy_document import MalformedPolicyError, PolicyDocument, Statement, parse_policy
from cosset.services.s3.owners import account_of
from cosset.services.s3.policy_actions import BUCKET_ACTIONS, CONDITION_KEY_STARTS, CONDITION_KEYS, OBJECT_ACTIONS
from cosset.wire.errors import ServiceError

_MOST_BYTES = 20 * 1024
_ACCOUNT = re.compile(r'"\d{12}"', re.ASCII)
_PRINCIPAL = re.compile(
    r"arn:aws:(?:iam::(?:[0-9]{12}:(?:root|(?:user|role)/[^*?]+)|cloudfront:user/[^*?]+)"
    r"|sts::[0-9]{12}:(?:assumed-role|federated-user)/[^*?]+)"
)
"""Whom AWS knows: no pattern names principals, `*` alone is everybody."""

_ARN = "arn:aws:s3:::"
_FIELDS = frozenset({"Version", "Id", "Statement"})
_STATEMENT_FIELDS = frozenset(
    {
        *("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource"),
        "Condition",
    }
)
_LIST_KEYS = frozenset({"s3:prefix", "s3:delimiter", "s3:max-keys"})
_LISTS = frozenset({"s3:listbucket", "s3:listbucketversions", "s3:listbucketmultipartuploads"})


def check_policy(text: str, bucket: str) -> PolicyDocument:
    """Raises ServiceError MalformedPolicy."""
    if not text.lstrip().startswith("{"):
        raise no_policy()
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError):
        raise _malformed("This policy contains invalid Json") from None
    if len(json.dumps(raw, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")) > _MOST_BYTES:
        raise _malformed("Normalized policy document exceeds the maximum allowed size of 20480 bytes.")
    _check_shape(raw)
    try:
        document = parse_policy(text)
    except MalformedPolicyError as error:
        said = str(error)
        raise _malformed("Invalid policy syntax." if said == "Syntax errors in policy." else said) from None
    for statement in document.statements:
        _check_statement(statement, bucket)
    return document


def as_kept(text: str) -> str:
    """The policy as S3 gives it back: an account that stands for itself becomes its ARN, and who says no version has
    said the older one (seen in reports of PutBucketPolicy)."""
    if _ACCOUNT.search(text) is None and '"Version"' in text:
        return text
    raw = json.loads(text)
    changed = "Version" not in raw
    if changed:
        raw = {"Version": "2008-10-17", **raw}
    for statement in raw["Statement"] if isinstance(raw["Statement"], list) else [raw["Statement"]]:
        for name in ("Principal", "NotPrincipal"):
            principals = statement.get(name)
            named = principals.get("AWS") if isinstance(principals, dict) else None
            shown = [_as_arn(each) for each in named] if isinstance(named, list) else _as_arn(named)
            if shown != named:
                principals["AWS"], changed = shown, True
    return json.dumps(raw, separators=(",", ":"), ensure_ascii=False) if changed else text


def _as_arn(principal: Any) -> Any:
    is_account = isinstance(principal, str) and len(principal) == 12 and principal.isdecimal()
    return f"arn:aws:iam::{principal}:root" if is_account else principal


def _check_shape(raw: Any) -> None:
    for name in raw:
        if name not in _FIELDS:
            raise _malformed(f"Unknown field {name}")
    if raw.get("Version", "2008-10-17") not in ("2012-10-17", "2008-10-17"):
        raise _malformed("The policy must contain a valid version string")
    if "Statement" not in raw:
        raise _malformed("Missing required field Statement")
    statements = raw["Statement"] if isinstance(raw["Statement"], list) else [raw["Statement"]]
    if not statements:
        raise _malformed("Could not parse the policy: Statement is empty!")
    for each in statements:
        if not isinstance(each, dict):
            raise _malformed("Invalid policy syntax.")
        _check_fields(each)


def _check_fields(raw: Mapping[str, Any]) -> None:
    for name in raw:
        if name not in _STATEMENT_FIELDS:
            raise _malformed(f"Unknown field {name}")
    if "Effect" not in raw:
        raise _malformed("Missing required field Effect")
    if raw["Effect"] not in ("Allow", "Deny"):
        raise _malformed(f"Invalid effect: {raw['Effect']}")
    for name in ("Principal", "Action", "Resource"):
        if not raw.get(name) and not raw.get(f"Not{name}"):
            raise _malformed(f"Missing required field {name}")
    if raw["Effect"] == "Allow" and "NotPrincipal" in raw:
        raise _malformed("Allow with NotPrincipal is not allowed.")
    conditions = raw.get("Condition")
    for operator in conditions if isinstance(conditions, dict) else ():
        try:
            compile_conditions({operator: {"aws:username": "true"}}, variables=True)
        except ConditionError as error:
            if str(error).endswith("is no condition operator"):
                raise _malformed(f"Invalid Condition type : {operator}") from None


def _check_statement(statement: Statement, bucket: str) -> None:
    actions, resources = statement.actions or statement.not_actions, statement.resources or statement.not_resources
    for action in actions:
        if not _is_known(action):
            raise _malformed("Policy has invalid action")
    for resource in resources:
        if not _is_in(resource, bucket):
            raise _malformed("Policy has invalid resource")
    for kind, value in _principals(statement):
        if not _is_principal(kind, value):
            fields = {"Detail": f'"{kind}" : "{value}"'}
            raise ServiceError("MalformedPolicy", "Invalid principal in policy", fields=fields)
    if statement.actions and statement.resources:
        for action in statement.actions:
            _check_applies(action, statement.resources)
    _check_conditions(statement)


def _check_applies(action: str, resources: Sequence[str]) -> None:
    """To objects alone, or to the bucket alone: an action that is about neither of what is named does nothing."""
    has_objects = any("/" in each or each.endswith("*") for each in resources)
    has_bucket = any("/" not in each for each in resources)
    applies = (has_objects and _matches_one(action, OBJECT_ACTIONS)) or (
        has_bucket and _matches_one(action, BUCKET_ACTIONS)
    )
    if not applies:
        raise _malformed("Action does not apply to any resource(s) in statement")


def _check_conditions(statement: Statement) -> None:
    named = [key for entries in (statement.conditions or {}).values() for key in entries]
    for name in named:
        if not _is_condition_key(name.lower()):
            raise ServiceError("MalformedPolicy", "Policy has an invalid condition key", fields={"Detail": name})
    keys = {key.lower() for key in named}
    plain = [action.lower() for action in statement.actions if "*" not in action and "?" not in action]
    if keys & _LIST_KEYS and any(action not in _LISTS for action in plain):
        raise _malformed("Conditions do not apply to combination of actions and resources in statement")


def _is_condition_key(key: str) -> bool:
    """Keys of others than S3 are not held against a list."""
    service, colon, name = key.partition(":")
    return bool(colon) and (service != "s3" or name in CONDITION_KEYS or name.startswith(CONDITION_KEY_STARTS))


def _is_known(action: str) -> bool:
    return action == "*" or (
        action.lower().startswith("s3:")
        and (_matches_one(action, OBJECT_ACTIONS) or _matches_one(action, BUCKET_ACTIONS))
    )


def _matches_one(pattern: str, actions: frozenset[str]) -> bool:
    name = pattern.lower().removeprefix("s3:")
    return name in actions or (("*" in name or "?" in name) and any(matches(each, name) for each in actions))


def _is_in(resource: str, bucket: str) -> bool:
    name = resource.removeprefix(_ARN).partition("/")[0]
    return resource == "*" or (resource.startswith(_ARN) and matches_any(bucket, [name]))


def _principals(statement: Statement) -> Iterator[tuple[str, str]]:
    for kind, values in (statement.principals or statement.not_principals or {}).items():
        for value in values:
            yield kind, value


def _is_principal(kind: str, value: str) -> bool:
    if kind == "CanonicalUser":
        return account_of(value) is not None
    if value == "*":
        return True
    if kind == "Service":
        return value.endswith((".amazonaws.com", ".amazonaws.com.cn"))
    if kind == "Federated":
        return "." in value or value.startswith("arn:aws:iam::")
    is_account = len(value) == 12 and value.isdecimal()
    return is_account or bool(_PRINCIPAL.fullmatch(value)) or (value.isalnum() and value[:4] in ("AIDA", "AROA"))


def no_policy() -> ServiceError:
    return _malformed("Policies must be valid JSON and the first byte must be '{'")


def _malformed(sentence: str) -> ServiceError:
    return ServiceError("MalformedPolicy", sentence)
