"""The launcher: takes requests from the server, tells it what becomes of the environments.

The only one of these modules that the server talks to, and it believes nothing: requests.py checks first. What is then
done, cells.py and spares.py do; nothing is forked or mounted from here. Read next: requests.py, cells.py, client.py.
"""

import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from cosset.environments.launcher import cgroups, egress, hierarchies, requests, thawer
from cosset.environments.launcher.cell import Cell, Stage, close_all
from cosset.environments.launcher.cells import Cells
from cosset.environments.launcher.loop import Loop
from cosset.environments.launcher.run_folder import RunFolder, group_name
from cosset.environments.launcher.spares import KEPT_S, Spares
from cosset.runtimes.sealing import channel

SDK_DELAY_S = 0.3
"""How long after the first start that it is for, a Python loads the AWS SDK."""
_SEND_TIMEOUT_S = 5.0


class Launcher:
    """Single-threaded owner of every environment of one data folder.

    Args:
        server: the control channel to the server.
        loop: closed with the launcher.
        first_uid: of the block for environments; 0 where there is only one uid.
        on_message: called with what the server sends to the owner beyond requests (`ready`).
        min_free_mb: of the data disk; when what environments write to /tmp goes beyond, the largest of them is ended.
        kept_s: how long environments are kept that idle: so long, at most, what a burst has wanted prepared stays so,
            and waits what a reset has left.
        way_out: to the internet, for every environment; None: there is none.
        unavailable: why this host can seal nothing; every spawn is answered with it.
    """

    def __init__(
        self,
        server: socket.socket,
        loop: Loop,
        *,
        data: Path,
        run_folder: RunFolder,
        groups: cgroups.Cgroups,
        first_uid: int,
        server_uid: int,
        on_message: Callable[[dict[str, Any]], None],
        min_free_mb: int = 0,
        kept_s: float = KEPT_S,
        way_out: egress.WayOut | None = None,
        unavailable: str | None = None,
    ) -> None:
        self._server = server
        self._interpreters = requests.Interpreters(server_uid)
        self._loop = loop
        self._data, self._run_folder = data, run_folder
        self._groups, self._way_out = groups, way_out
        self._on_message = on_message
        self._unavailable = unavailable
        self._by_id: dict[str, Cell] = {}
        self._server_gone = False
        server.settimeout(_SEND_TIMEOUT_S)
        self._cells = Cells(
            loop,
            data=data,
            mount_point=run_folder.mount_point,
            groups=groups,
            first_uid=first_uid,
            min_free_bytes=min_free_mb * 1024 * 1024,
            way_out=way_out,
            prepared=lambda cell: self._spares.prepared(),
            started=self._on_started,
            ended=self._on_ended,
            lost=self._begin_again,
            gone=self._on_gone,
            kept_s=kept_s,
        )
        fork = partial(self._cells.fork, is_urgent=False)
        self._spares = Spares(loop, fork, kept_s=kept_s, is_starting=self._is_starting)
        self._thawer = thawer.start(groups.folders)
        loop.watch(server.fileno(), self._on_server)

    def run(self) -> None:
        """Until the server has closed its end; then ends and clears away everything."""
        try:
            while not self._server_gone:
                self._loop.turn()
        finally:
            self.close()

    def tell_server(self, message: dict[str, Any], fds: list[int] | None = None) -> None:
        if self._server_gone:
            return
        try:
            channel.send(self._server, message, fds or [])
        except (OSError, channel.ChannelError):
            self._server_gone = True

    def close(self) -> None:
        """Kills everything; returns when it has gone, or after some seconds with a word to stderr."""
        self._server_gone = True
        self._spares.close()
        left = self._cells.close()
        self._loop.close()
        if self._thawer is not None:
            self._thawer.close()
        if self._way_out is not None:
            self._way_out.close()
        if self._groups.close() and not left:
            self._run_folder.close()
        else:  # the record of the groups stays, for the next start
            sys.stderr.write(f"cosset: {left} environments would not end\n")

    # Requests of the server.

    def _on_server(self) -> None:
        try:
            received = channel.receive(self._server)
        except channel.DescriptorsLostError as lost:
            self._refuse(lost.message.get("id"), str(lost), [])
            return
        except (OSError, channel.ChannelError):
            received = None
        if received is None:
            self._server_gone = True
            self._loop.unwatch(self._server.fileno())
            return
        message, fds = received
        try:
            self._act(message, fds)
        except requests.RequestError as error:
            self._refuse(message.get("id"), f"refused: {error}", fds)

    def _act(self, message: dict[str, Any], fds: list[int]) -> None:
        operation = message.get("op")
        if fds and operation not in ("spawn", "supervise"):
            raise requests.RequestError(f"descriptors with {operation!r:.60}")
        if operation == "spawn":
            self._spawn(message, fds)
        elif operation == "kill":
            self._kill(requests.parse_id(message), is_reset=message.get("reset") is True)
        elif operation == "throttle":
            cell = self._by_id.get(requests.parse_id(message))
            if cell is not None and cell.request is not None and cell.stage is Stage.STARTED:
                cell.cgroup.throttle(cell.request.memory_mb)
        elif operation == "supervise":
            self._supervise(self._by_id.get(requests.parse_id(message)), fds)
        elif operation == "prepare":
            key = requests.parse_root(message, self._data, self._interpreters)
            if self._unavailable is None:
                self._spares.keep(key)
        elif operation == "count":
            self.tell_server({"event": "count", "spares": self._spares.count()})
        elif operation == "message":
            self._on_message(requests.parse_body(message))
        else:
            raise requests.RequestError(f"op is {operation!r:.60}")

    def _kill(self, name: str, *, is_reset: bool) -> None:
        """One that has ended already may have left its disk."""
        cell = self._by_id.get(name)
        if cell is not None:
            cell.keeps_disk &= is_reset
            cell.kill()
        elif not is_reset:
            self._cells.forget(name)

    def _supervise(self, cell: Cell | None, fds: list[int]) -> None:
        try:
            if cell is not None and cell.stage is Stage.STARTED and len(fds) == 1:
                self._cells.supervise(cell, fds[0])
        except (OSError, channel.ChannelError):
            return  # it has gone, or does not listen
        finally:
            close_all(fds)

    def _spawn(self, message: dict[str, Any], fds: list[int]) -> None:
        request = requests.parse_spawn(message, self._data, self._interpreters)
        if len(fds) != len(request.fd_names) or request.id in self._by_id:
            raise requests.RequestError("descriptors or id")
        if self._unavailable is not None:
            self._refuse(request.id, self._unavailable, fds, unavailable=True)
            return
        try:
            cell = self._begin(request)
        except OSError as error:
            self._refuse(request.id, str(error), fds)
            return
        self._by_id[request.id] = cell
        self._cells.give(cell, request, fds)

    def _begin_again(self, request: requests.Spawn, fds: list[int]) -> None:
        """With a new one."""
        try:
            cell = self._fork(request.root, request)
        except OSError as error:
            del self._by_id[request.id]
            self._refuse(request.id, str(error), fds)
            return
        self._by_id[request.id] = cell
        self._cells.give(cell, request, fds)

    def _begin(self, request: requests.Spawn) -> Cell:
        """Raises: OSError."""
        root = request.root
        if root.has_sdk and not self._cells.is_warm(root):
            self._spares.keep(root, SDK_DELAY_S)  # for those that follow: this one is quicker without
            root = replace(root, has_sdk=False)
        # What is prepared has nobody to start extensions, and a disk of its own.
        if request.extensions or self._cells.has_left(request):
            return self._fork(root, request)
        return self._take_spare(root, request.disk_mb) or self._fork(root, request)

    def _fork(self, root: requests.RootKey, request: requests.Spawn) -> Cell:
        """Raises: OSError."""
        left = self._cells.take_left(request)
        return self._cells.fork(root, request.disk_mb, has_extensions=bool(request.extensions), left=left)

    def _is_starting(self) -> bool:
        return any(cell.stage < Stage.STARTED for cell in self._by_id.values())

    def _take_spare(self, root: requests.RootKey, disk_mb: int) -> Cell | None:
        cell = self._spares.take(root)
        if cell is not None and cell.image is None and cell.disk_mb != disk_mb:
            cell.kill()  # its files have a limit that cannot be moved
            return None
        return cell

    def _refuse(self, name: object, reason: str, fds: list[int], *, unavailable: bool = False) -> None:
        close_all(fds)
        self.tell_server({"event": "failed", "id": name, "error": reason, "unavailable": unavailable})
        self.tell_server({"event": "gone", "id": name})

    # What becomes of the environments.

    def _on_started(self, cell: Cell) -> None:
        assert cell.request is not None
        peak = cell.cgroup.open_peak()
        freezer, version = cell.cgroup.open_freezer() or (None, 0)
        fds = [*cell.listener_fds, *cell.pipe_fds, *(fd for fd in (peak, freezer) if fd is not None)]
        message = {
            "event": "started",
            "id": cell.request.id,
            "pid": cell.runtime_pid or cell.pid,
            "is_runtime": cell.runtime_pid is not None,
            "pipes": len(cell.pipe_fds),
            "has_peak": peak is not None,
            "freezer": version,
        }
        self.tell_server(message, fds)
        close_all(fds)
        cell.listener_fds, cell.pipe_fds = [], []
        self._spares.started()

    def _on_ended(self, cell: Cell, was_started: bool) -> None:
        if cell.request is None:
            return
        if not was_started and cell.ending is None:
            reason = cell.failure or "it was killed before it had started"
            self.tell_server({"event": "failed", "id": cell.request.id, "error": reason, "unavailable": False})
            return
        ending = cell.ending or {"code": None, "signal": int(signal.SIGKILL)}
        code, number = ending.get("code"), ending.get("signal")
        self.tell_server(
            {
                "event": "exit",
                "id": cell.request.id,
                "code": code if isinstance(code, int) else None,
                "signal": number if isinstance(number, int) else None,
                "oom": cell.is_oom or cell.cgroup.had_oom(),
                "peak_bytes": cell.cgroup.peak_bytes(),
            }
        )

    def _on_gone(self, cell: Cell) -> None:
        if cell.request is not None:
            del self._by_id[cell.request.id]
            self.tell_server({"event": "gone", "id": cell.request.id})


def make_groups(run_folder: RunFolder) -> cgroups.Cgroups:
    """Reaps what an owner before left, and makes this owner's groups where the host allows."""
    run_folder.reap()
    groups = cgroups.Cgroups(hierarchies.detect(), group_name(run_folder.key))
    run_folder.record(groups.folders)
    return groups
