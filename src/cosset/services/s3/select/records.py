"""Records as expressions see them: a line of CSV, or a value of JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from cosset.services.s3.select.errors import missing_header, unsupported
from cosset.services.s3.select.values import MISSING


class Name(NamedTuple):
    """One that is quoted is taken as it stands, any other whatever its case."""

    text: str
    is_quoted: bool = False


Step = Name | int
"""Into an object, or into a list."""


Members = Sequence[tuple[str, Any]]
"""Names, of which some may come twice, and values."""


class Record(Protocol):
    def find(self, steps: Sequence[Step]) -> Any: ...

    def members(self) -> Members:
        """All that it has, for `*`."""
        ...


class Headers:
    """The names of a file's columns, None where they are not used."""

    def __init__(self, names: tuple[str, ...] | None = None) -> None:
        self.names = names
        self._places: dict[Name, int] = {}
        """Of the names that a statement has, which are few."""

    def place(self, name: Name) -> int:
        """Raises ServiceError MissingHeaders."""
        found = self._places.get(name)
        if found is None:
            found = self._places[name] = self._find(name)
        return found

    def _find(self, name: Name) -> int:
        number = name.text[1:]
        if name.text.startswith("_") and number.isdecimal() and not name.is_quoted:
            return int(number) - 1
        for place, each in enumerate(self.names or ()):
            if each == name.text or (not name.is_quoted and each.lower() == name.text.lower()):
                return place
        raise missing_header(name.text)


@dataclass(slots=True)
class Line:
    fields: Sequence[str]
    headers: Headers

    def find(self, steps: Sequence[Step]) -> Any:
        """Raises ServiceError MissingHeaders, UnsupportedSyntax."""
        if not steps:
            return dict(self.members())
        if len(steps) != 1 or isinstance(steps[0], int):
            raise unsupported("a path into a field of CSV")
        place = self.headers.place(steps[0])
        return self.fields[place] if 0 <= place < len(self.fields) else MISSING

    def members(self) -> Members:
        names = self.headers.names or ()
        return [
            (names[place] if place < len(names) else f"_{place + 1}", field) for place, field in enumerate(self.fields)
        ]


@dataclass(frozen=True, slots=True)
class Document:
    value: Any

    def find(self, steps: Sequence[Step]) -> Any:
        found = self.value
        for step in steps:
            found = _member(found, step)
        return found

    def members(self) -> Members:
        return list(self.value.items()) if isinstance(self.value, dict) else [("_1", self.value)]


def _member(value: Any, step: Step) -> Any:
    if isinstance(step, int):
        return value[step] if isinstance(value, list) and 0 <= step < len(value) else MISSING
    if not isinstance(value, dict):
        return MISSING
    if step.text in value or step.is_quoted:
        return value.get(step.text, MISSING)
    return next((each for name, each in value.items() if name.lower() == step.text.lower()), MISSING)


def below(value: Any, path: Sequence[Step | None]) -> Iterator[Document]:
    """The records that FROM means; None in a path stands for all that a list has."""
    if not path:
        yield Document(value)
        return
    step, rest = path[0], path[1:]
    if step is not None:
        found = _member(value, step)
        if found is not MISSING:
            yield from below(found, rest)
    elif isinstance(value, list):
        for each in value:
            yield from below(each, rest)
    else:
        yield from below(value, rest)
