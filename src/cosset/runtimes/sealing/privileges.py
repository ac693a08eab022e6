"""How a process inside gives up everything that is the host's: uid, capabilities, system calls. There is no way back.

Read next: seal.py, for when; filter.py, for the system calls.
"""

from __future__ import annotations

import os
import resource
import signal

from . import filesystem, kernel

# A core limit of 1, not 0: only then does the kernel hand no dump to the host's own crash reporter either.
LIMITS = {
    resource.RLIMIT_NOFILE: 1024,
    resource.RLIMIT_NPROC: 1024,
    resource.RLIMIT_CORE: 1,
    resource.RLIMIT_MEMLOCK: 64 * 1024,
    resource.RLIMIT_MSGQUEUE: 819200,
    resource.RLIMIT_NICE: 0,
    resource.RLIMIT_RTPRIO: 0,
}


IDENTITY = (
    ("/proc/self/setgroups", b"deny", b""),
    ("/proc/self/uid_map", b"%d " % filesystem.SANDBOX_UID, b" 1"),
    ("/proc/self/gid_map", b"%d " % filesystem.SANDBOX_GID, b" 1"),
)
"""What is to be written where in a user namespace that is new: where there are two texts, with the host's uid between
them."""


def set_limits() -> None:
    for limit, value in LIMITS.items():
        try:
            resource.setrlimit(limit, (value, value))
        except ValueError:  # the host allows less
            most = resource.getrlimit(limit)[1]
            resource.setrlimit(limit, (most, most))


def attainable_limits() -> dict[int, int]:
    """For who may not raise what it has."""
    hard = {limit: resource.getrlimit(limit)[1] for limit in LIMITS}
    return {
        limit: value if hard[limit] == resource.RLIM_INFINITY else min(value, hard[limit])
        for limit, value in LIMITS.items()
    }


def give_up(uid: int, filter_program: bytes) -> None:
    """Nothing of the host's is left to this process, nor to what it starts. It dies with its parent."""
    _enter_user_namespace(uid)
    _give_up_rest(filter_program)


def give_up_as(init: int, uid: int, filter_program: bytes) -> None:
    """Likewise, in the user namespace of a process that has one of its own already; `init` is a pidfd for it."""
    if uid:
        os.setgroups([])
    kernel.enter_namespace(init, kernel.CLONE_NEWUSER)
    os.setresgid(filesystem.SANDBOX_GID, filesystem.SANDBOX_GID, filesystem.SANDBOX_GID)
    os.setresuid(filesystem.SANDBOX_UID, filesystem.SANDBOX_UID, filesystem.SANDBOX_UID)
    _give_up_rest(filter_program)


def _give_up_rest(filter_program: bytes) -> None:
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
    for path, before, after in IDENTITY:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        os.write(fd, before + b"%d" % host_uid + after if after else before)
        os.close(fd)
