"""What this host can give the jail, as findings for `cosset doctor`: what is there, what is weaker, how to get it.

Tries what it can in a child process instead of guessing from versions, and changes nothing. Read next: tier.py.
"""

import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from cosset.environments.launcher import egress, hierarchies, images, slirp
from cosset.runtimes.sealing import filter as seccomp
from cosset.runtimes.sealing import kernel


class Level(Enum):
    """OK; WEAKER: the jail works with less; MISSING: there is no jail here."""

    OK = "ok"
    WEAKER = "weaker"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about the host. `detail` is a sentence; `fix` says how to get more, empty when all is well."""

    name: str
    level: Level
    detail: str
    fix: str = ""


_NAMESPACES = (
    kernel.CLONE_NEWNS
    | kernel.CLONE_NEWNET
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUTS
    | kernel.CLONE_NEWPID
    | kernel.CLONE_NEWCGROUP
)
_GIVEN_TO_CONTAINERS = (
    "give it --cap-add SYS_ADMIN --cap-add NET_ADMIN --security-opt seccomp=unconfined"
    " --security-opt apparmor=unconfined, or --privileged (docs/containers.md)"
)
_APPARMOR_SWITCH = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
_DEBIAN_SWITCH = Path("/proc/sys/kernel/unprivileged_userns_clone")


def inspect(*, wants_egress: bool = False) -> list[Finding]:
    """Everything that matters to the jail, the worst things first."""
    if sys.platform != "linux":
        return [_no_linux()]
    findings = [_privileges(), _namespaces(), _seccomp(), _cgroups(), _freezer(), _disks(), _layers(), _kernel()]
    findings.append(_egress(is_wanted=wants_egress))
    order = [Level.MISSING, Level.WEAKER, Level.OK]
    return sorted(findings, key=lambda finding: order.index(finding.level))


def is_available(findings: list[Finding]) -> bool:
    """Whether there is a jail here at all."""
    return all(finding.level is not Level.MISSING for finding in findings)


def _no_linux() -> Finding:
    fix = "Run Cosset in a Linux machine, or with --tier process, which isolates nothing."
    return Finding("system", Level.MISSING, f"The jail needs Linux; this is {platform.system()}.", fix)


def _privileges() -> Finding:
    if os.geteuid() == 0:
        return Finding(
            "root", Level.OK, "Each environment has a host uid of its own; the server runs without privileges."
        )
    detail = "Not root: all environments share this user's uid, and the server has the launcher's privileges."
    return Finding("root", Level.WEAKER, detail, "Start Cosset as root: it keeps root only for its launcher.")


def _namespaces() -> Finding:
    if os.geteuid() == 0:
        if _succeeds(lambda: kernel.unshare(_NAMESPACES | kernel.CLONE_NEWUSER)):
            return Finding("namespaces", Level.OK, "user, pid, mount, net, ipc, uts and cgroup.")
        fix = f"In a container: {_GIVEN_TO_CONTAINERS}."
        return Finding("namespaces", Level.MISSING, "This root may not make namespaces.", fix)
    if _succeeds(_enter_user_namespace):
        return Finding("namespaces", Level.OK, "user, pid, mount, net, ipc, uts and cgroup, as this user.")
    return Finding("namespaces", Level.MISSING, "This user may not make namespaces.", _how_to_allow())


def _how_to_allow() -> str:
    if _is(_APPARMOR_SWITCH, "1"):
        return "AppArmor forbids it: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0, or start as root."
    if _is(_DEBIAN_SWITCH, "0"):
        return "sudo sysctl kernel.unprivileged_userns_clone=1, or start as root."
    return f"Start as root; in a container, {_GIVEN_TO_CONTAINERS}."


def _seccomp() -> Finding:
    if not seccomp.supported(kernel.MACHINE):
        detail = f"The list of system calls knows no {kernel.MACHINE}."
        return Finding("seccomp", Level.MISSING, detail, "Use a machine with x86_64 or aarch64.")

    def install() -> None:
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        kernel.install_filter(seccomp.program(kernel.MACHINE))

    if _succeeds(install):
        return Finding("seccomp", Level.OK, "System calls are on an allow-list.")
    return Finding("seccomp", Level.MISSING, "The kernel takes no filter.", "Use a kernel with CONFIG_SECCOMP_FILTER.")


def _cgroups() -> Finding:
    detected = hierarchies.detect()
    found = {name for hierarchy in detected for name in hierarchy.controllers}
    missing = [name for name in hierarchies.CONTROLLERS if name not in found]
    versions = "/".join(sorted({f"v{hierarchy.version}" for hierarchy in detected}))
    if not missing:
        return Finding("cgroups", Level.OK, f"{versions}: memory, processes and CPU of an environment are capped.")
    words = {
        "memory": "memory is only looked at ten times a second",
        "pids": "processes are bounded by the user's own limit",
        "cpu": "CPU is not shared by memory",
    }
    detail = f"No control of {', '.join(missing)}: {'; '.join(words[name] for name in missing)}."
    return Finding("cgroups", Level.WEAKER, detail, _how_to_cap())


def _how_to_cap() -> str:
    if os.geteuid() == 0:
        return "Use a host whose cgroups carry these; in a container, give it /sys/fs/cgroup to write to."
    return "Start as root, or under systemd in a group of this user's: systemd-run --user --scope -p Delegate=yes ..."


def _freezer() -> Finding:
    versions = {each.version for each in hierarchies.detect() if hierarchies.FREEZER in each.controllers}
    if 2 in versions:
        return Finding("freezing", Level.OK, "Nothing runs in an environment between invocations.")
    if versions:
        detail = "Nothing runs in an environment between invocations; by cgroups of version 1, which takes longer."
        return Finding("freezing", Level.OK, detail)
    detail = "No cgroup to freeze: what a function leaves in the background goes on running between invocations."
    return Finding("freezing", Level.WEAKER, detail, _how_to_cap())


def _disks() -> Finding:
    weaker = "Single files in /tmp are capped, but not their sum"
    if os.geteuid() != 0:
        return Finding("disks", Level.WEAKER, f"{weaker}: not root.", "Start Cosset as root.")
    try:
        images.make_template(images.DEFAULT_MB)
    except images.ImagesUnavailableError as error:
        fix = "Install e2fsprogs; in a container, show it the host's /dev with its loop devices."
        return Finding("disks", Level.WEAKER, f"{weaker}: {error}.", fix)
    return Finding("disks", Level.OK, "/tmp is a disk of its own for each environment, of the size it asked for.")


def _layers() -> Finding:
    if "overlay" in Path("/proc/filesystems").read_text().split():
        return Finding("overlay", Level.OK, "A function may have several layers.")
    fix = "sudo modprobe overlay"
    return Finding("overlay", Level.WEAKER, "No overlay file system: functions with several layers do not start.", fix)


def _egress(*, is_wanted: bool) -> Finding:
    try:
        if os.geteuid() != 0:
            slirp.check()
            detail = (
                "Functions can be let to the internet: --egress, by slirp4netns. Addresses that the host gets later"
            )
            detail += " are in reach of environments that are there already."
            return Finding("egress", Level.WEAKER, detail, "Start Cosset as root.")
        other = egress.foreign_firewall(egress.check())
    except egress.EgressError as error:
        level = Level.MISSING if is_wanted else Level.WEAKER
        fix = "Install or allow that, or start as root." if os.geteuid() else "Install or switch on what it says."
        return Finding("egress", level, f"Functions cannot be let to the internet: {error}.", fix)
    if other is not None:
        detail = f"The firewall table `{other}` drops what is forwarded, and no rule of Cosset's can override it."
        return Finding("egress", Level.WEAKER, detail, 'Accept there what comes from "cosset*", and answers to it.')
    detail = "Functions can be let to the internet: --egress; one with COSSET_EGRESS=off goes without."
    return Finding("egress", Level.OK, detail)


def _kernel() -> Finding:
    release = platform.release()
    major, minor = (int(part) for part in release.split("-")[0].split(".")[:2])
    if (major, minor) >= (5, 3):
        return Finding("kernel", Level.OK, f"Linux {release}.")
    return Finding("kernel", Level.MISSING, f"Linux {release} has no pidfd_open.", "Use Linux 5.3 or newer.")


def _enter_user_namespace() -> None:
    """And makes use of it: where AppArmor restricts it, the namespace comes without its capabilities."""
    kernel.unshare(kernel.CLONE_NEWUSER)
    kernel.unshare(_NAMESPACES)
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)


def _succeeds(action: Callable[[], None]) -> bool:
    """In a child, which takes whatever it did with it."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1] == 0


def _is(path: Path, text: str) -> bool:
    try:
        return path.read_text().strip() == text
    except OSError:
        return False
