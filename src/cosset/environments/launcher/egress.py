"""The way from environments to the internet, with root: a pair of interfaces each, and one static set of nft rules.

What is out of reach stays so whatever the environment sends: the host itself, other environments, private, link-local
and all other special ranges, IPv6, and senders that are not its own. The rules are loaded once; an environment only
adds its interface, which ends with it. Names are resolved by the server (../jail/dns.py). Read next: cells.py.
"""

import ipaddress
import os
import select
import shutil
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cosset.runtimes.sealing import netlink

BLOCKS = 32
"""Launchers on one host that may have egress: each takes 4,096 addresses of the range for tests of networks."""
_FIRST = ipaddress.IPv4Address("198.18.0.0")
_ADDRESSES_A_BLOCK = 4096
_LINGER_S = 5.0
INSIDE = "eth0"
_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
PROGRAMS = "/usr/sbin:/sbin:/usr/bin:/bin"
REFUSED = (
    "0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.0.0.0/24, 192.0.2.0/24,"
    " 192.88.99.0/24, 192.168.0.0/16, 198.18.0.0/15, 224.0.0.0/3"
)
_RULES = """
add table inet {table}
delete table inet {table}
table inet {table} {{
  set refused {{ type ipv4_addr; flags interval; elements = {{ {refused} }} }}
  set allowed {{ type ipv4_addr; flags interval; auto-merge; {allowed} }}
  chain prerouting {{
    type filter hook prerouting priority mangle; policy accept;
    iifname != "{own}*" return
    meta nfproto ipv6 drop
    fib saddr . iif oif missing drop
  }}
  chain input {{
    type filter hook input priority filter - 10; policy accept;
    iifname "{own}*" reject with icmpx type admin-prohibited
  }}
  chain forward {{
    type filter hook forward priority filter - 10; policy accept;
    oifname "{own}*" ct state established,related accept
    oifname "{own}*" reject with icmpx type admin-prohibited
    iifname != "{own}*" return
    oifname "cosset*" reject with icmpx type admin-prohibited
    ip daddr @allowed accept
    ip daddr @refused reject with icmpx type admin-prohibited
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {range} oifname != "cosset*" masquerade
  }}
}}
"""


class EgressError(Exception):
    """This host cannot give it; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Address:
    """The two ends of one environment's link."""

    inside: str
    gateway: str


def check() -> str:
    """The path of nft, where root can give egress at all.

    Raises: EgressError.
    """
    nft = find_nft()
    if _FORWARDING.read_text().strip() != "1":
        raise EgressError("egress needs forwarding: sysctl -w net.ipv4.ip_forward=1")
    return nft


def find_nft() -> str:
    """Raises: EgressError."""
    nft = shutil.which("nft", path=f"{PROGRAMS}:{os.environ.get('PATH', '')}")
    if nft is None:
        raise EgressError("egress needs nft (package nftables)")
    return nft


def foreign_firewall(nft: str) -> str | None:
    """A chain of somebody else's that drops what is forwarded: no rule of ours can override it."""
    code, listing = run_nft(nft, "list chains")
    table = ""
    for line in listing.splitlines() if code == 0 else ():
        if line.startswith("table "):
            table = line.removeprefix("table ").rstrip(" {")
        elif "hook forward" in line and "policy drop" in line:
            return table
    return None


class WayOut(Protocol):
    """How a launcher lets its environments to the internet."""

    def attach(self, slot: int, pid: int, pidfd: int) -> int | None:
        """Gives the network namespace of this process, which is not the host's, what it needs. The answer is a
        descriptor that must be open as long as it is to have it.

        Raises: OSError.
        """
        ...

    def network(self, slot: int, *, has_egress: bool) -> dict[str, str] | None:
        """What the environment's init has to do: set its `interface` up with `address` and `gateway`, or without these
        take it down."""
        ...

    def close(self) -> None: ...


def open_namespace(pid: int, pidfd: int) -> int:
    """Raises: OSError, when it has ended, or has no network namespace of its own."""
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    watch = select.poll()  # not select(): a launcher of many environments has descriptors beyond 1,024
    watch.register(pidfd, select.POLLIN)
    is_dead = bool(watch.poll(0))  # then the pid may be another's
    if is_dead or os.fstat(namespace).st_ino == os.stat("/proc/self/ns/net").st_ino:
        os.close(namespace)
        raise ProcessLookupError("it ended before it had a network")
    return namespace


class Egress:
    """A WayOut of root. The rules of one launcher, from `open` to `close`.

    Args:
        block: of addresses, which no other launcher has.
        allowed: networks that are in reach though they would not be.

    Raises: EgressError.
    """

    def __init__(self, key: str, block: int, allowed: Sequence[str]) -> None:
        if block >= BLOCKS:
            raise EgressError(f"{BLOCKS} Cossets with egress are running on this host")
        self._nft = check()
        self._own = f"cosset{block:x}-"
        self._key = key
        self._first = _FIRST + block * _ADDRESSES_A_BLOCK
        self._wait_for_the_dead()
        rules = _RULES.format(
            table=table_name(key),
            own=self._own,
            refused=REFUSED,
            allowed=elements(allowed),
            range=f"{self._first}/{32 - (_ADDRESSES_A_BLOCK - 1).bit_length()}",
        )
        code, output = run_nft(self._nft, rules)
        if code != 0:
            raise EgressError(f"nft takes no rules: {output.strip().splitlines()[0] if output.strip() else code}")

    def attach(self, slot: int, pid: int, pidfd: int) -> int | None:
        """Its interface, still down.

        Raises: OSError.
        """
        namespace = open_namespace(pid, pidfd)
        try:
            name = f"{self._own}{slot:x}"
            netlink.add_pair(name, INSIDE, namespace)
            netlink.add_address(name, self.address(slot).gateway)
        finally:
            os.close(namespace)
        return None

    def network(self, slot: int, *, has_egress: bool) -> dict[str, str] | None:
        address = self.address(slot)
        up = {"interface": INSIDE, "address": address.inside, "gateway": address.gateway}
        return up if has_egress else None

    def address(self, slot: int) -> Address:
        return Address(inside=str(self._first + 2 * slot + 1), gateway=str(self._first + 2 * slot))

    def close(self) -> None:
        remove_rules(self._key)

    def _wait_for_the_dead(self) -> None:
        """Interfaces of an owner that was killed go with their namespaces, which takes the kernel a moment."""
        patience_s = time.monotonic() + _LINGER_S
        while any(name.startswith(self._own) for _, name in socket.if_nameindex()):
            if time.monotonic() > patience_s:
                raise EgressError(f"interfaces {self._own}* do not go away")
            time.sleep(0.01)


def remove_rules(key: str) -> None:
    """Of a launcher that has ended, if it had any."""
    nft = shutil.which("nft", path=PROGRAMS)
    if nft is not None and os.geteuid() == 0:
        run_nft(nft, f"add table inet {table_name(key)}\ndelete table inet {table_name(key)}")


def table_name(key: str) -> str:
    return f"cosset_{key}"


def check_networks(allowed: Sequence[str]) -> None:
    """Raises: EgressError."""
    _networks(allowed)


def elements(allowed: Sequence[str]) -> str:
    """As a set of nft's takes them.

    Raises: EgressError.
    """
    return f"elements = {{ {', '.join(_networks(allowed))} }}" if allowed else ""


def _networks(texts: Sequence[str]) -> list[str]:
    try:
        return [str(ipaddress.IPv4Network(text)) for text in texts]
    except ValueError as error:
        raise EgressError(f"egress-allow: {error}") from None


def run_nft(nft: str, commands: str) -> tuple[int, str]:
    """Its exit code and what it printed, both ways."""
    given, said = os.memfd_create("rules", os.MFD_CLOEXEC), os.memfd_create("said", os.MFD_CLOEXEC)
    try:
        os.write(given, commands.encode())
        os.lseek(given, 0, os.SEEK_SET)
        actions = [(os.POSIX_SPAWN_DUP2, given, 0), (os.POSIX_SPAWN_DUP2, said, 1), (os.POSIX_SPAWN_DUP2, said, 2)]
        pid = os.posix_spawn(nft, [nft, "-f", "-"], {"PATH": "/usr/sbin:/usr/bin"}, file_actions=actions)
        status = os.waitpid(pid, 0)[1]
        os.lseek(said, 0, os.SEEK_SET)
        return os.waitstatus_to_exitcode(status), os.read(said, 65536).decode(errors="replace")
    finally:
        os.close(given)
        os.close(said)
