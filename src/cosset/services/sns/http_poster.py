"""Posts to HTTP endpoints of strangers: bounded in time and in what is read, following nothing, reaching only what is
public.

The address that was looked up and found public is the one that is connected to. Loopback, private and link-local
addresses are refused, unless they are among those that the owner lists, or the node is a developer's (`--dev`).
"""

import asyncio
import http.client
import ipaddress
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from cosset.services.sns.ports import RefusedByTargetError
from cosset.wire.errors import ServiceError

TIMEOUT_S = 15.0
"""From the first byte to the end of the answer's head, of which the status is all that counts: no body is read."""
_WIDTH = 32

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Poster:
    """Implements `HttpPoster`. `allowed` are networks in CIDR form; `anywhere`: nothing is refused for its address."""

    def __init__(self, allowed: Sequence[str], *, anywhere: bool, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._allowed = [ipaddress.ip_network(each) for each in allowed]
        self._anywhere = anywhere
        # Not the event loop's own: a name server or an endpoint that hangs holds up nothing else.
        self._threads = ThreadPoolExecutor(_WIDTH, thread_name_prefix="sns-http")

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        loop = asyncio.get_running_loop()
        status = await loop.run_in_executor(self._threads, self._post, url, dict(headers), body)
        if 200 <= status < 300:
            return
        if 400 <= status < 500 and status != 429:
            raise RefusedByTargetError(f"it answered {status}")
        # A redirection is no success, and is not followed.
        raise ServiceError("EndpointFailure", f"it answered {status}", status=500)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _post(self, url: str, headers: dict[str, str], body: bytes) -> int:
        parts = urlsplit(url)
        host = parts.hostname or ""
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            address = self._address(host, port)
            connection = _connection(host, address, port, self._timeout_s, secure=secure)
            default = port == (443 if secure else 80)
            headers["Host"] = host if default else f"{host}:{port}"
            if parts.username is not None:
                headers |= urllib3.make_headers(basic_auth=f"{parts.username}:{parts.password or ''}")
            with _ended_after(self._timeout_s, connection):
                connection.request("POST", target, body, headers, preload_content=False)
                return int(connection.getresponse().status)
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            raise ServiceError("EndpointFailure", f"it could not be reached: {error}", status=500) from error

    def _address(self, host: str, port: int) -> Address:
        # What ends in `.localhost` is loopback (RFC 6761), function URLs of this node among it; few resolvers know it.
        name = "localhost" if host.lower().rstrip(".").endswith(".localhost") else host
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
        addresses = [ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in found]
        for address in addresses:
            if self._may_reach(address):
                return address
        raise RefusedByTargetError(f"{host} is {addresses[0]}, and messages leave for public addresses only")

    def _may_reach(self, address: Address) -> bool:
        mapped = getattr(address, "ipv4_mapped", None) or address
        if self._anywhere or any(mapped.version == each.version and mapped in each for each in self._allowed):
            return True
        return bool(mapped.is_global) and not mapped.is_multicast


def _connection(host: str, address: Address, port: int, timeout_s: float, *, secure: bool) -> HTTPConnection:
    if not secure:
        return HTTPConnection(str(address), port, timeout=timeout_s)
    # The connection is to the address; the certificate is asked for, and held against, the name.
    return HTTPSConnection(str(address), port, timeout=timeout_s, server_hostname=host, assert_hostname=host)


@contextmanager
def _ended_after(timeout_s: float, connection: HTTPConnection) -> Iterator[None]:
    """Whoever answers a byte at a time keeps to every timeout of the socket, but not to this one.

    Raises TimeoutError.
    """
    late = threading.Event()

    def end() -> None:
        late.set()
        with suppress(OSError):
            if connection.sock is not None:
                connection.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(timeout_s, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        connection.close()
        if late.is_set():
            raise TimeoutError(f"no answer within {timeout_s:g} s")
