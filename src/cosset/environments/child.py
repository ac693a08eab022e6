"""One child process with everything that it starts: spawned in a session of its own, watched, measured, killed whole.

Linux has a descriptor that becomes readable when the process ends; elsewhere a thread waits. Knows nothing of Lambda.
Read next: process.py.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from resource import struct_rusage

from cosset.clock import Clock
from cosset.environments.transport import Exit

MAX_OPEN_FILES = 1024
"""As on AWS (recorded: test_runtime_ulimits)."""
_KILL_POLLS = 100
_KILL_POLL_S = 0.01
_MEMORY_POLL_S = 0.1
_MEMORY_REST_S = 1.0
"""How often memory is looked at when it changes, and when it does not."""
MARK = "_COSSET_ENVIRONMENT"
"""A variable of every child, `owner's pid:environment`: it finds what has left the session or lost its parent."""


class ChildProcess:
    """Process over a plain child. `folder` is removed with it, but for what `keep` takes out of it at a reset; `mark`
    is the value of its MARK.

    Without a cgroup memory can only be watched, on Linux: what grows faster than we look gets further.
    """

    def __init__(
        self,
        popen: "subprocess.Popen[bytes]",
        folder: Path,
        mark: str,
        clock: Clock,
        memory_mb: int,
        keep: Callable[[], None] | None = None,
    ) -> None:
        self._popen = popen
        self._folder = folder
        self._keep = keep
        self._mark = mark
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[Exit] = self._loop.create_future()
        self._killed: asyncio.Task[None] | None = None
        self._peak_kb = 0
        self._pidfd = -1
        self._is_over_memory = False
        self._memory_watch = self._loop.create_task(self._watch_memory(memory_mb), name=f"memory {popen.pid}")
        self._watch()

    async def wait(self) -> Exit:
        return await asyncio.shield(self._ended)

    async def kill(self, *, is_reset: bool = False) -> None:
        if self._killed is None:
            self._killed = self._loop.create_task(self._kill(is_reset), name=f"kill {self._popen.pid}")
        await asyncio.shield(self._killed)

    def signal(self, number: int) -> None:
        """To this process alone; nothing when it has ended."""
        if not self._ended.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._popen.pid, number)

    def peak_memory_mb(self) -> int:
        """On Linux the first process's own peak, or what the whole tree was seen with. Elsewhere known at the end."""
        if not self._ended.done():
            self._peak_kb = max(self._peak_kb, _peak_kb(self._popen.pid))
        return -(-self._peak_kb // 1024)

    def _watch(self) -> None:
        try:
            self._pidfd = os.pidfd_open(self._popen.pid)
        except (AttributeError, OSError):
            threading.Thread(target=self._reap_in_thread, name=f"wait {self._popen.pid}", daemon=True).start()
        else:
            self._loop.add_reader(self._pidfd, self._reap)

    def _reap(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._signal_group()  # while the dead leader still holds the group's number
        _, status, usage = os.wait4(self._popen.pid, 0)
        self._reaped(status, usage)

    def _reap_in_thread(self) -> None:
        _, status, usage = os.wait4(self._popen.pid, 0)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._reaped, status, usage)

    def _reaped(self, status: int, usage: struct_rusage) -> None:
        code = os.waitstatus_to_exitcode(status)
        self._popen.returncode = code  # Popen did not reap it, and would warn
        self._peak_kb = max(self._peak_kb, usage.ru_maxrss // (1 if sys.platform == "linux" else 1024))
        self._memory_watch.cancel()
        if not self._ended.done():
            oom = self._is_over_memory and code == -signal.SIGKILL
            self._ended.set_result(Exit(signal=-code, oom=oom) if code < 0 else Exit(code=code))

    async def _watch_memory(self, memory_mb: int) -> None:
        seen_kb, pause_s = 0, _MEMORY_POLL_S
        while (now_kb := resident_kb(self._popen.pid)) <= memory_mb * 1024:
            self._peak_kb = max(self._peak_kb, now_kb)
            pause_s = _MEMORY_POLL_S if now_kb != seen_kb else min(pause_s * 2, _MEMORY_REST_S)
            seen_kb = now_kb
            await self._clock.sleep(pause_s)
        self._is_over_memory = True
        self._peak_kb = max(self._peak_kb, now_kb)
        self._signal_group()

    async def _kill(self, is_reset: bool) -> None:
        if not self._ended.done():
            self.peak_memory_mb()
            self._signal_group()
            await self._ended
        for _ in range(_KILL_POLLS):
            strays = await asyncio.to_thread(marked, self._mark)
            if not strays:
                break
            for stray in strays:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(stray, signal.SIGKILL)
            await self._clock.sleep(_KILL_POLL_S)
        if is_reset and self._keep is not None:
            self._keep()
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def _signal_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Spawned:
    """A child and the read ends of its pipes."""

    process: ChildProcess
    output: int
    telemetry: int | None


def spawn(
    command: Sequence[str | Path],
    variables: Mapping[str, str],
    *,
    cwd: Path,
    folder: Path,
    name: str,
    clock: Clock,
    memory_mb: int,
    telemetry: bool,
    gate: int | None = None,
    keep: Callable[[], None] | None = None,
) -> Spawned:
    """Starts it in a session of its own. On Linux it dies with this process, even by `kill -9`.

    Args:
        telemetry: offer AWS's runtime clients a pipe for whole log records.
        gate: the read end of a pipe; the command waits until a line comes out of it.
        keep: called at a reset, when nothing of it runs any more and before the folder is removed.

    Raises: OSError, when it cannot be executed.
    """
    setpriv = shutil.which("setpriv")
    prefix = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv and sys.platform == "linux" else []
    if gate is not None:
        prefix += ["/bin/sh", "-c", 'read -r _ && exec "$@" </dev/null', "gate"]
    mark = f"{os.getpid()}:{name}"
    own = {**variables, MARK: mark}
    pipes = [os.pipe() for _ in range(2 if telemetry else 1)]
    child_ends = [child for _, child in pipes]
    if telemetry:
        own["_LAMBDA_TELEMETRY_LOG_FD"] = str(child_ends[1])
    try:
        popen = subprocess.Popen(
            [*prefix, *command],
            cwd=cwd,
            env=own,
            stdin=subprocess.DEVNULL if gate is None else gate,
            stdout=child_ends[0],
            stderr=child_ends[0],
            pass_fds=child_ends[1:],
            start_new_session=True,
        )
    except BaseException:
        for read_end, _ in pipes:
            os.close(read_end)
        raise
    finally:
        for child_end in child_ends:
            os.close(child_end)
    _limit(popen.pid)
    process = ChildProcess(popen, folder, mark, clock, memory_mb, keep)
    return Spawned(process, pipes[0][0], pipes[1][0] if telemetry else None)


def _limit(pid: int) -> None:
    if sys.platform == "linux":
        import resource

        with contextlib.suppress(ProcessLookupError, PermissionError):
            resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (MAX_OPEN_FILES, MAX_OPEN_FILES))


def descendants(pid: int) -> list[int]:
    """Children, their children and so on, as far as Linux tells; those of a dead parent are no longer among them."""
    found: list[int] = []
    for parent in _chain(pid, found):
        try:
            for thread in os.listdir(f"/proc/{parent}/task"):
                found += map(int, Path(f"/proc/{parent}/task/{thread}/children").read_text().split())
        except OSError:
            continue  # it has gone, or this is not Linux
    return found


def _chain(first: int, more: list[int]) -> Iterator[int]:
    yield first
    yield from more  # grows while it is walked


def marked(mark: str) -> list[int]:
    """Processes whose environment holds the mark, whatever session they are in and whoever adopted them."""
    return [pid for pid, value in _marks() if value == mark]


def reap_orphans() -> int:
    """Ends what an owner that was killed has left behind; the number of processes ended."""
    orphans = [pid for pid, value in _marks() if not is_alive(value.partition(":")[0])]
    for pid in orphans:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    return len(orphans)


def is_alive(pid: str) -> bool:
    """Whether a process of this number runs. What is no number counts as alive: it is not ours to judge."""
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError):
        return True
    return True


def _marks() -> Iterator[tuple[int, str]]:
    prefix = f"{MARK}=".encode()
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        if name.isdigit():
            try:
                held = Path(f"/proc/{name}/environ").read_bytes().split(b"\0")
            except OSError:
                continue  # it has gone, or is not ours
            for variable in held:
                if variable.startswith(prefix):
                    yield int(name), variable.removeprefix(prefix).decode("utf-8", "replace")


def resident_kb(pid: int) -> int:
    """Memory of a process and its descendants now; pages that several share count for each. 0 off Linux."""
    pages = 0
    for member in (pid, *descendants(pid)):
        with contextlib.suppress(OSError, IndexError):
            pages += int(Path(f"/proc/{member}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def _peak_kb(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/status") as status:
            return next((int(line.split()[1]) for line in status if line.startswith("VmHWM:")), 0)
    except OSError:
        return 0
