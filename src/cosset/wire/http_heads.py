"""What both HTTP servers, the door and the Runtime API, need around the parser that they share: a count, a refusal.

The parser keeps an unfinished header itself, and takes an endless row of extensions to one chunk: only what was fed to
it tells how much came. And it gives up the body of a request that offers to upgrade. Knows no connection and no limit.
"""

from collections.abc import Sequence

_CHUNK_HEAD_BYTES = 16
_OFFERS = frozenset({b"upgrade", b"http2-settings"})


class BesideBody:
    """Bytes of one request that are none of its body: its head, the heads of chunks, trailers.

    Each byte of a body pays for the head of a chunk: they may come one at a time.
    """

    __slots__ = ("size_bytes",)

    def __init__(self) -> None:
        self.size_bytes = 0

    def begin(self, fed_bytes: int = 0) -> None:
        """Another request, of which so much has been fed already."""
        self.size_bytes = fed_bytes

    def feed(self, fed_bytes: int) -> None:
        self.size_bytes += fed_bytes

    def is_body(self, body_bytes: int) -> None:
        """So much of what was fed was the body."""
        if self.size_bytes:
            self.size_bytes = max(0, self.size_bytes - body_bytes * (1 + _CHUNK_HEAD_BYTES))


def without_offer(method: bytes, url: bytes, version: str, fields: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The head of a request once more, without its offer to upgrade: nothing here takes one (uvicorn issue 2722: the
    JDK's HttpClient offers h2c with every first request, and its bodies were lost)."""
    head = [method, b" ", url, b" HTTP/", version.encode(), b"\r\n"]
    for name, value in fields:
        lower, kept = name.lower(), value
        if lower == b"connection":
            kept = b", ".join(token for token in value.split(b",") if token.strip().lower() not in _OFFERS)
        if lower not in _OFFERS and (kept or lower != b"connection"):
            head += [name, b": ", kept, b"\r\n"]
    return b"".join([*head, b"\r\n"])
