"""The door's own socket."""

import ipaddress
import socket

from cosset.assembly.refusal import NodeError
from cosset.settings import Settings


def bind(settings: Settings) -> socket.socket:
    """The door's socket, bound before anything is opened: a taken port is said at once.

    Raises: NodeError.
    """
    if settings.dev and not ipaddress.ip_address(settings.host).is_loopback:
        raise NodeError(f"--dev serves loopback only, not {settings.host}: its key is known to everyone.")
    try:
        return socket.create_server((settings.host, settings.port), backlog=2048)
    except OSError as error:
        reason = error.strerror or str(error)
        raise NodeError(f"Cannot serve on {settings.host}:{settings.port}: {reason}. Try --port 0.") from error


def url(listening: socket.socket) -> str:
    """How a client on this machine addresses the door."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
