"""Reads expressions from words, by how strongly operators bind, straight into functions of a record."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from cosset.services.s3.select import functions
from cosset.services.s3.select.errors import unexpected, unknown_function, unsupported, wrong_arguments
from cosset.services.s3.select.expressions import (
    Aggregate,
    Expression,
    absent,
    both,
    called,
    chosen,
    compared,
    constant,
    counted,
    either,
    joined,
    opposite,
    path,
    resembling,
    within,
)
from cosset.services.s3.select.records import Name, Step
from cosset.services.s3.select.tokens import Kind, Token
from cosset.services.s3.select.values import KINDS, cast, read_number, read_timestamp

_DEEPEST = 32
_MOST_OPERATORS = 250
"""Each may be one call within another when it is worked out."""
_AGGREGATES = ("COUNT", "SUM", "AVG", "MIN", "MAX")
_CONSTANTS = {"NULL": None, "TRUE": True, "FALSE": False}


class Expressions:
    """Words up to an end. `aliases`: how the table is called, in lower case."""

    def __init__(self, tokens: Sequence[Token], aliases: frozenset[str], now: datetime, *, may_aggregate: bool) -> None:
        self._tokens = tokens
        self._now = now
        self._operators = 0
        self._at = 0
        self._depth = 0
        self._aliases = aliases
        self._may_aggregate = may_aggregate
        self.aggregates: list[Aggregate] = []

    @property
    def here(self) -> Token:
        return self._tokens[self._at]

    def takes(self, *words: str) -> bool:
        if not self.here.says(*words):
            return False
        self._at += 1
        self._operators += self.here.kind is not Kind.END and words != (",",)
        if self._operators > _MOST_OPERATORS:
            raise unsupported("so long an expression")
        return True

    def _need(self, *words: str) -> Token:
        """Raises ServiceError ParseUnexpectedToken."""
        token = self.here
        if not self.takes(*words):
            raise unexpected(token.text, token.at)
        return token

    def end(self) -> None:
        """Raises ServiceError ParseUnexpectedToken."""
        if self.here.kind is not Kind.END:
            raise unexpected(self.here.text, self.here.at)

    def name(self) -> str:
        token = self.here
        if token.kind not in (Kind.NAME, Kind.QUOTED):
            raise unexpected(token.text, token.at)
        self._at += 1
        return token.text

    def whole_number(self) -> int:
        token = self.here
        if token.kind is not Kind.NUMBER or not token.text.isdecimal():
            raise unexpected(token.text, token.at)
        self._at += 1
        return int(token.text)

    def takes_everything(self) -> bool:
        """`*`, or `s.*`."""
        words = [token.text.lower() for token in self._tokens[self._at : self._at + 3]]
        if words[0] == "*":
            self._at += 1
            return True
        if len(words) == 3 and words[0] in self._aliases and words[1:] == [".", "*"]:
            self._at += 3
            return True
        return False

    def named(self) -> tuple[Expression, str | None]:
        """An expression, and what its value is called if nothing else is said."""
        start = self._at
        value = self.expression()
        taken = self._tokens[start : self._at]
        last = taken[-1]
        is_path = all(token.kind in (Kind.NAME, Kind.QUOTED) or token.says(".") for token in taken)
        return value, last.text if is_path and not last.says("NULL", "TRUE", "FALSE", "MISSING", "END") else None

    def expression(self) -> Expression:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise unsupported("an expression within so many others")
        found = self._conjunction()
        while self.takes("OR"):
            found = either(found, self._conjunction())
        self._depth -= 1
        return found

    def _conjunction(self) -> Expression:
        found = self._negation()
        while self.takes("AND"):
            found = both(found, self._negation())
        return found

    def _negation(self) -> Expression:
        count = 0
        while self.takes("NOT"):
            count += 1
        found = self._comparison()
        return opposite(found) if count % 2 else found

    def _comparison(self) -> Expression:
        found = self._sum()
        while True:
            sign = self.here
            if self.takes("=", "<>", "!=", "<", ">", "<=", ">="):
                found = compared(sign.text, found, self._sum())
            elif self.takes("IS"):
                found = self._being(found)
            elif self.here.says("NOT", "BETWEEN", "IN", "LIKE"):
                is_not = self.takes("NOT")
                result = self._test(found)
                found = opposite(result) if is_not else result
            else:
                return found

    def _being(self, one: Expression) -> Expression:
        is_not = self.takes("NOT")
        found = absent(one, only_missing=self._need("NULL", "MISSING").says("MISSING"))
        return opposite(found) if is_not else found

    def _test(self, one: Expression) -> Expression:
        if self.takes("BETWEEN"):
            least = self._sum()
            self._need("AND")
            return both(compared(">=", one, least), compared("<=", one, self._sum()))
        if self.takes("IN"):
            self._need("(")
            return within(one, self._arguments())
        self._need("LIKE")
        pattern = self._sum()
        return resembling(one, pattern, self._sum() if self.takes("ESCAPE") else None)

    def _sum(self) -> Expression:
        found = self._product()
        while True:
            sign = self.here
            if self.takes("+", "-"):
                found = counted(sign.text, found, self._product())
            elif self.takes("||"):
                found = joined(found, self._product())
            else:
                return found

    def _product(self) -> Expression:
        found = self._signed()
        while True:
            sign = self.here
            if not self.takes("*", "/", "%"):
                return found
            found = counted(sign.text, found, self._signed())

    def _signed(self) -> Expression:
        is_negative = False
        while self.here.says("+", "-"):
            is_negative ^= self.here.says("-")
            self._at += 1
        found = self._value()
        return counted("-", constant(0), found) if is_negative else found

    def _value(self) -> Expression:
        token = self.here
        if token.kind is Kind.NUMBER:
            self._at += 1
            return constant(read_number(token.text))
        if token.kind is Kind.TEXT:
            self._at += 1
            return constant(token.text)
        if token.kind is Kind.ION:
            self._at += 1
            return constant(read_timestamp(token.text) or token.text)
        if self.takes("("):
            found = self.expression()
            self._need(")")
            return found
        if token.says(*_CONSTANTS):
            self._at += 1
            return constant(_CONSTANTS[token.text.upper()])
        if self.takes("CASE"):
            return self._case()
        if token.kind is Kind.NAME and self._tokens[self._at + 1].says("("):
            self._at += 2
            return self._call(token.text.upper())
        return self._path()

    def _path(self) -> Expression:
        steps: list[Step] = [self._step()]
        while self.here.says(".", "["):
            if self.takes("["):
                steps.append(self.whole_number())
                self._need("]")
            else:
                self._need(".")
                steps.append(self._step())
        first = steps[0]
        is_alias = isinstance(first, Name) and first.text.lower() in self._aliases
        return path(tuple(steps[1:] if is_alias else steps))

    def _step(self) -> Name:
        is_quoted = self.here.kind is Kind.QUOTED
        return Name(self.name(), is_quoted)

    def _arguments(self) -> list[Expression]:
        """Behind the bracket that opens, up to the one that closes."""
        if self.takes(")"):
            return []
        found = [self.expression()]
        while self.takes(","):
            found.append(self.expression())
        self._need(")")
        return found

    def _case(self) -> Expression:
        subject = None if self.here.says("WHEN") else self.expression()
        cases: list[tuple[Expression, Expression]] = []
        while self.takes("WHEN"):
            condition = self.expression()
            self._need("THEN")
            result = self.expression()
            cases.append((condition if subject is None else compared("=", subject, condition), result))
        otherwise = self.expression() if self.takes("ELSE") else constant(None)
        self._need("END")
        return chosen(cases, otherwise)

    def _call(self, name: str) -> Expression:
        """Raises ServiceError UnsupportedFunction, EvaluatorInvalidArguments."""
        if name in _AGGREGATES:
            return self._aggregate(name)
        own = self._own_forms().get(name)
        if own is not None:
            return own()
        known = functions.PLAIN.get(name) or functions.OF_ANYTHING.get(name)
        if known is None:
            raise unknown_function(name)
        function, fewest, most = known
        arguments = self._arguments()
        if not fewest <= len(arguments) <= most:
            raise wrong_arguments(name)
        return called(function, arguments, with_absent=name in functions.OF_ANYTHING)

    def _aggregate(self, name: str) -> Expression:
        if not self._may_aggregate:
            raise unsupported(f"{name} outside the SELECT list")
        self._may_aggregate = False
        of = None if name == "COUNT" and self.takes("*") else self.expression()
        self._need(")")
        self._may_aggregate = True
        aggregate = Aggregate(name, of)
        self.aggregates.append(aggregate)
        return aggregate.result

    def _own_forms(self) -> dict[str, Callable[[], Expression]]:
        return {
            "CAST": self._cast,
            "DATE_ADD": lambda: self._of_dates(functions.date_add),
            "DATE_DIFF": lambda: self._of_dates(functions.date_diff),
            "EXTRACT": self._extract,
            "SUBSTRING": self._substring,
            "TRIM": self._trim,
            "UTCNOW": self._utc_now,
        }

    def _cast(self) -> Expression:
        value = self.expression()
        self._need("AS")
        kind = self.name().upper()
        if kind not in KINDS:
            raise unsupported(f"the type {kind}")
        if self.takes("("):
            self._arguments()
        self._need(")")
        return called(lambda given: cast(given, kind), [value], with_absent=True)

    def _part(self) -> str:
        token = self.here
        part = self.name().upper()
        if part not in functions.PARTS:
            raise unexpected(token.text, token.at)
        return part

    def _of_dates(self, function: Callable[[str, Any, Any], Any]) -> Expression:
        part = self._part()
        self._need(",")
        arguments = self._arguments()
        if len(arguments) != 2:
            raise wrong_arguments("the function of dates")
        return called(lambda one, other: function(part, one, other), arguments)

    def _extract(self) -> Expression:
        part = self._part()
        self._need("FROM")
        arguments = self._arguments()
        if len(arguments) != 1:
            raise wrong_arguments("EXTRACT")
        return called(lambda value: functions.extract(part, value), arguments)

    def _substring(self) -> Expression:
        found = [self.expression()]
        while self.takes(",", "FROM", "FOR"):
            found.append(self.expression())
        self._need(")")
        if len(found) not in (2, 3):
            raise wrong_arguments("SUBSTRING")
        return called(functions.substring, found)

    def _trim(self) -> Expression:
        side = self.here.text.upper() if self.here.says("LEADING", "TRAILING", "BOTH") else None
        if side is not None:
            self._at += 1
        characters: Expression = constant(" ")
        if side is None or not self.here.says("FROM"):
            value = self.expression()
            if self.takes("FROM"):
                characters, value = value, self.expression()
        else:
            self._need("FROM")
            value = self.expression()
        self._need(")")
        return called(lambda which, text: functions.trim(side or "BOTH", which, text), [characters, value])

    def _utc_now(self) -> Expression:
        self._need(")")
        return constant(self._now)
