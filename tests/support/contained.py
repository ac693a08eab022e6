"""Runs a command as root of a container would: `python contained.py [--given] COMMAND...`. From root, on Linux.

Without `--given` as a container engine starts one by default: 14 capabilities, a filter without namespaces and mounts,
control groups and /proc/sys to look at only. With it as docs/containers.md says that a container for Cosset must be.
"""

import errno
import os
import platform
import struct
import sys

from cosset.runtimes.sealing import kernel

_DEFAULT = (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31)
"""chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service, net_raw, sys_chroot, mknod,
audit_write, setfcap."""
_GIVEN = (*_DEFAULT, 12, 21)
"""And net_admin, sys_admin."""
_LAST = 40
_NAMESPACES = 0x7E020000
_CALLS = {
    "x86_64": (0xC000003E, {"clone": 56, "clone3": 435}, (272, 165, 166, 155, 308, 429, 250, 321, 323)),
    "aarch64": (0xC00000B7, {"clone": 220, "clone3": 435}, (97, 40, 39, 41, 268, 429, 219, 280, 282)),
}
"""Architecture, what makes processes, and unshare, mount, umount2, pivot_root, setns, move_mount, keyctl, bpf and
userfaultfd."""
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000


def main() -> None:
    is_given = sys.argv[1] == "--given"
    command = sys.argv[2:] if is_given else sys.argv[1:]
    if not is_given:
        _show_only("/sys/fs/cgroup", "/proc/sys")
    for capability in range(_LAST + 1):
        if capability not in (_GIVEN if is_given else _DEFAULT):
            kernel.prctl(kernel.PR_CAPBSET_DROP, capability)
    if not is_given:
        kernel.install_filter(_filter())
    os.execvp(command[0], command)  # and what is not in the bounding set is lost


def _show_only(*folders: str) -> None:
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    with open("/proc/self/mountinfo") as file:
        mounts = [line.split()[4] for line in file]
    for folder in folders:
        kernel.mount(folder, folder, None, kernel.MS_BIND | kernel.MS_REC)
        for place in {folder, *(each for each in mounts if each.startswith(folder + "/"))}:
            kernel.mount("none", place, None, kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY)


def _filter() -> bytes:
    architecture, makers, refused = _CALLS[platform.machine()]
    code = [(0x20, 0, 0, 4), (0x15, 1, 0, architecture), (0x06, 0, 0, _ERRNO | errno.EPERM), (0x20, 0, 0, 0)]
    for number in refused:
        code += [(0x15, 0, 1, number), (0x06, 0, 0, _ERRNO | errno.EPERM)]
    code += [(0x15, 0, 1, makers["clone3"]), (0x06, 0, 0, _ERRNO | errno.ENOSYS)]
    code += [(0x15, 0, 3, makers["clone"]), (0x20, 0, 0, 16), (0x45, 0, 1, _NAMESPACES)]
    code += [(0x06, 0, 0, _ERRNO | errno.EPERM), (0x06, 0, 0, _ALLOW)]
    return b"".join(struct.pack("<HBBI", *each) for each in code)


if __name__ == "__main__":
    main()
