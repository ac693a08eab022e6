"""How a process inside gives up everything that is the host's: uid, capabilities, system calls. There is no way back.

Read next: seal.py, for when; filter.py, for the system calls.
"""

from __future__ import annotations

import os
import resource
import signal

from . import filesystem, kernel

# A core limit of 1, not 0: only then does the kernel hand no dump to the host's own crash reporter either.
_LIMITS = {
    resource.RLIMIT_NOFILE: 1024,
    resource.RLIMIT_NPROC: 1024,
    resource.RLIMIT_CORE: 1,
    resource.RLIMIT_MEMLOCK: 64 * 1024,
    resource.RLIMIT_MSGQUEUE: 819200,
    resource.RLIMIT_NICE: 0,
    resource.RLIMIT_RTPRIO: 0,
}


def set_limits() -> None:
    for limit, value in _LIMITS.items():
        try:
            resource.setrlimit(limit, (value, value))
        except ValueError:  # the host allows less
            most = resource.getrlimit(limit)[1]
            resource.setrlimit(limit, (most, most))


def give_up(uid: int, filter_program: bytes) -> None:
    """Nothing of the host's is left to this process, nor to what it starts. It dies with its parent."""
    _enter_user_namespace(uid)
    kernel.drop_bounding_set()
    kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.install_filter(filter_program)
    kernel.die_with_parent(signal.SIGKILL)  # last, because a change of credentials undoes it


def _enter_user_namespace(host_uid: int) -> None:
    """Becomes SANDBOX_UID inside, `host_uid` outside; 0 means the launcher's own, where there is no other."""
    if host_uid:
        os.setgroups([])
        os.setresgid(host_uid, host_uid, host_uid)
        os.setresuid(host_uid, host_uid, host_uid)
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # or /proc/self/uid_map belongs to root
    kernel.unshare(kernel.CLONE_NEWUSER)
    for name, value in (
        ("setgroups", b"deny"),
        ("uid_map", b"%d %d 1" % (filesystem.SANDBOX_UID, host_uid)),
        ("gid_map", b"%d %d 1" % (filesystem.SANDBOX_GID, host_uid)),
    ):
        fd = os.open("/proc/self/" + name, os.O_WRONLY | os.O_CLOEXEC)
        os.write(fd, value)
        os.close(fd)
