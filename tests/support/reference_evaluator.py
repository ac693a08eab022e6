"""A second policy evaluator, slow and plain, written from AWS's pages alone and sharing nothing with the real one.

It works on JSON as it stands, compiles and keeps nothing, and follows the wording of the documentation step by step.
Tests compare the two on generated policies: where they differ, one of them has misread AWS.
"""

import base64
import binascii
import ipaddress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

Document = dict[str, Any]
NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
}


@dataclass
class Caller:
    """`kind`: user, role, federated, root, service or anonymous. `arn` of a role is its session's; of a service, its
    name. `role_arn` of a federated session is the user that lends it its rights."""

    kind: str
    account: str
    arn: str
    role_arn: str = ""


@dataclass
class World:
    """One call and every policy that applies to it. `boundary` and `session` None: there is none."""

    caller: Caller
    action: str
    resource: str
    resource_account: str
    context: dict[str, list[str]]
    identity: list[Document] = field(default_factory=list)
    boundary: Document | None = None
    session: list[Document] | None = None
    resource_policies: list[Document] = field(default_factory=list)
    resource_must_allow: bool = False


def is_allowed(world: World) -> bool:
    """Yes or no, in the order of AWS's page "How AWS enforcement code logic evaluates requests"."""
    own: list[Document] = list(world.identity)
    if world.boundary is not None:
        own.append(world.boundary)
    own += world.session or []
    # "If the enforcement code finds even one explicit deny that applies, it returns a final decision of Deny."
    if any(_own_effect(world, document, "Deny") for document in own):
        return False
    if any(_resource_statements(world, "Deny")):
        return False

    granting = _resource_statements(world, "Allow")
    caller = world.caller
    if caller.kind in ("service", "anonymous"):
        return bool(granting)
    identity_allows = caller.kind == "root" or any(_own_effect(world, each, "Allow") for each in world.identity)
    boundary_allows = world.boundary is None or _own_effect(world, world.boundary, "Allow")
    session_allows = world.session is None or any(_own_effect(world, each, "Allow") for each in world.session)
    if caller.kind == "root":
        boundary_allows = session_allows = True

    # "Cross-account: the request must be allowed in both accounts."
    if caller.account != world.resource_account:
        return bool(granting) and identity_allows and boundary_allows and session_allows

    if world.resource_must_allow and not granting:
        return False
    if caller.kind == "root":
        return True
    # "Permissions granted directly to a session (or to a user) are not limited by an implicit deny elsewhere."
    if any(_names_caller_itself(world, statement) for statement in granting):
        return True
    # "Policies that grant to an IAM role ARN are limited by an implicit deny in a boundary or session policy."
    if any(_names_role(world, statement) for statement in granting):
        return boundary_allows and session_allows
    # An account as principal only delegates: identity policies decide.
    return identity_allows and boundary_allows and session_allows


def _own_effect(world: World, document: Document, effect: str) -> bool:
    return any(
        statement["Effect"] == effect and _applies(world, document, statement) for statement in document["Statement"]
    )


def _resource_statements(world: World, effect: str) -> list[dict[str, Any]]:
    return [
        statement
        for document in world.resource_policies
        for statement in document["Statement"]
        if statement["Effect"] == effect
        and _principal_matches(world, statement)
        and _applies(world, document, statement)
    ]


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# Principals


def _aws_names(listed: Any) -> list[str]:
    return ["*"] if listed == "*" else [str(each) for each in _many(listed.get("AWS", []))]


def _services(listed: Any) -> list[str]:
    return [] if listed == "*" else [str(each) for each in _many(listed.get("Service", []))]


def _is_account(world: World, name: str) -> bool:
    return name in (world.caller.account, f"arn:aws:iam::{world.caller.account}:root")


def _names_caller_itself(world: World, statement: dict[str, Any]) -> bool:
    names = _aws_names(statement["Principal"])
    if "*" in names:
        return True
    return world.caller.arn in names


def _names_role(world: World, statement: dict[str, Any]) -> bool:
    return bool(world.caller.role_arn) and world.caller.role_arn in _aws_names(statement["Principal"])


def _principal_matches(world: World, statement: dict[str, Any]) -> bool:
    caller = world.caller
    if "Principal" in statement:
        names, services = _aws_names(statement["Principal"]), _services(statement["Principal"])
        if "*" in names:
            return True
        if caller.kind == "service":
            return caller.arn in services
        if caller.kind == "anonymous":
            return False
        if any(_is_account(world, name) for name in names):
            return True
        return caller.kind != "root" and (caller.arn in names or (caller.role_arn != "" and caller.role_arn in names))
    if "NotPrincipal" in statement:
        names, services = _aws_names(statement["NotPrincipal"]), _services(statement["NotPrincipal"])
        # "NotPrincipal must be used with Deny. Using it with Allow is not supported."
        if "*" in names or statement["Effect"] == "Allow":
            return False
        if caller.kind == "anonymous":
            return True
        if caller.kind == "service":
            return caller.arn not in services
        parts = [any(_is_account(world, name) for name in names)]
        if caller.kind != "root":
            parts.append(caller.arn in names)
        if caller.role_arn:
            parts.append(caller.role_arn in names)
        return not all(parts)
    return False


# Statements


def _applies(world: World, document: Document, statement: dict[str, Any]) -> bool:
    variables = document.get("Version") == "2012-10-17"
    action = world.action.lower()
    if "Action" in statement:
        if not any(_glob(action, list(each.lower())) for each in _many(statement["Action"])):
            return False
    elif any(_glob(action, list(each.lower())) for each in _many(statement["NotAction"])):
        return False
    if "Resource" in statement:
        if not any(_arn_matches(world, each, variables) for each in _many(statement["Resource"])):
            return False
    elif "NotResource" in statement:
        for each in _many(statement["NotResource"]):
            matched = _arn_matches(world, each, variables)
            if matched or (matched is None and statement["Effect"] == "Allow"):
                return False
    return all(
        _condition_holds(world, operator, key, values, variables)
        for operator, entries in statement.get("Condition", {}).items()
        for key, values in entries.items()
    )


def _characters(world: World, text: str, variables: bool) -> list[str] | None:
    """The pattern, one item a character; what came of a variable is marked literal by a leading backslash."""
    items: list[str] = []
    while text:
        close = text.find("}")
        if variables and text.startswith("${") and close > 0 and "{" not in text[2:close]:
            inside, text = text[2:close], text[close + 1 :]
            value = _variable(world, inside)
            if value is None:
                return None
            items += ["\\" + character for character in value]
        else:
            items.append(text[0])
            text = text[1:]
    return items


def _variable(world: World, inside: str) -> str | None:
    if inside in ("*", "?", "$"):
        return inside
    name, comma, default = inside.partition(",")
    values = _context(world, name.strip())
    if values is not None and len(values) == 1:
        return values[0]
    return default.strip()[1:-1] if comma else None


def _context(world: World, key: str) -> list[str] | None:
    for name, values in world.context.items():
        if name.lower() == key.lower():
            return values
    return None


def _glob(value: str, pattern: list[str]) -> bool:
    """Which lengths of the value does the pattern reach so far?"""
    reached = {0}
    for item in pattern:
        if item == "*":
            reached = set(range(min(reached), len(value) + 1)) if reached else set()
        elif item == "?":
            reached = {at + 1 for at in reached if at < len(value)}
        else:
            character = item[-1]
            reached = {at + 1 for at in reached if at < len(value) and value[at] == character}
    return len(value) in reached


def _segments(pattern: list[str]) -> list[list[str]]:
    """At most six, split at colons of the policy's own (a variable's are marked)."""
    parts: list[list[str]] = [[]]
    for item in pattern:
        if item == ":" and len(parts) < 6:
            parts.append([])
        else:
            parts[-1].append(item)
    return parts


def _arn_matches(world: World, text: str, variables: bool) -> bool | None:
    if text == "*":
        return True
    pattern = _characters(world, text, variables)
    if pattern is None:
        return None
    value = world.resource.split(":", 5)
    if len(value) != 6:
        return False
    segments = _segments(pattern)
    segments += [["*"]] * (6 - len(segments))
    return all(_glob(part, segment) for part, segment in zip(value, segments, strict=True))


# Conditions


def _condition_holds(world: World, operator: str, key: str, raw: Any, variables: bool) -> bool:
    wanted = [str(each).lower() if isinstance(each, bool) else str(each) for each in _many(raw)]
    given = _context(world, key)
    if operator == "Null":
        return any((each == "true") == (given is None or given == []) for each in wanted)
    quantifier, _, name = operator.rpartition(":")
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    negated = name in NEGATED
    base = NEGATED.get(name, name)

    def accepts(value: str) -> bool:
        matched = any(_compare(world, base, value, each, variables) for each in wanted)
        return not matched if negated else matched

    if quantifier == "ForAllValues":
        return all(value == "" for value in given or []) or all(accepts(value) for value in given or [])
    if quantifier == "ForAnyValue":
        return any(accepts(value) for value in given or [])
    if not given:
        return if_exists or negated
    return all(accepts(value) for value in given) if negated else any(accepts(value) for value in given)


def _compare(world: World, base: str, value: str, wanted: str, variables: bool) -> bool:
    if base.startswith(("String", "Arn")):
        pattern = _characters(world, wanted, variables)
        if pattern is None:
            return False
        return _compare_text(base, value, pattern, wanted)
    if base.startswith(("Numeric", "Date")):
        read = _number if base.startswith("Numeric") else _date
        left, right = read(value), read(wanted)
        if left is None or right is None:
            return False
        return {
            "Equals": left == right,
            "LessThan": left < right,
            "LessThanEquals": left <= right,
            "GreaterThan": left > right,
            "GreaterThanEquals": left >= right,
        }[base.removeprefix("Numeric").removeprefix("Date")]
    if base == "Bool":
        return value.lower() == wanted.lower()
    if base == "BinaryEquals":
        try:
            return base64.b64decode(value, validate=True) == base64.b64decode(wanted, validate=True)
        except (binascii.Error, ValueError):
            return False
    if base == "IpAddress":
        return _in_range(value, wanted)
    raise AssertionError(base)


def _compare_text(base: str, value: str, pattern: list[str], wanted: str) -> bool:
    plain = "".join(item[-1] for item in pattern)
    if base == "StringEquals":
        return plain == value
    if base == "StringEqualsIgnoreCase":
        return plain.lower() == value.lower()
    if base == "StringLike":
        return _glob(value, pattern)
    if wanted == "*":
        return True
    parts, segments = value.split(":", 5), _segments(pattern)
    return len(parts) == len(segments) == 6 and all(map(_glob, parts, segments))


def _number(text: str) -> Fraction | None:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        return None


def _date(text: str) -> Fraction | None:
    try:
        date = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return Fraction((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp())
    except ValueError:
        return _number(text)


def _in_range(value: str, wanted: str) -> bool:
    try:
        address, network = ipaddress.ip_address(value), ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return False
    if address.version != network.version:
        return False
    shift = network.max_prefixlen - network.prefixlen
    return int(address) >> shift == int(network.network_address) >> shift
