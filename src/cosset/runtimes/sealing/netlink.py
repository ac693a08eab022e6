"""The few messages to the kernel's routing tables that networks of environments need. Raw: a library costs 180 ms.

Each call waits for the kernel's word and raises OSError with it. Interfaces are never deleted: that takes 20 ms, and
they end with their namespace. Read next: seal.py, the inside; the launcher's egress.py, the outside.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

MYPY = False
if MYPY:
    from collections.abc import Sequence

_NEWLINK, _NEWADDR, _NEWROUTE = 16, 20, 24
_REQUEST, _ACK, _EXCL, _CREATE = 1, 4, 0x200, 0x400
_IFLA_IFNAME, _IFLA_LINKINFO, _IFLA_NET_NS_FD = 3, 18, 28
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _VETH_INFO_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_OIF, _RTA_GATEWAY = 4, 5
_IFF_UP = 1
_TABLE_MAIN, _PROTOCOL_BOOT, _TYPE_UNICAST = 254, 3, 1
_PREFIX = 31
_ERROR = 2


def add_pair(name: str, peer: str, peer_namespace: int) -> None:
    """Two interfaces, one the other's end: `name` here and up, `peer` in the network namespace of this descriptor."""
    other = _link_head(0, 0) + _attribute(_IFLA_IFNAME, _text(peer))
    other += _attribute(_IFLA_NET_NS_FD, struct.pack("I", peer_namespace))
    data = _attribute(_VETH_INFO_PEER, other)
    kind = _attribute(_IFLA_INFO_KIND, b"veth") + _attribute(_IFLA_INFO_DATA, data)
    message = _link_head(0, _IFF_UP) + _attribute(_IFLA_IFNAME, _text(name)) + _attribute(_IFLA_LINKINFO, kind)
    _ask([(_NEWLINK, _CREATE | _EXCL, message)])


def add_address(name: str, address: str) -> None:
    """One of the two addresses of a link between two."""
    _ask([_new_address(socket.if_nametoindex(name), address)])


def arrange(interface: str, address: str = "", gateway: str = "") -> None:
    """An interface of this namespace, from nothing to the way out; without an address: down, for good."""
    index = socket.if_nametoindex(interface)
    if not address:
        _ask([(_NEWLINK, 0, _link_head(index, 0, change=_IFF_UP))])
        return
    route = struct.pack("BBBBBBBBI", socket.AF_INET, 0, 0, 0, _TABLE_MAIN, _PROTOCOL_BOOT, 0, _TYPE_UNICAST, 0)
    route += _attribute(_RTA_GATEWAY, socket.inet_aton(gateway)) + _attribute(_RTA_OIF, struct.pack("I", index))
    up = (_NEWLINK, 0, _link_head(index, _IFF_UP))
    _ask([_new_address(index, address), up, (_NEWROUTE, _CREATE | _EXCL, route)])


def _new_address(index: int, address: str) -> tuple[int, int, bytes]:
    packed = socket.inet_aton(address)
    message = struct.pack("BBBBI", socket.AF_INET, _PREFIX, 0, 0, index)
    message += _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed)
    return _NEWADDR, _CREATE | _EXCL, message


def _ask(requests: Sequence[tuple[int, int, bytes]]) -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as channel:
        channel.bind((0, 0))
        for sequence, (kind, flags, body) in enumerate(requests, 1):
            head = struct.pack("IHHII", 16 + len(body), kind, _REQUEST | _ACK | flags, sequence, 0)
            channel.send(head + body)
            answer = channel.recv(4096)
            (answered,) = struct.unpack_from("H", answer, 4)
            code = -struct.unpack_from("i", answer, 16)[0] if answered == _ERROR else errno.EPROTO
            if code:
                raise OSError(code, "network: %s" % os.strerror(code))


def _link_head(index: int, flags: int, change: int = 0) -> bytes:
    return struct.pack("BxHiII", socket.AF_UNSPEC, 0, index, flags, flags | change)


def _attribute(kind: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return struct.pack("HH", length, kind) + value + bytes(-length % 4)


def _text(name: str) -> bytes:
    return name.encode() + b"\0"
