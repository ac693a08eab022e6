"""Every way in which botocore's model of an operation can be violated, one at a time: what is missing, of another
type, too long, too short, outside its range, its enum or its pattern."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_MAX_DEPTH = 3
_OTHER_TYPES: Mapping[str, Any] = {
    "string": [1],
    "blob": 5,
    "integer": "x",
    "long": "x",
    "double": {},
    "float": {},
    "boolean": "x",
    "timestamp": [],
    "structure": "x",
    "list": {"a": 1},
    "map": "x",
}
_OTHER_TEXT = "\u00a7 not this \u00a7"


@dataclass(frozen=True)
class Break:
    """What is wrong, where. `params` are for a client that checks nothing; `wrong_type` replaces a member of the JSON
    body, which no client would send."""

    path: tuple[str, ...]
    kind: str
    params: dict[str, Any]
    wrong_type: Any = None

    def __str__(self) -> str:
        return f"{'.'.join(self.path)}: {self.kind}"


def breaks(shape: Any, base: dict[str, Any]) -> Iterator[Break]:
    """All of an operation's input; `base` are parameters that the model allows."""
    if shape is None:
        return
    for name in shape.required_members:
        yield Break((name,), "missing", {key: value for key, value in base.items() if key != name})
    for name, member in shape.members.items():
        for path, kind, value in _broken(member, (name,), 0):
            yield Break(path, kind, {**base, name: value})
        if not member.serialization.get("location") and shape.serialization.get("payload") is None:
            yield Break((name,), "type", {**base, name: base.get(name, _any(member))}, _OTHER_TYPES[member.type_name])


def _broken(shape: Any, path: tuple[str, ...], depth: int) -> Iterator[tuple[tuple[str, ...], str, Any]]:
    kind, metadata = shape.type_name, shape.metadata
    least, most = metadata.get("min"), metadata.get("max")
    if kind == "string":
        if shape.enum:
            yield path, "enum", _OTHER_TEXT
        if metadata.get("pattern"):
            yield path, "pattern", _OTHER_TEXT
        if most is not None and most < 100_000:
            yield path, "too long", "a" * (most + 1)
        if least:
            yield path, "too short", "a" * (least - 1)
    elif kind in ("integer", "long"):
        if most is not None:
            yield path, "too large", int(most) + 1
        if least is not None:
            yield path, "too small", int(least) - 1
    elif depth >= _MAX_DEPTH:
        return
    elif kind == "list":
        if most is not None and most < 1000:
            yield path, "too many", [_any(shape.member)] * (most + 1)
        for inner, what, value in _broken(shape.member, (*path, "1"), depth + 1):
            yield inner, what, [value]
    elif kind == "structure":
        for name, member in shape.members.items():
            for inner, what, value in _broken(member, (*path, name), depth + 1):
                yield inner, what, {name: value}
    elif kind == "map":
        for inner, what, value in _broken(shape.value, (*path, "a"), depth + 1):
            yield inner, what, {"a": value}


def _any(shape: Any) -> Any:
    """Something of the shape's type, whatever else it must be."""
    values: Mapping[str, Any] = {
        "string": shape.enum[0] if shape.type_name == "string" and shape.enum else "a",
        "blob": b"a",
        "boolean": True,
        "timestamp": 0,
        "list": [],
        "map": {},
        "structure": {},
    }
    return values.get(shape.type_name, 1)
