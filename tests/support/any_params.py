"""Parameters that botocore's model of an operation allows, mostly likely ones, now and then odd ones: for throwing
them at a live server. `known` gives likely values by a member's name, so that calls meet things that exist."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

_MAX_DEPTH = 5
_ODD_TEXTS = (
    "", " ", "x", "é", "😀", "a" * 64, "a" * 300, "0", "-1", "null", "*", "/", "..", "$LATEST", "x:y", "a\nb", "\x00",
    "arn:aws:lambda:us-east-1:123456789012:function:f", "arn:aws:iam::aws:policy/None", "{}", "[", "%s", "' or 1=1 --",
)  # fmt: skip
_ODD_BLOBS = (b"", b"{}", b"\x00\xff", b"PK\x03\x04", b"x" * 1000)


class AnyParams:
    """One stream of parameters, the same for the same `rng`. `odd` is the share of odd values."""

    def __init__(self, rng: random.Random, known: Mapping[str, Sequence[Any]], odd: float = 0.08) -> None:
        self._rng = rng
        self._known = known
        self._odd = odd

    def of(self, shape: Any) -> dict[str, Any]:
        """For a structure: all required members, and some of the others."""
        return {} if shape is None else self._structure(shape, 0)

    def _structure(self, shape: Any, depth: int) -> dict[str, Any]:
        rng = self._rng
        names = list(shape.required_members)
        others = [name for name in shape.members if name not in names]
        if others and depth < _MAX_DEPTH:
            names += rng.sample(others, min(len(others), rng.choice((0, 0, 1, 1, 2, 3))))
        return {name: self._value(name, shape.members[name], depth + 1) for name in names}

    def _value(self, name: str, shape: Any, depth: int) -> Any:
        if name in self._known and self._rng.random() > self._odd:
            return self._rng.choice(self._known[name])
        return getattr(self, f"_{shape.type_name}")(shape, depth)

    def _string(self, shape: Any, depth: int) -> str:
        if shape.enum and self._rng.random() > self._odd:
            return str(self._rng.choice(shape.enum))
        if self._rng.random() < 0.3:
            return self._rng.choice(_ODD_TEXTS)
        length = max(shape.metadata.get("min", 1), self._rng.choice((1, 2, 8)))
        return "".join(self._rng.choices("abcdefgh123", k=min(length, 2048)))

    def _integer(self, shape: Any, depth: int) -> int:
        lower, upper = shape.metadata.get("min", -1), shape.metadata.get("max", 2**31 - 1)
        return self._rng.choice((int(lower), int(upper), self._rng.randint(int(lower), int(upper))))

    def _long(self, shape: Any, depth: int) -> int:
        return self._rng.choice((0, 1, 1_700_000_000_000, 2**63 - 1, self._rng.randint(0, 10_000)))

    def _double(self, shape: Any, depth: int) -> float:
        return self._rng.choice((0.0, 0.5, 1.0, self._rng.random()))

    _float = _double

    def _boolean(self, shape: Any, depth: int) -> bool:
        return self._rng.random() < 0.5

    def _timestamp(self, shape: Any, depth: int) -> int:
        return self._rng.randint(0, 2**33)

    def _blob(self, shape: Any, depth: int) -> bytes:
        return self._rng.choice(_ODD_BLOBS)

    def _list(self, shape: Any, depth: int) -> list[Any]:
        count = self._rng.choice((0, 1, 1, 2, 3))
        return [self._value(shape.member.name, shape.member, depth + 1) for _ in range(count)]

    def _map(self, shape: Any, depth: int) -> dict[str, Any]:
        count = self._rng.choice((0, 1, 1, 2))
        return {self._string(shape.key, depth): self._value("", shape.value, depth + 1) for _ in range(count)}
