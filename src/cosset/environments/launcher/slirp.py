"""The way from environments to the internet without root: slirp4netns, a network in a process, for each of them.

It speaks to the outside as this user, so what must stay out of reach is refused inside the environment, by nft, in its
own network namespace: that belongs to the launcher's user namespace, and the function has no rights over it. The host's
own addresses are refused as they are when the environment is prepared; with root the kernel knows them itself. Read
next: egress.py, the same with root.
"""

import fcntl
import os
import re
import select
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from cosset.environments.launcher import egress
from cosset.environments.launcher.egress import EgressError
from cosset.runtimes.sealing import kernel

_TUN = "/dev/net/tun"
_READY_S = 5.0
_OWN_ADDRESSES = re.compile(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL")
_OPTIONS = ("--netns-type=path", "--configure", "--mtu=65520", "--disable-host-loopback", "--disable-dns")
_CONFINED = ("--enable-sandbox", "--enable-seccomp")
_NAMESPACE_FD, _READY_FD, _EXIT_FD = 3, 4, 5
_PARKED_FROM = 32
_RULES = """
add table inet cosset
delete table inet cosset
table inet cosset {{
  set refused {{ type ipv4_addr; flags interval; auto-merge; elements = {{ {refused} }} }}
  set allowed {{ type ipv4_addr; flags interval; auto-merge; {allowed} }}
  chain output {{
    type filter hook output priority filter; policy accept;
    oifname "lo" accept
    meta nfproto ipv6 reject with icmpx type admin-prohibited
    ip daddr @allowed accept
    ip daddr @refused reject with icmpx type admin-prohibited
  }}
}}
"""


def check() -> tuple[str, str]:
    """The paths of slirp4netns and nft, where this user can give egress at all. Tries it.

    Raises: EgressError.
    """
    slirp = shutil.which("slirp4netns", path=egress.PROGRAMS)
    if slirp is None:
        raise EgressError("egress without root needs slirp4netns (package slirp4netns)")
    nft = egress.find_nft()
    if not os.access(_TUN, os.R_OK | os.W_OK):
        raise EgressError(f"egress without root needs {_TUN} to be open for this user")
    if not _takes_rules(nft):
        raise EgressError("egress without root needs rules of nft in a user namespace, and this kernel takes none")
    return slirp, nft


class SlirpEgress:
    """A WayOut of a launcher without root, which is in its user namespace.

    Raises: EgressError.
    """

    def __init__(self, slirp: str, nft: str, allowed: Sequence[str]) -> None:
        self._slirp = slirp
        self._nft = nft
        self._allowed = egress.elements(allowed)

    def attach(self, slot: int, pid: int, pidfd: int) -> int:
        """Refuses first, then opens. Waits some milliseconds for both. While the descriptor is open, the way is.

        Raises: OSError.
        """
        namespace = egress.open_namespace(pid, pidfd)
        try:
            refused = ", ".join([egress.REFUSED, *own_addresses()])
            rules = _RULES.format(refused=refused, allowed=self._allowed)
            if _in_child(lambda: _load(self._nft, rules, namespace)) != 0:
                raise OSError("nft takes no rules in the environment's network")
            return self._start(namespace)
        finally:
            os.close(namespace)

    def network(self, slot: int, *, has_egress: bool) -> dict[str, str] | None:
        """slirp4netns has set the interface up already; who is not to have it takes it down."""
        return None if has_egress else {"interface": egress.INSIDE}

    def close(self) -> None:
        """Nothing is shared."""

    def _start(self, namespace: int) -> int:
        told, ready = os.pipe()
        ended, kept = os.pipe()
        try:
            command = [self._slirp, *_OPTIONS, *_CONFINED, f"--ready-fd={_READY_FD}", f"--exit-fd={_EXIT_FD}"]
            command += [f"/proc/self/fd/{_NAMESPACE_FD}", egress.INSIDE]
            if _in_child(lambda: _spawn(command, {namespace: _NAMESPACE_FD, ready: _READY_FD, ended: _EXIT_FD})) != 0:
                raise OSError("slirp4netns does not start")
            os.close(ready)
            ready = -1
            watch = select.poll()
            watch.register(told, select.POLLIN)
            if not watch.poll(_READY_S * 1000) or os.read(told, 1) != b"1":
                raise OSError("slirp4netns gives no network")
        except OSError:
            os.close(kept)  # which ends it, if it is there
            raise
        finally:
            for fd in (told, ready, ended):
                if fd >= 0:
                    os.close(fd)
        return kept


def own_addresses(path: Path = Path("/proc/net/fib_trie")) -> list[str]:
    """Of version 4, of this host, now."""
    return sorted(set(_OWN_ADDRESSES.findall(path.read_text())))


def _load(nft: str, rules: str, namespace: int) -> int:
    kernel.enter_namespace(namespace, kernel.CLONE_NEWNET)
    return egress.run_nft(nft, rules)[0]


def _spawn(command: list[str], fds: dict[int, int]) -> int:
    """As nobody's child: its parent has ended when it begins. Its end is that of the descriptor for it."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    parked = {fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _PARKED_FROM): number for fd, number in fds.items()}
    actions = [(os.POSIX_SPAWN_DUP2, fd, number) for fd, number in parked.items()]
    actions += [(os.POSIX_SPAWN_DUP2, null, number) for number in range(3)]
    os.posix_spawn(command[0], command, {"PATH": egress.PROGRAMS}, file_actions=actions, setsid=True)
    return 0


def _takes_rules(nft: str) -> bool:
    def try_it() -> int:
        uid, gid = os.geteuid(), os.getegid()
        kernel.unshare(kernel.CLONE_NEWUSER)
        for name, value in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            Path("/proc/self", name).write_text(value)
        kernel.unshare(kernel.CLONE_NEWNET)
        return egress.run_nft(nft, _RULES.format(refused=egress.REFUSED, allowed=""))[0]

    return _in_child(try_it) == 0


def _in_child(action: Callable[[], int]) -> int:
    """Its exit code; 1 for what it could not do."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = action()
        except OSError:
            code = 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
