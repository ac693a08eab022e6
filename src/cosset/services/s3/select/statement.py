"""A statement, read: SELECT what FROM S3Object, of records that WHERE lets through, as many as LIMIT says.

One table, no joins, groups, orders or subqueries, as S3 has it.
Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-select-sql-reference-select.html
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cosset.services.s3.select.clauses import Expressions
from cosset.services.s3.select.errors import no_from, unexpected, unsupported
from cosset.services.s3.select.expressions import Aggregate, Expression
from cosset.services.s3.select.records import Name, Step
from cosset.services.s3.select.tokens import Kind, Token, read_tokens
from cosset.wire.errors import ServiceError

LONGEST = 256 * 1024
_LATER = ("GROUP", "ORDER", "HAVING", "JOIN", "UNION")


@dataclass(frozen=True, slots=True)
class Output:
    name: str
    value: Expression


@dataclass(frozen=True, slots=True)
class Statement:
    """`outputs` None: everything. `table`: which records of a document are meant."""

    outputs: tuple[Output, ...] | None
    table: tuple[Step | None, ...]
    where: Expression | None
    limit: int | None
    aggregates: tuple[Aggregate, ...]


def read_statement(text: str, now: datetime) -> Statement:
    """`now`: what UTCNOW says. Raises ServiceError, in S3's codes."""
    if len(text) > LONGEST:
        raise ServiceError("ExpressionTooLong", "The SQL expression is too long: The maximum byte-length is 256 KB.")
    tokens = read_tokens(text)
    if not tokens[0].says("SELECT"):
        raise unexpected(tokens[0].text, tokens[0].at)
    place = _place_of_from(tokens)
    table, alias, behind = _read_table(tokens, place + 1)
    aliases = frozenset({"s3object", *([alias.lower()] if alias else [])})
    what = Expressions([*tokens[1:place], Token(Kind.END, "", tokens[place].at)], aliases, now, may_aggregate=True)
    outputs = _read_outputs(what)
    rest = Expressions(tokens[behind:], aliases, now, may_aggregate=False)
    where = rest.expression() if rest.takes("WHERE") else None
    if rest.here.says(*_LATER):
        raise unsupported(rest.here.text.upper())
    limit = rest.whole_number() if rest.takes("LIMIT") else None
    rest.end()
    return Statement(outputs, table, where, limit, tuple(what.aggregates))


def _place_of_from(tokens: Sequence[Token]) -> int:
    """Of the statement's own: in brackets others may stand."""
    depth = 0
    for place, token in enumerate(tokens):
        depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind is Kind.SIGN else 0
        if token.says("FROM") and not depth:
            return place
    raise no_from()


def _read_table(tokens: Sequence[Token], at: int) -> tuple[tuple[Step | None, ...], str | None, int]:
    """The path, the alias, and where it goes on."""
    if tokens[at].kind not in (Kind.NAME, Kind.QUOTED) or tokens[at].text.lower() != "s3object":
        raise unexpected(tokens[at].text, tokens[at].at)
    steps: list[Step | None] = []
    at += 1
    while tokens[at].says(".", "["):
        step = tokens[at + 1]
        if tokens[at].says("."):
            if step.kind not in (Kind.NAME, Kind.QUOTED):
                raise unexpected(step.text, step.at)
            steps.append(Name(step.text, step.kind is Kind.QUOTED))
            at += 2
            continue
        if not step.says("*") and not (step.kind is Kind.NUMBER and step.text.isdecimal()):
            raise unexpected(step.text, step.at)
        if not tokens[at + 2].says("]"):
            raise unexpected(tokens[at + 2].text, tokens[at + 2].at)
        steps.append(None if step.says("*") else int(step.text))
        at += 3
    if tokens[at].says("AS"):
        at += 1
    elif tokens[at].kind is not Kind.NAME or tokens[at].says("WHERE", "LIMIT", *_LATER):
        return tuple(steps), None, at
    if tokens[at].kind not in (Kind.NAME, Kind.QUOTED):
        raise unexpected(tokens[at].text, tokens[at].at)
    return tuple(steps), tokens[at].text, at + 1


def _read_outputs(what: Expressions) -> tuple[Output, ...] | None:
    if what.takes_everything():
        what.end()
        return None
    found: list[Output] = []
    while True:
        value, name = what.named()
        if what.takes("AS") or what.here.kind in (Kind.NAME, Kind.QUOTED):
            name = what.name()
        found.append(Output(name or f"_{len(found) + 1}", value))
        if not what.takes(","):
            what.end()
            return tuple(found)
