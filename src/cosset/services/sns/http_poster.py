"""Posts to HTTP endpoints of strangers: bounded in time and in what is read, following nothing, reaching only what is
public.

The address that was looked up and found public is the one that is connected to. Loopback, private and link-local
addresses are refused, unless they are among those that the owner lists, or the node is a developer's (`--dev`).
"""

import asyncio
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import urllib3

from cosset.services.sns.ports import RefusedByTargetError
from cosset.wire.errors import ServiceError

_TIMEOUT_S = 15.0
_WIDTH = 32
_READ_BYTES = 4096

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Poster:
    """Implements `HttpPoster`. `allowed` are networks in CIDR form; `anywhere`: nothing is refused for its address."""

    def __init__(self, allowed: Sequence[str], *, anywhere: bool) -> None:
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
            pool = _connections(host, address, port, secure=secure)
            default = port == (443 if secure else 80)
            headers["Host"] = host if default else f"{host}:{port}"
            if parts.username is not None:
                headers |= urllib3.make_headers(basic_auth=f"{parts.username}:{parts.password or ''}")
            with pool:
                answer = pool.urlopen(
                    "POST", target, body, headers, retries=False, redirect=False, preload_content=False
                )
                try:
                    answer.read(_READ_BYTES)
                finally:
                    answer.close()
                return int(answer.status)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ServiceError("EndpointFailure", f"it could not be reached: {error}", status=500) from error

    def _address(self, host: str, port: int) -> Address:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
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


def _connections(host: str, address: Address, port: int, *, secure: bool) -> urllib3.HTTPConnectionPool:
    timeout = urllib3.Timeout(total=_TIMEOUT_S)
    if not secure:
        return urllib3.HTTPConnectionPool(str(address), port, timeout=timeout)
    # The connection is to the address; the certificate is asked for, and held against, the name.
    return urllib3.HTTPSConnectionPool(str(address), port, timeout=timeout, server_hostname=host, assert_hostname=host)
