"""Which operation a method and path mean, for the rest protocols: one tree of path segments per service.

Literal segments win over labels, labels over greedy labels. Operations that share a template differ by the query
parameters and headers that they need (S3: `?uploads`, `partNumber`, `x-amz-copy-source`). Percent-encoding is undone
after the path is split, so a label may hold an encoded slash.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from cosset.wire.http_bindings import read_query
from cosset.wire.message import Request
from cosset.wire.models import WireOperation, WireService


class Route(NamedTuple):
    """One operation at the end of a path. `static`: what the query string must hold for this operation to be meant
    (an empty value: anything). `query`, `headers`: the parameters that it cannot do without."""

    operation: str
    labels: tuple[str, ...]
    static: Mapping[str, str]
    query: frozenset[str]
    headers: frozenset[str]

    @property
    def weight(self) -> int:
        return len(self.static) + len(self.query) + len(self.headers)


class _Node:
    __slots__ = ("greedy", "label", "literals", "routes")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.label: _Node | None = None
        self.greedy: _Node | None = None
        self.routes: dict[str, list[Route]] = {}


_REMEMBERED = 1024
_REMEMBERED_CHARS = 256
"""Of a path: longer ones are rare, and memory is bounded."""


class RestRouter:
    """All operations of one service that has a rest protocol. Remembers what paths mean where nothing else is asked."""

    def __init__(self, service: WireService) -> None:
        self._root = _Node()
        self._found: dict[tuple[str, str], tuple[str, Mapping[str, str]]] = {}
        for name in service.operation_names - service.overlay.superseded:
            self._add(service.operation(name))
        self._sort(self._root)

    def _add(self, operation: WireOperation) -> None:
        http = operation.model.http
        path, _, static = http["requestUri"].partition("?")
        segments = [segment for segment in path.split("/")[1:] if segment]
        labels: list[str] = []
        node = self._root
        for segment in segments:
            if not segment.startswith("{"):
                node = node.literals.setdefault(unquote(segment), _Node())
            elif segment.endswith("+}"):
                labels.append(segment[1:-2])
                node.greedy = node.greedy or _Node()
                node = node.greedy
            else:
                labels.append(segment[1:-1])
                node.label = node.label or _Node()
                node = node.label
        query, headers = set(), set()
        shape: Any = operation.model.input_shape
        for name in shape.required_members if shape is not None else ():
            serialization = shape.members[name].serialization
            if serialization.get("location") == "querystring":
                query.add(serialization.get("name", name))
            elif serialization.get("location") == "header":
                headers.add(serialization.get("name", name).lower())
        always = dict(parse_qsl(static, keep_blank_values=True))
        route = Route(operation.name, tuple(labels), always, frozenset(query), frozenset(headers))
        node.routes.setdefault(http["method"], []).append(route)

    def _sort(self, node: _Node) -> None:
        for routes in node.routes.values():
            routes.sort(key=lambda route: (-route.weight, route.operation))
        for child in (*node.literals.values(), node.label, node.greedy):
            if child is not None:
                self._sort(child)

    def find(self, request: Request) -> tuple[str, Mapping[str, str]] | None:
        """The operation and its decoded labels; None where no template matches."""
        asked = request.method, request.path
        found = self._found.get(asked)
        if found is not None:
            return found
        segments = request.path.split("/")[1:]
        if segments and not segments[-1]:
            segments.pop()
            trailing = "/"
        else:
            trailing = ""
        values: list[str] = []
        routes = self._walk(self._root, segments, 0, request.method, values, trailing)
        if routes is None:
            return None
        route = routes[0]
        if len(routes) > 1 or route.static:
            chosen = _choose(routes, request)
            return None if chosen is None else (chosen.operation, dict(zip(chosen.labels, values, strict=True)))
        found = route.operation, dict(zip(route.labels, values, strict=True))
        if len(request.path) <= _REMEMBERED_CHARS:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            self._found[asked] = found
        return found

    def _walk(
        self, node: _Node, segments: list[str], at: int, method: str, values: list[str], trailing: str
    ) -> list[Route] | None:
        if at == len(segments):
            return node.routes.get(method)
        segment = segments[at]
        child = node.literals.get(segment)
        if child is None and "%" in segment:
            child = node.literals.get(unquote(segment))
        if child is not None and (found := self._walk(child, segments, at + 1, method, values, trailing)) is not None:
            return found
        mark = len(values)
        if node.label is not None and segment:
            values.append(unquote(segment) if "%" in segment else segment)
            found = self._walk(node.label, segments, at + 1, method, values, trailing)
            if found is not None:
                return found
            del values[mark:]
        if node.greedy is not None:
            return self._walk_greedy(node.greedy, segments, at, method, values, trailing)
        return None

    def _walk_greedy(
        self, node: _Node, segments: list[str], at: int, method: str, values: list[str], trailing: str
    ) -> list[Route] | None:
        """A greedy label takes as much as it can while what follows it in the template still matches."""
        mark = len(values)
        depth = _longest_literal_tail(node)
        for end in range(len(segments), max(at, len(segments) - depth - 1), -1):
            tail = trailing if end == len(segments) else ""
            values.append(unquote("/".join(segments[at:end]) + tail))
            found = self._walk(node, segments, end, method, values, trailing)
            if found is not None:
                return found
            del values[mark:]
        return None


def _longest_literal_tail(node: _Node) -> int:
    """How many segments templates have after a greedy label (API models allow only literals there)."""
    return max((1 + _longest_literal_tail(child) for child in node.literals.values()), default=0)


def _is_meant(route: Route, query: Mapping[str, list[str]]) -> bool:
    return all(name in query and (not value or value in query[name]) for name, value in route.static.items())


def _choose(routes: list[Route], request: Request) -> Route | None:
    """The route that asks for most and gets it; where none does, the one that asks for least, so that validation can
    say what is missing."""
    query = read_query(request.query)
    meant = [route for route in routes if not route.static or (query and _is_meant(route, query))]
    for route in meant:
        if query.keys() >= route.query and all(name in request.headers for name in route.headers):
            return route
    return meant[-1] if meant else None
