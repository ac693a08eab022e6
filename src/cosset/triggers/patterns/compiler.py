"""From a pattern's text to a predicate; and what is wrong with a pattern, as AWS says it.

Two services speak the language with small differences: EventBridge (event source mappings with it) and SNS. Recorded:
TestEventPattern::test_event_pattern, TestSNSFilterPolicyConditions. Read next: rules.py, what a rule matches.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from cosset.triggers.patterns import rules
from cosset.triggers.patterns.anything_but import read_anything_but, read_wildcard
from cosset.triggers.patterns.cidr import InvalidCidrError, parse_cidr
from cosset.triggers.patterns.ranges import TOO_MANY, read_range
from cosset.triggers.patterns.rules import Rule
from cosset.triggers.patterns.tokens import MAX_DEPTH, JsonError, Kind, Token, location, read_tokens
from cosset.triggers.patterns.tree import Choice, Fields, Leaf, Tree, joined, nested

# What makes an object a rule and no option of an `$or`: AWS's library reserves names that it has no use for yet.
_RESERVED = frozenset(
    {"anything-but", "prefix", "suffix", "numeric", "exists", "cidr", "equals-ignore-case", "wildcard", "exactly"}
    | {"=", "<", "<=", ">", ">=", "regex", "not-wildcard", "not-equals-ignore-case", "in-date-range"}
    | {"date-after", "date-on-or-after", "date-before", "date-on-or-before"}
    | {"ip-address-in-range", "ip-address-not-in-range"}
)


class Dialect(Enum):
    EVENTS = "EventBridge"
    SNS = "SNS"


class InvalidPatternError(Exception):
    """`reason` is AWS's sentence; `sentence` is it with the place in the text, where AWS says one."""

    def __init__(self, reason: str, place: str = "") -> None:
        super().__init__(reason + place)
        self.reason = reason
        self.sentence = reason + place


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern. `tree` is what it is made of, for limits on how large one may be."""

    tree: Fields

    def matches(self, event: Any) -> bool:
        """`event` is parsed JSON. One that is nested deeper than can be followed matches nothing."""
        try:
            return self.tree.matches(event)
        except RecursionError:
            return False


def compile_pattern(source: str, dialect: Dialect = Dialect.EVENTS) -> Pattern:
    """Raises: InvalidPatternError."""
    try:
        return Pattern(_Compiler(source, dialect).compile())
    except JsonError as error:
        raise InvalidPatternError(error.reason, _place(source, error.at)) from error
    except RecursionError as error:
        raise InvalidPatternError("The pattern is nested too deeply") from error


def _place(source: str, at: int) -> str:
    return f'\n at [Source: (String)"{source}"; {location(source, at)}]'


class _Compiler:
    def __init__(self, source: str, dialect: Dialect) -> None:
        self._source = source
        self._dialect = dialect
        self._tokens: Iterator[Token] = read_tokens(source)

    def compile(self) -> Fields:
        first = self._next()
        if first.kind is not Kind.OBJECT:
            raise self._refuse("Filter is not an object", first.at)
        return self._fields()

    def _fields(self) -> Fields:
        """From behind the opening brace to behind the closing one."""
        fields: dict[str, Tree] = {}
        choices: list[Choice] = []
        token = self._next()
        if token.kind is Kind.END_OBJECT:
            raise self._refuse("Empty objects are not allowed", token.at)
        while token.kind is Kind.NAME:
            name, opening = str(token.value), self._next()
            if opening.kind is Kind.OBJECT:
                _add(fields, name, self._fields())
            elif opening.kind is Kind.ARRAY:
                found = self._list(name)
                if isinstance(found, Choice):
                    choices.append(found)
                else:
                    _add(fields, name, found)
            else:
                raise self._refuse(f'"{name}" must be an object or an array', opening.at)
            token = self._next()
        return Fields(fields, tuple(choices))

    def _list(self, name: str) -> Leaf | Choice:
        """The rules of a field, or the patterns of an `$or`."""
        if name == "$or":
            # Only what comes tells an $or from a field that happens to be called so: so it is read ahead.
            ahead = list(self._rest_of_list())
            self._tokens = _chain(ahead, self._tokens)
            if _is_choice(ahead):
                return self._choice()
        return self._leaf()

    def _rest_of_list(self) -> Iterator[Token]:
        depth = 1
        while depth:
            token = self._next()
            if token.kind in (Kind.OBJECT, Kind.ARRAY):
                depth += 1
            elif token.kind in (Kind.END_OBJECT, Kind.END_ARRAY):
                depth -= 1
            yield token

    def _choice(self) -> Choice:
        options: list[Fields] = []
        while self._next().kind is Kind.OBJECT:
            options.append(self._fields())
        return Choice(tuple(options))

    def _leaf(self) -> Leaf:
        found: list[Rule] = []
        token = self._next()
        while token.kind is not Kind.END_ARRAY:
            if token.kind is Kind.OBJECT:
                found.append(self._operator())
            elif token.kind is Kind.ARRAY:
                raise self._refuse("Match value must be String, number, true, false, or null", token.at)
            else:
                found.append(_exact(token))
            token = self._next()
        if not found:
            raise self._refuse("Empty arrays are not allowed", token.at)
        return Leaf(tuple(found))

    def _operator(self) -> Rule:
        name = self._next()
        if name.kind is not Kind.NAME:
            raise self._refuse("Match expression name not found", name.at)
        match str(name.value):
            case "anything-but":
                rule = read_anything_but(self._next, self._refuse, only_prefix=self._dialect is Dialect.SNS)
            case "numeric":
                rule = self._numeric()
                self._close(TOO_MANY)
                return rule
            case "exists":
                rule = self._exists()
            case "cidr":
                rule = self._cidr()
            case "prefix" | "suffix" as which:
                rule = self._affix(which)
            case "equals-ignore-case":
                rule = rules.equals_ignore_case(self._text("equals-ignore-case match pattern must be a string"))
            case "exactly":
                rule = rules.equals(self._text("exact match pattern must be a string"))
            case "wildcard":
                rule = read_wildcard(self._next(), self._refuse).rule()
            case other:
                raise self._refuse(f"Unrecognized match type {other}", name.at)
        self._close()
        return rule

    def _close(self, otherwise: str = "Only one key allowed in match expression") -> None:
        token = self._next()
        if token.kind is not Kind.END_OBJECT:
            raise self._refuse(otherwise, token.at)

    def _text(self, otherwise: str) -> str:
        token = self._next()
        if token.kind is not Kind.TEXT:
            raise self._refuse(otherwise, token.at)
        return str(token.value)

    def _affix(self, which: str) -> Rule:
        token = self._next()
        make = rules.prefix if which == "prefix" else rules.suffix
        if token.kind is Kind.TEXT:
            return make(str(token.value))
        refusal = f"{which} match pattern must be a string"
        if token.kind is not Kind.OBJECT:
            raise self._refuse(refusal, token.at)
        name = self._next()
        if name.kind is not Kind.NAME or name.value != "equals-ignore-case":
            raise self._refuse(f"Unsupported anything-but pattern: {name.value}", name.at)
        text = self._text("equals-ignore-case match pattern must be a string")
        self._close()
        return make(text, ignore_case=True)

    def _exists(self) -> Rule:
        token = self._next()
        if not isinstance(token.value, bool):
            raise self._refuse("exists match pattern must be either true or false.", token.at)
        return rules.exists(token.value)

    def _cidr(self) -> Rule:
        text = self._text("prefix match pattern must be a string")
        try:
            return rules.within(parse_cidr(text))
        except InvalidCidrError as error:
            raise InvalidPatternError(str(error)) from error

    def _numeric(self) -> Rule:
        opening = self._next()
        if opening.kind is not Kind.ARRAY:
            raise self._refuse("Value of numeric must be an array.", opening.at)
        return rules.in_range(read_range(self._next, self._refuse))

    def _next(self) -> Token:
        return next(self._tokens)

    def _refuse(self, reason: str, at: int, times: int = 1) -> InvalidPatternError:
        return InvalidPatternError(reason, _place(self._source, at) * times)


def _add(fields: dict[str, Tree], name: str, tree: Tree) -> None:
    if name.count(".") >= MAX_DEPTH:
        raise InvalidPatternError("The pattern is nested too deeply")
    first, below = nested(name, tree)
    fields[first] = joined(fields.get(first), below)


def _exact(token: Token) -> Rule:
    return rules.equals(token.value)


def _chain(ahead: list[Token], rest: Iterator[Token]) -> Iterator[Token]:
    yield from ahead
    yield from rest


def _is_choice(ahead: list[Token]) -> bool:
    """At least two objects and nothing else, none of which is empty or a rule."""
    depth, objects = 0, 0
    for token, following in zip(ahead, [*ahead[1:], None], strict=True):
        if depth == 0 and token.kind is Kind.OBJECT:
            objects += 1
            if following is None or following.kind is not Kind.NAME:
                return False
        is_rule = depth == 1 and token.kind is Kind.NAME and token.value in _RESERVED
        if is_rule or (depth == 0 and token.kind not in (Kind.OBJECT, Kind.END_ARRAY)):
            return False
        if token.kind in (Kind.OBJECT, Kind.ARRAY):
            depth += 1
        elif token.kind in (Kind.END_OBJECT, Kind.END_ARRAY):
            depth -= 1
    return objects >= 2
