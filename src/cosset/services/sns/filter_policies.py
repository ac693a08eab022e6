"""Which messages a subscription wants: filter policies on attributes and on bodies, and their limits.

Patterns are those of `triggers.patterns`. Recorded: TestSNSFilterPolicyConditions, TestSNSFilterPolicyBody.
"""

import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from cosset.services.sns.errors import invalid
from cosset.services.sns.model import BODY_SCOPE, MessageAttribute, Subscription
from cosset.triggers.patterns import Dialect, InvalidPatternError, Pattern, compile_pattern

_MAX_KEYS = 5
_MAX_COMBINATIONS = 150
_MAX_BYTES = 256 * 1024
_KEPT = 1_000
_REDACTED = "REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled)"


class FilterPolicies:
    """Compiled once each, and forgotten when there are too many."""

    def __init__(self) -> None:
        self._compiled: OrderedDict[str, Pattern] = OrderedDict()

    def wants(self, subscription: Subscription, text: str, attributes: Mapping[str, MessageAttribute]) -> bool:
        """Whether a message of this text and these attributes is for the subscription."""
        policy = subscription.attributes.get("FilterPolicy")
        if not policy or policy == "{}":
            return True
        pattern = self._pattern(policy)
        if subscription.attributes.get("FilterPolicyScope") != BODY_SCOPE:
            return pattern.matches(_event(attributes))
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            return False
        return isinstance(body, dict) and pattern.matches(body)

    def _pattern(self, policy: str) -> Pattern:
        pattern = self._compiled.get(policy)
        if pattern is None:
            pattern = self._compiled[policy] = compile_pattern(policy, Dialect.SNS)
            if len(self._compiled) > _KEPT:
                self._compiled.popitem(last=False)
        return pattern


def check_filter_policy(text: str, scope: str, opening: str) -> None:
    """`opening` is where the sentence begins. Raises ServiceError InvalidParameter."""
    if text in ("", "{}"):
        return
    if len(text.encode()) > _MAX_BYTES:
        raise invalid(f"{opening}FilterPolicy: Filter policy is too large")
    policy = _read(text)
    nested = policy is not None and any(isinstance(each, dict) for each in policy.values())
    if scope != BODY_SCOPE and nested:
        raise invalid("Filter policy scope MessageAttributes does not support nested filter policy")
    try:
        compile_pattern(text, Dialect.SNS)
    except InvalidPatternError as error:
        sentence = error.sentence if _is_json(text) else _no_json(text, error)
        raise invalid(f"{opening}FilterPolicy: {sentence}") from None
    _check_size(policy or {}, scope, opening)


def _check_size(policy: Mapping[str, Any], scope: str, opening: str) -> None:
    leaves = list(_leaves(policy, 1))
    if len(leaves) > _MAX_KEYS:
        raise invalid(f"{opening}FilterPolicy: Filter policy can not have more than {_MAX_KEYS} keys")
    combinations = 1
    for values, depth in leaves:
        combinations *= values * (depth if scope == BODY_SCOPE else 1)
    if combinations > _MAX_COMBINATIONS:
        raise invalid(f"{opening}FilterPolicy: Filter policy is too complex")


def _leaves(policy: Mapping[str, Any], depth: int) -> list[tuple[int, int]]:
    """Of every field that has rules: how many, and how deep it lies."""
    found: list[tuple[int, int]] = []
    for name, value in policy.items():
        if isinstance(value, dict):
            found += _leaves(value, depth + 1)
        elif name == "$or" and isinstance(value, list) and all(isinstance(each, dict) for each in value):
            for each in value:
                found += _leaves(each, depth)
        elif isinstance(value, list):
            found.append((sum(_count(each) for each in value), depth))
    return found


def _count(rule: Any) -> int:
    """A list inside anything-but counts as many."""
    if isinstance(rule, dict) and isinstance(inner := next(iter(rule.values()), None), list) and "numeric" not in rule:
        return max(1, len(inner))
    return 1


def _read(text: str) -> dict[str, Any] | None:
    try:
        policy = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return policy if isinstance(policy, dict) else None


def check_json(text: str, opening: str) -> None:
    """Raises ServiceError InvalidParameter, with what is wrong and where."""
    try:
        compile_pattern(text, Dialect.SNS)
    except InvalidPatternError as error:
        if not _is_json(text):
            raise invalid(opening + _no_json(text, error)) from None


def _no_json(text: str, error: InvalidPatternError) -> str:
    """Recorded: test_subscribe_invalid_filter_policy."""
    place = error.sentence.replace(f'[Source: (String)"{text}"', f"[Source: {_REDACTED}")
    return f"failed to parse JSON. {place}"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _event(attributes: Mapping[str, MessageAttribute]) -> dict[str, Any]:
    """Attributes as a pattern sees them. Binary ones cannot be filtered by, and are not there."""
    event: dict[str, Any] = {}
    for name, attribute in attributes.items():
        if attribute.kind == "String.Array":
            event[name] = json.loads(attribute.value)
        elif attribute.kind == "Number":
            event[name] = _number(attribute.value)
        elif attribute.kind == "String":
            event[name] = attribute.value
    return event


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)
