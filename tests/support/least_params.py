"""The least parameters that botocore's model of an operation takes: what it requires, and no more."""

import time
from collections.abc import Mapping
from typing import Any

_NUMBERS = {"integer": 1, "long": 1, "float": 1.0, "double": 1.0}


def least_params(shape: Any, known: Mapping[str, Any]) -> dict[str, Any]:
    """For a structure. `known` gives values by a member's name, at any depth."""
    return {} if shape is None else {name: _value(name, shape.members[name], known) for name in shape.required_members}


def _value(name: str, shape: Any, known: Mapping[str, Any]) -> Any:
    if name in known:
        return known[name]
    kind = shape.type_name
    if kind == "structure":
        return least_params(shape, known)
    if kind == "list":
        return [_value(shape.member.name, shape.member, known)]
    if kind == "map":
        return {_value("", shape.key, known): _value("", shape.value, known)}
    if kind == "string":
        return shape.enum[0] if shape.enum else "a" * max(8, shape.metadata.get("min", 1))
    if kind in _NUMBERS:
        return max(_NUMBERS[kind], shape.metadata.get("min", 1))
    return {"boolean": True, "timestamp": int(time.time()), "blob": b"x"}[kind]
