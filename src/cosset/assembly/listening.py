"""The door's own socket."""

import ipaddress
import socket
from contextlib import suppress

from cosset.assembly.refusal import NodeError
from cosset.settings import Settings


def bind(settings: Settings) -> socket.socket:
    """The door's socket, bound before anything is opened: a taken port is said at once.

    Raises: NodeError.
    """
    if settings.dev and not ipaddress.ip_address(settings.host).is_loopback:
        raise NodeError(f"--dev serves loopback only, not {settings.host}: its key is known to everyone.")
    try:
        listening = socket.create_server((settings.host, settings.port), backlog=2048)
    except OSError as error:
        reason = error.strerror or str(error)
        raise NodeError(f"Cannot serve on {settings.host}:{settings.port}: {reason}. Try --port 0.") from error
    if ipaddress.ip_address(listening.getsockname()[0]).is_loopback:
        _send_unpaced(listening)
    return listening


def _send_unpaced(listening: socket.socket) -> None:
    """What paces itself for a network's sake (BBR, where it is the system's choice) takes three times as long to send
    8 MB to a client on this machine. Its connections inherit this."""
    if hasattr(socket, "TCP_CONGESTION"):
        with suppress(OSError):
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")


def url(listening: socket.socket) -> str:
    """How a client on this machine addresses the door."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
