"""What one client may take of the door. Applied in connection.py; why so much: docs/decisions/0004-the-door.md."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of one connection, but for `max_connections` and `max_inner_connections`: so many at once through the public
    sockets together, and through each socket added later. At each limit the connection is answered and closed.

    `head_s` runs from the first byte of a request, or from connecting, to the end of its head; `stall_s` is how long a
    body may stand still, coming in or going out (seen at the latest after twice that); `discard_bytes` is what a client
    may go on sending after it has had its answer.
    """

    max_connections: int
    max_inner_connections: int = 64
    head_bytes: int = 64 * 1024
    head_s: float = 20.0
    stall_s: float = 30.0
    keep_alive_s: float = 75.0
    discard_bytes: int = 256 * 1024 * 1024


class Quota:
    """Connections at once through one door: what comes in by one socket cannot use up another's."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
