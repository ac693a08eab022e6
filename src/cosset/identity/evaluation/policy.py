"""Policies made ready to be asked: every pattern, principal and condition of a document compiled, once.

Which document is a policy says `policy_document.py`. Asking is `evaluator.py`'s.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cosset.identity.evaluation.arns import ArnPattern, parse_arn_pattern
from cosset.identity.evaluation.conditions import Condition, ConditionError, compile_conditions
from cosset.identity.evaluation.principals import Principals, compile_principals
from cosset.identity.evaluation.templates import Matcher, Values, make_matcher, parse_template
from cosset.identity.policy_document import MalformedPolicyError, PolicyDocument, Statement, parse_policy

VARIABLES_SINCE = "2012-10-17"


@dataclass(frozen=True, slots=True)
class CompiledStatement:
    """One statement. `keys` are all condition keys that it may read."""

    sid: str
    allows: bool
    actions: tuple[Matcher, ...]
    not_actions: tuple[Matcher, ...]
    principals: Principals | None
    resources: tuple[ArnPattern, ...]
    not_resources: tuple[ArnPattern, ...]
    conditions: tuple[Condition, ...]
    keys: frozenset[str]

    def is_about_action(self, action: str) -> bool:
        if self.not_actions:
            return not any(matches(action) for matches in self.not_actions)
        return any(matches(action) for matches in self.actions)

    def is_about_resource(self, resource: str, values: Values) -> bool:
        """A statement without resources (a trust policy's) is about the one that it is attached to."""
        if self.resources:
            return any(pattern.matches(resource, values) for pattern in self.resources)
        found = [pattern.matches(resource, values) for pattern in self.not_resources]
        # A variable without a value leaves open what is excepted: an Allow then excepts everything, a Deny nothing.
        return not any(match or (match is None and self.allows) for match in found)

    def holds(self, values: Values) -> bool:
        return all(condition.holds(values) for condition in self.conditions)


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    statements: tuple[CompiledStatement, ...]

    def keys_for(self, action: str) -> frozenset[str]:
        """The condition keys that a decision about this action may depend on."""
        return frozenset().union(*(each.keys for each in self.statements if each.is_about_action(action)))


DENY_EVERYTHING = CompiledPolicy(
    (
        CompiledStatement(
            sid="unreadable",
            allows=False,
            actions=(lambda action: True,),
            not_actions=(),
            principals=Principals(
                inverted=False, everyone=True, accounts=frozenset(), names=frozenset(), services=frozenset()
            ),
            resources=(),
            not_resources=(),
            conditions=(),
            keys=frozenset(),
        ),
    )
)
"""Stands in for a kept document that cannot be read, since what it denied is not known."""


def compile_policy(document: PolicyDocument) -> CompiledPolicy:
    """Raises:
    MalformedPolicyError: a condition is none.
    """
    variables = document.version == VARIABLES_SINCE
    return CompiledPolicy(
        tuple(_compile(each, str(index), variables) for index, each in enumerate(document.statements, start=1))
    )


class PolicyCompiler:
    """Compiles texts, and keeps those last used: `limit` of them, with `limit_chars` together. A compiled policy takes
    some fifty bytes of memory for each character."""

    def __init__(
        self,
        limit: int = 5_000,
        parse: Callable[[str], PolicyDocument] = parse_policy,
        *,
        limit_chars: int = 1_000_000,
    ) -> None:
        self._limit = limit
        self._limit_chars = limit_chars
        self._chars = 0
        self._parse = parse
        self._kept: OrderedDict[str, CompiledPolicy] = OrderedDict()

    def compile(self, text: str) -> CompiledPolicy:
        """Raises:
        MalformedPolicyError: the text is no policy.
        """
        found = self._kept.get(text)
        if found is None:
            found = self._kept[text] = compile_policy(self._parse(text))
            self._chars += len(text)
            while len(self._kept) > 1 and (len(self._kept) > self._limit or self._chars > self._limit_chars):
                self._chars -= len(self._kept.popitem(last=False)[0])
        else:
            self._kept.move_to_end(text)
        return found


def _compile(statement: Statement, position: str, variables: bool) -> CompiledStatement:
    try:
        conditions = compile_conditions(statement.conditions, variables=variables)
    except ConditionError as error:
        raise MalformedPolicyError("Syntax errors in policy.") from error
    resources = _arn_patterns(statement.resources, variables)
    not_resources = _arn_patterns(statement.not_resources, variables)
    keys = {key for condition in conditions for key in condition.keys}
    keys |= {key for pattern in (*resources, *not_resources) for key in pattern.keys}
    return CompiledStatement(
        sid=statement.sid or position,
        allows=statement.allows,
        actions=_actions(statement.actions),
        not_actions=_actions(statement.not_actions),
        principals=_principals(statement),
        resources=resources,
        not_resources=not_resources,
        conditions=conditions,
        keys=frozenset(keys),
    )


def _actions(names: Sequence[str]) -> tuple[Matcher, ...]:
    """Actions ignore case and know no variables."""
    templates = [parse_template(name, variables=False) for name in names]
    return tuple(make_matcher(each.resolve({}) or (), ignore_case=True) for each in templates)


def _arn_patterns(texts: Sequence[str], variables: bool) -> tuple[ArnPattern, ...]:
    return tuple(parse_arn_pattern(text, variables=variables) for text in texts)


def _principals(statement: Statement) -> Principals | None:
    if statement.principals is not None:
        return compile_principals(statement.principals, inverted=False)
    if statement.not_principals is not None:
        return compile_principals(statement.not_principals, inverted=True)
    return None
