"""HTTP as the wire room sees it: a request to read, a response to send. Knows no service and no web server."""

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field

Body = bytes | AsyncIterator[bytes]


class BodyBrokenError(Exception):
    """Raised by the iterator of a response's body: the rest will not come, and the client is to see that by the end of
    the connection."""


class Headers:
    """Header fields: names compare without case, a name may occur more than once, order is kept.

    Values are text decoded as latin-1, the way HTTP/1.1 carries them.
    """

    __slots__ = ("_first", "_items")

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items: list[tuple[str, str]] = [(name.lower(), value) for name, value in items]
        self._first: dict[str, str] | None = None

    def first_values(self) -> dict[str, str]:
        """The first value of every field by its lower-case name; made once, for code that looks up many."""
        if self._first is None:
            self._first = dict(reversed(self._items))
        return self._first

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of `name`, or `default`."""
        first = self._first if self._first is not None else self.first_values()
        value = first.get(name)  # nearly everybody asks in lower case
        return value if value is not None else first.get(name.lower(), default)

    def get_all(self, name: str) -> list[str]:
        name = name.lower()
        return [value for key, value in self._items if key == name]

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. `path` and `query` are as sent, still percent-encoded, `query` without its `?`.

    `body` is complete bytes, except for operations whose input streams: then an iterator of chunks.
    `scheme` and `host` are what the client addressed (Host header), so that URLs in answers work for it. `peer` is the
    address that the request came from, empty where it is not known.
    """

    method: str
    path: str
    query: str
    headers: Headers
    body: Body = b""
    scheme: str = "http"
    host: str = "127.0.0.1:4566"
    peer: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response. A streamed body is an iterator of chunks, sent with back-pressure."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: Body = b""
