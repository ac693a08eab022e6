"""Metric math, read: the text of an expression to a tree. What it means is expressions.py.

Source: CloudWatch user guide, "Using math expressions with CloudWatch metrics".
"""

import re
from dataclasses import dataclass

from cosset.services.cloudwatch.errors import invalid

MAX_LENGTH = 2_048
_MAX_DEPTH = 40
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<text>'[^']*'|\"[^\"]*\")|(?P<sign>==|!=|<=|>=|&&|\|\||[-+*/^<>(),\[\]]))",
    re.ASCII,
)
# How tightly operators bind; all but ^ to the left.
_BINDING = {
    "OR": 1,
    "||": 1,
    "AND": 2,
    "&&": 2,
    "==": 3,
    "!=": 3,
    "<": 4,
    ">": 4,
    "<=": 4,
    ">=": 4,
    "+": 5,
    "-": 5,
    "*": 6,
    "/": 6,
    "^": 8,
}
_UNARY = 7


@dataclass(frozen=True, slots=True)
class Number:
    value: float


@dataclass(frozen=True, slots=True)
class Text:
    value: str


@dataclass(frozen=True, slots=True)
class Name:
    """The id of another query, or a word such as REPEAT."""

    value: str


@dataclass(frozen=True, slots=True)
class Array:
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Operator:
    sign: str
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Call:
    """`name` in capitals."""

    name: str
    arguments: tuple["Node", ...]


Node = Number | Text | Name | Array | Operator | Call


def parse(text: str) -> Node:
    """Raises ServiceError ValidationError."""
    if len(text) > MAX_LENGTH:
        raise invalid(f"An expression has up to {MAX_LENGTH} characters.")
    parser = _Parser(_tokens(text), text)
    tree = parser.expression(0, 0)
    if parser.peek() is not None:
        raise _malformed(text)
    return tree


def names_in(tree: Node) -> set[str]:
    """Every name that the tree uses."""
    if isinstance(tree, Name):
        return {tree.value}
    if isinstance(tree, Operator):
        return names_in(tree.left) | names_in(tree.right)
    if isinstance(tree, Call):
        return set().union(*(names_in(each) for each in tree.arguments))
    if isinstance(tree, Array):
        return set().union(*(names_in(each) for each in tree.items))
    return set()


def calls_in(tree: Node) -> list[Call]:
    if isinstance(tree, Operator):
        return calls_in(tree.left) + calls_in(tree.right)
    if isinstance(tree, Call):
        return [tree, *(call for each in tree.arguments for call in calls_in(each))]
    if isinstance(tree, Array):
        return [call for each in tree.items for call in calls_in(each)]
    return []


def _malformed(text: str) -> Exception:
    return invalid(f"Syntax error in the expression {text!r}.")


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    stripped = text.rstrip()
    while at < len(stripped):
        match = _TOKEN.match(stripped, at)
        if match is None:
            raise _malformed(text)
        assert match.lastgroup is not None
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return found


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]], text: str) -> None:
        self._tokens = tokens
        self._text = text
        self._at = 0

    def peek(self) -> str | None:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else None

    def expression(self, binding: int, depth: int) -> Node:
        if depth > _MAX_DEPTH:
            raise invalid("The expression is nested too deep.")
        left = self._operand(depth)
        while True:
            sign = self._operator()
            if sign is None or _BINDING[sign] <= binding:
                return left
            self._at += 1
            right = self.expression(_BINDING[sign] - (sign == "^"), depth + 1)
            left = Operator(sign, left, right)

    def _operator(self) -> str | None:
        if self._at >= len(self._tokens):
            return None
        kind, text = self._tokens[self._at]
        if kind == "name" and text.upper() in ("AND", "OR"):
            return text.upper()
        return text if kind == "sign" and text in _BINDING else None

    def _operand(self, depth: int) -> Node:
        if self._at >= len(self._tokens):
            raise _malformed(self._text)
        kind, text = self._tokens[self._at]
        self._at += 1
        if kind == "number":
            return Number(float(text))
        if kind == "text":
            return Text(text[1:-1])
        if kind == "name":
            if self.peek() == "(":
                self._at += 1
                return Call(text.upper(), self._items(")", depth))
            return Name(text)
        if text == "-":
            return Operator("-", Number(0.0), self.expression(_UNARY, depth + 1))
        if text == "(":
            inner = self.expression(0, depth + 1)
            self._expect(")")
            return inner
        if text == "[":
            return Array(self._items("]", depth))
        raise _malformed(self._text)

    def _items(self, end: str, depth: int) -> tuple[Node, ...]:
        items: list[Node] = []
        if self.peek() == end:
            self._at += 1
            return ()
        while True:
            items.append(self.expression(0, depth + 1))
            if self.peek() != ",":
                self._expect(end)
                return tuple(items)
            self._at += 1

    def _expect(self, sign: str) -> None:
        if self.peek() != sign:
            raise _malformed(self._text)
        self._at += 1
