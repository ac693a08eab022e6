"""The two processes of a node: forks the server, drops its privileges, stays behind as the launcher.

To be called before anything heavy is imported and before any thread is started. The server ends with the launcher,
however that ends; the launcher ends with the server, and clears everything away first. Read next: launcher.py.
"""

import os
import resource
import signal
import socket
import sys
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from cosset.environments.launcher import egress, orphans, run_folder, slirp
from cosset.environments.launcher.launcher import Launcher, make_groups
from cosset.environments.launcher.loop import Loop
from cosset.environments.launcher.run_folder import OwnerError, RunFolder
from cosset.environments.launcher.spares import KEPT_S
from cosset.runtimes.sealing import channel, filesystem, kernel

__all__ = ["OwnerError", "drop_privileges", "run", "serve_launcher"]

_CLOSED = (
    "Error: the server, which runs without privileges, would not reach Python, Cosset or its data in folders that are"
    " closed to others, and this root may not make a mount namespace to let it through.\n"
    "  fix: see `cosset doctor`; or have them where everybody may read, as below /usr, /opt and /var\n"
)
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(
    data: Path,
    serve: Callable[[socket.socket], int],
    on_message: Callable[[dict[str, Any]], None],
    *,
    readable: Sequence[Path] = (),
    min_free_mb: int = 0,
    kept_s: float = KEPT_S,
    egress_to: Sequence[str] | None = None,
) -> int:
    """Runs the server until it ends; its exit code.

    Args:
        data: the data folder; made when missing, and with root given to a uid of Cosset's own.
        serve: the server, in the child: gets its end of the control socket, returns its exit code.
        on_message: in this process, for each message of `LauncherClient.tell_owner`. Without root this process has
            entered a user namespace by then, where it seems to be root: look up the user's home before `run`.
        readable: further files that the server needs, beyond Python, Cosset and the data folder.
        min_free_mb: of the data disk, which environments may not use up.
        kept_s: how long what a burst has wanted prepared stays so, at most.
        egress_to: lets environments reach the internet, and of what is otherwise out of reach these networks. None:
            nothing.

    Raises: OwnerError, when another Cosset has the data folder, or it cannot be written.
    """
    if egress_to is not None:
        _check_egress(egress_to)
    try:
        data = _make_data(data)
        folder = RunFolder(data)
    except OSError as error:
        raise OwnerError(f"Cannot write in the data folder {data}: {error.strerror}.") from error
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # whoever started this may have blocked some, and functions inherit
    ours, theirs = channel.pair()
    launcher_pid = os.getpid()
    server = os.fork()
    if server == 0:
        ours.close()
        _live_as_server(launcher_pid, data, theirs, serve, readable)
    theirs.close()
    return _live_as_launcher(server, ours, data, folder, on_message, min_free_mb, kept_s, egress_to)


def serve_launcher(
    control: socket.socket,
    data: Path,
    on_message: Callable[[dict[str, Any]], None],
    *,
    min_free_mb: int = 0,
    egress_to: Sequence[str] | None = None,
) -> None:
    """The launcher alone, for a server that is there already (tests). Ends when the control socket is closed."""
    data = _make_data(data)
    _launcher(control, Loop(), data, RunFolder(data), on_message, min_free_mb, KEPT_S, egress_to).run()


def _check_egress(allowed: Sequence[str]) -> None:
    """Before anything is forked."""
    try:
        if os.geteuid() == 0:
            egress.check()
        else:
            slirp.check()
        egress.check_networks(allowed)
    except egress.EgressError as error:
        raise OwnerError(f"{error}. Or start without --egress.") from error


def _make_data(data: Path) -> Path:
    data.mkdir(parents=True, exist_ok=True)
    data = data.resolve()
    if os.geteuid() == 0:
        uid = run_folder.server_uid(data)
        if data.stat().st_uid != uid:
            _check_is_ours(data)
            _give(data, uid)
    data.chmod(0o700)
    return data


def _check_is_ours(data: Path) -> None:
    """Before everything in it changes hands: `--data /home` must not."""
    names = os.listdir(data)
    if names and not {"cosset.db", "scratch"} & set(names):
        raise OwnerError(f"{data} is not empty and no data folder of Cosset: choose a new or an empty one")


def _give(data: Path, uid: int) -> None:
    """Top folder last: were it cut short, the next start would begin again."""
    for place, folders, files in os.walk(data):
        if Path(place) == data and "scratch" in folders:
            folders.remove("scratch")  # the launcher's own
        for name in (*folders, *files):
            os.chown(os.path.join(place, name), uid, uid, follow_symlinks=False)
    os.chown(data, uid, uid)


def _live_as_server(
    launcher_pid: int,
    data: Path,
    control: socket.socket,
    serve: Callable[[socket.socket], int],
    readable: Sequence[Path],
) -> NoReturn:
    code = 1
    try:
        os.setsid()  # Ctrl-C reaches the launcher, which asks for a drain
        if os.geteuid() == 0:
            drop_privileges(data, readable)
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        kernel.die_with_parent(signal.SIGKILL)
        if os.getppid() == launcher_pid:
            code = serve(control)
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:  # noqa: BLE001 - the boundary of this process
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def drop_privileges(data: Path, readable: Sequence[Path]) -> None:
    """For root: becomes the owner of the data folder, for good, with Python, Cosset, `data` and `readable` in reach."""
    here = Path(__file__).resolve().parents[3]
    own = [Path(sys.prefix), Path(sys.base_prefix), Path(sys.base_exec_prefix), here, data]
    libraries = [Path(path) for path in sysconfig.get_paths().values()]
    wanted = [path for path in (*own, *libraries, *readable) if path.exists()]
    try:
        filesystem.unveil([str(path) for path in wanted])
    except PermissionError:
        sys.stderr.write(_CLOSED)
        raise SystemExit(1) from None
    uid = run_folder.server_uid(data)
    kernel.drop_bounding_set()
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)


def _live_as_launcher(
    server: int,
    control: socket.socket,
    data: Path,
    folder: RunFolder,
    on_message: Callable[[dict[str, Any]], None],
    min_free_mb: int,
    kept_s: float,
    egress_to: Sequence[str] | None,
) -> int:
    loop = Loop()
    launcher = _launcher(control, loop, data, folder, on_message, min_free_mb, kept_s, egress_to)
    server_fd = os.pidfd_open(server)
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    ended = is_draining = False

    def on_signal() -> None:
        nonlocal is_draining
        os.read(woken, 512)
        if is_draining:
            os.kill(server, signal.SIGKILL)  # asked twice: at once
        is_draining = True
        launcher.tell_server({"event": "drain"})

    def on_server_end() -> None:
        nonlocal ended
        ended = True

    for number in _STOPPING:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # `nohup` is to be heeded
            signal.signal(number, lambda *_: None)
    loop.watch(woken, on_signal)
    loop.watch(server_fd, on_server_end)
    try:
        while not ended:
            loop.turn()
    finally:
        signal.set_wakeup_fd(-1)
        launcher.close()
    _, status = os.waitpid(server, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _launcher(
    control: socket.socket,
    loop: Loop,
    data: Path,
    folder: RunFolder,
    on_message: Callable[[dict[str, Any]], None],
    min_free_mb: int,
    kept_s: float,
    egress_to: Sequence[str] | None,
) -> Launcher:
    orphans.adopt()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # three descriptors an environment
    has_uids = os.geteuid() == 0
    server_uid = run_folder.server_uid(data) if has_uids else os.geteuid()
    first_uid = folder.reserve_uids() if has_uids else 0
    unavailable = _try_namespaces() if has_uids else _enter_user_namespace()
    groups = make_groups(folder)
    way_out = None if egress_to is None else _open_egress(folder, egress_to, has_uids=has_uids)
    return Launcher(
        control,
        loop,
        data=data,
        run_folder=folder,
        groups=groups,
        first_uid=first_uid,
        server_uid=server_uid,
        on_message=on_message,
        min_free_mb=min_free_mb,
        kept_s=kept_s,
        way_out=way_out,
        unavailable=unavailable,
    )


def _open_egress(folder: RunFolder, allowed: Sequence[str], *, has_uids: bool) -> egress.WayOut:
    """Raises: OwnerError."""
    if has_uids:
        return folder.open_egress(allowed)
    try:
        return slirp.SlirpEgress(*slirp.check(), allowed)
    except egress.EgressError as error:
        raise OwnerError(str(error)) from error


def _try_namespaces() -> str | None:
    """Of a root: why it can make no environment, as in a container that was given nothing. Tried by a child."""
    pid = os.fork()
    if pid == 0:
        try:
            kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWPID)
        except OSError as error:
            os._exit(error.errno or 1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code == 0:
        return None
    return f"tier jail needs namespaces, and this root may not make any ({os.strerror(code)}): see `cosset doctor`"


def _enter_user_namespace() -> str | None:
    """Without root: becomes root of a user namespace of its own, which holds nothing but this one user. Why not,
    when the host allows none."""
    uid, gid = os.geteuid(), os.getegid()
    try:
        kernel.unshare(kernel.CLONE_NEWUSER)
        for name, value in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            Path("/proc/self", name).write_text(value)
        kernel.unshare(kernel.CLONE_NEWNS)
    except OSError as error:
        return f"tier jail needs root or user namespaces, and this host gives neither ({error}): see `cosset doctor`"
    return None
