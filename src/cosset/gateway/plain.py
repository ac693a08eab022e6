"""Doors beside the door: plain HTTP routes that are no AWS call (health, code download). Each carries its own proof."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cosset.wire.message import Request, Response


@dataclass(frozen=True, slots=True)
class PlainRoute:
    """`path_prefix` ending in `/` or `-` takes every path that begins so, else only that very path. HEAD is served by
    GET."""

    method: str
    path_prefix: str
    handler: Callable[[Request], Awaitable[Response]]

    def takes(self, request: Request) -> bool:
        if request.method != self.method and (request.method, self.method) != ("HEAD", "GET"):
            return False
        if self.path_prefix.endswith(("/", "-")):
            return request.path.startswith(self.path_prefix)
        return request.path == self.path_prefix
