"""The input of the query protocol: `Tags.member.1.Key=a&...` read as the parameters of an operation.

The flat keys become a tree once, then compiled readers walk the tree by shape. Keys that the shape does not have are
ignored. Next: protocols/query.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from cosset.wire.errors import SerializationError
from cosset.wire.scalars import text_reader
from cosset.wire.xml_shapes import flat_name

if TYPE_CHECKING:
    from botocore.model import Shape

Tree = dict[str, Any]
FormReader = Callable[[Tree], Any]

# A key holds the value of its own node under the empty name, which no segment of a real key has.
VALUE = ""
MAX_SEGMENTS = 200


def form_fields(encoded: str) -> list[tuple[str, str]]:
    """The fields of an `application/x-www-form-urlencoded` text, in order. A field without `=` is empty."""
    fields = []
    for part in encoded.split("&"):
        if part:
            name, _, value = part.partition("=")
            fields.append((unquote_plus(name), unquote_plus(value)))
    return fields


def form_tree(fields: list[tuple[str, str]]) -> Tree:
    root: Tree = {}
    for key, value in fields:
        segments = key.split(".")
        if len(segments) > MAX_SEGMENTS:
            raise SerializationError("A parameter is nested too deep")
        node = root
        for segment in segments:
            if segment:
                node = node.setdefault(segment, {})
        node[VALUE] = value
    return root


class FormReaders:
    """Compiles readers of nodes; shapes that refer to themselves share one reader by name."""

    def __init__(self) -> None:
        self._by_name: dict[str, FormReader] = {}

    def reader(self, shape: Shape) -> FormReader:
        kind = shape.type_name
        if kind not in ("structure", "list", "map"):
            read = text_reader(shape)
            return lambda node: read(node[VALUE]) if VALUE in node else None
        name, table = f"{shape.name} {shape.serialization.get('flattened')}", self._by_name
        known = table.get(name)
        if known is None:
            table[name] = lambda node: table[name](node)
            known = table[name] = getattr(self, f"_{kind}")(shape)
        return known

    def _structure(self, shape: Any) -> FormReader:
        table: dict[str, tuple[str, FormReader]] = {}
        for name, member in shape.members.items():
            entry = (name, self.reader(member))
            table[member.serialization.get("name", name)] = entry
            if member.serialization.get("flattened"):
                table.setdefault(name, entry)  # clients differ: TagQueue of SQS has come with Tag.1 and Tags.1
                table[flat_name(member, name)] = entry

        def read(node: Tree) -> dict[str, Any]:
            result = {}
            for key, child in node.items():
                if key != VALUE and (found := table.get(key)) is not None:
                    value = found[1](child)
                    if value is not None:
                        result[found[0]] = value
            return result

        return read

    def _list(self, shape: Any) -> FormReader:
        item = self.reader(shape.member)
        if shape.serialization.get("flattened"):
            return lambda node: [item(child) for child in _numbered(node) or _only(node)]
        inner = shape.member.serialization.get("name", "member")
        return lambda node: [item(child) for child in _numbered(node.get(inner, {}))]

    def _map(self, shape: Any) -> FormReader:
        key_name = shape.key.serialization.get("name", "key")
        value_name = shape.value.serialization.get("name", "value")
        item = self.reader(shape.value)
        flat = shape.serialization.get("flattened")

        def read(node: Tree) -> dict[str, Any]:
            result = {}
            for child in _numbered(node if flat else node.get("entry", {})):
                key = child.get(key_name, {}).get(VALUE)
                if key is not None:
                    result[key] = item(child.get(value_name, {}))
            return result

        return read


def _only(node: Tree) -> list[Tree]:
    """One element without a number, as in the examples of SQS's API reference: `AttributeName=All`. An empty one is
    how clients write an empty list."""
    return [{VALUE: node[VALUE]}] if node.get(VALUE) else []


def _numbered(node: Tree) -> list[Tree]:
    """The children in the order of their numbers; numbers may leave gaps, other names are ignored."""
    numbers = sorted((int(key), key) for key in node if key.isascii() and key.isdigit() and len(key) < 10)
    return [node[key] for _, key in numbers]
