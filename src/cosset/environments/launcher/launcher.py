"""The launcher's loop: takes requests from the server, keeps every environment's processes, groups and folders in step.

An environment goes through: forked by a spawner, attached to its cgroups, prepared (namespaces are there), assigned (a
function's), started, dead, cleared away. One environment a spawner is kept prepared in advance, because attaching to a
cgroup is slow after idling. Nothing here waits but for the kernel. Read next: requests.py, cell.py, upkeep.py.
"""

import itertools
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cosset.environments.launcher import cgroups, egress, images, requests, thawer
from cosset.environments.launcher.cell import Cell, Stage, close_all, kill_pidfd
from cosset.environments.launcher.loop import Loop
from cosset.environments.launcher.run_folder import RunFolder, group_name
from cosset.environments.launcher.scratch import Scratch
from cosset.environments.launcher.spawners import Spawners
from cosset.environments.launcher.upkeep import Upkeep
from cosset.runtimes.sealing import channel

MAX_ENVIRONMENTS = 2000
SPARE_DELAY_S = 0.05
"""How long after a start the next environment is prepared: not while the new one needs the CPU most."""
_CLOSE_PATIENCE_S = 5.0
START_LIMIT_S = 30.0
"""From the request to the runtime's own start; the time for Init is the server's to measure."""
_SEND_TIMEOUT_S = 5.0


class Launcher:
    """Single-threaded owner of every environment of one data folder.

    Args:
        server: the control channel to the server.
        loop: closed with the launcher.
        first_uid: of the block for environments; 0 where there is only one uid.
        on_message: called with what the server sends to the owner beyond requests (`ready`).
        min_free_mb: of the data disk; when what environments write to /tmp goes beyond, the largest of them is ended.
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
        way_out: egress.Egress | None = None,
        unavailable: str | None = None,
    ) -> None:
        self._server = server
        self._data = data
        self._run_folder = run_folder
        self._groups = groups
        self._scratch = Scratch(data)
        self._images = images.Images(self._scratch, is_root=first_uid != 0)
        self._way_out = way_out
        self._first_uid = first_uid
        self._server_uid = server_uid
        self._on_message = on_message
        self._unavailable = unavailable
        self._free_slots = list(range(MAX_ENVIRONMENTS, 0, -1))
        self._names = itertools.count(1)
        self._spawners = Spawners(
            loop,
            mount_point=run_folder.mount_point,
            data=data,
            scratch=self._scratch,
            forked=self._on_forked,
            failed=self._fail,
        )
        self._spares: dict[requests.RootKey, Cell] = {}
        self._cells: dict[str, Cell] = {}
        self._by_id: dict[str, Cell] = {}
        self._upkeep = Upkeep(loop, self._cells, self._images, self._scratch, min_free_mb * 1024 * 1024)
        self._loop = loop
        self._server_gone = False
        server.settimeout(_SEND_TIMEOUT_S)
        self._scratch.reap()
        self._thawer = thawer.start(groups.folders)
        self._loop.watch(server.fileno(), self._on_server)

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
        for cell in list(self._cells.values()):
            cell.kill()
        patience_s = time.monotonic() + _CLOSE_PATIENCE_S
        while self._cells and time.monotonic() < patience_s:
            self._loop.turn(0.1)
        self._spawners.close()
        self._loop.close()
        if self._thawer is not None:
            self._thawer.close()
        if self._way_out is not None:
            self._way_out.close()
        if self._groups.close() and not self._cells:
            self._run_folder.close()
        else:  # the record of the groups stays, for the next start
            sys.stderr.write(f"cosset: {len(self._cells)} environments would not end\n")

    # Requests of the server.

    def _on_server(self) -> None:
        try:
            received = channel.receive(self._server)
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
        if operation == "spawn":
            self._spawn(message, fds)
        elif operation == "kill":
            cell = self._by_id.get(requests.parse_id(message))
            if cell is not None:
                cell.kill()
        elif operation == "throttle":
            cell = self._by_id.get(requests.parse_id(message))
            if cell is not None and cell.request is not None and cell.stage is Stage.STARTED:
                cell.cgroup.throttle(cell.request.memory_mb)
        elif operation == "prepare":
            self._keep_spare(requests.parse_root(message, self._data, self._server_uid))
        elif operation == "message":
            self._on_message(requests.parse_body(message))
        else:
            raise requests.RequestError(f"op is {operation!r}")

    def _spawn(self, message: dict[str, Any], fds: list[int]) -> None:
        request = requests.parse_spawn(message, self._data, self._server_uid)
        if len(fds) != len(request.fd_names) or request.id in self._by_id:
            raise requests.RequestError("descriptors or id")
        if self._unavailable is not None:
            self._refuse(request.id, self._unavailable, fds, unavailable=True)
            return
        cell = self._spares.pop(request.root, None)
        try:
            cell = cell or self._fork(request.root, request.disk_mb)
        except OSError as error:
            self._refuse(request.id, str(error), fds)
            return
        cell.request, cell.request_fds = request, fds
        self._by_id[request.id] = cell
        self._loop.after(START_LIMIT_S, lambda: self._give_up(cell))
        if cell.stage is Stage.PREPARED:
            self._assign(cell)

    def _refuse(self, name: object, reason: str, fds: list[int], *, unavailable: bool = False) -> None:
        close_all(fds)
        self.tell_server({"event": "failed", "id": name, "error": reason, "unavailable": unavailable})
        self.tell_server({"event": "gone", "id": name})

    # The life of an environment.

    def _fork(self, key: requests.RootKey, disk_mb: int) -> Cell:
        if not self._free_slots:
            raise OSError(f"{MAX_ENVIRONMENTS} environments are alive")
        spawner = self._spawners.get(key)
        slot = self._free_slots.pop()
        name = f"{next(self._names)}-{slot}"
        uid = self._first_uid + slot if self._first_uid else 0
        image = None
        try:
            image = self._make_disk(name, uid, disk_mb)
            cgroup = self._groups.make(name)
        except OSError:
            self._free_slots.append(slot)
            if image is not None:
                image.release()
            raise
        ours, theirs = channel.pair()
        cell = Cell(name, slot, key, uid, ours, cgroup, image)
        self._cells[name] = cell
        self._loop.watch(ours.fileno(), lambda: self._on_cell(cell))
        try:
            channel.send(
                ours,
                {"event": "disk", "has_names": self._way_out is not None},
                [image.loop_fd] if image is not None else [],
            )
            self._spawners.fork(spawner, cell, theirs)
        except OSError as error:
            self._on_dead(cell)
            raise OSError(f"the spawner has gone: {error}") from error
        finally:
            theirs.close()
            if image is not None:
                image.let_go_of_loop()
        return cell

    def _make_disk(self, name: str, uid: int, disk_mb: int) -> images.Image | None:
        """What is behind /tmp: an image, or where there are none (None), a folder."""
        image = self._images.make(disk_mb)
        if image is None:
            self._scratch.make(name, uid)
        else:
            self._upkeep.watch_disk()
        return image

    def _on_forked(self, cell: Cell, pid: int, pidfd: int) -> None:
        cell.pid, cell.pidfd = pid, pidfd
        self._loop.watch(pidfd, lambda: self._on_dead(cell))
        if cell.is_killed:
            kill_pidfd(pidfd)
            return
        try:
            cell.cgroup.attach(pid)
        except OSError as error:
            self._fail(cell, f"cgroup: {error}")
            return
        self._advance(cell)

    def _advance(self, cell: Cell) -> None:
        """Attached and prepared come in either order; an environment is prepared when it is both."""
        if cell.stage is Stage.FORKING:
            cell.stage = Stage.FORKED
        elif cell.stage is Stage.FORKED:
            cell.stage = Stage.PREPARED
            if self._way_out is not None:
                try:
                    self._way_out.attach(cell.slot, cell.pid, cell.pidfd)
                except OSError as error:
                    self._fail(cell, str(error))
                    return
            if cell.request is not None:
                self._assign(cell)

    def _assign(self, cell: Cell) -> None:
        request = cell.request
        assert request is not None
        try:
            cell.cgroup.limit(request.memory_mb)
            disk = self._exchange_disk(cell, request.disk_mb)
            assignment = {
                "code": request.code,
                "layers": request.layers,
                "network": self._network_of(cell),
                "scratch": None if cell.image is not None else cell.name,
                "uid": cell.uid,
                "disk_bytes": request.disk_mb * 1024 * 1024,
                "environment": request.environment,
                "command": request.command,
                "fds": [*request.fd_names, *(["disk"] if disk is not None else [])],
            }
            channel.send(cell.channel, assignment, [*cell.request_fds, *([disk] if disk is not None else [])])
        except (OSError, channel.ChannelError) as error:
            self._fail(cell, str(error))
            return
        cell.stage = Stage.ASSIGNED
        close_all(cell.request_fds)
        cell.request_fds = []
        if cell.image is not None:
            cell.image.let_go_of_loop()

    def _network_of(self, cell: Cell) -> list[str] | None:
        """What the environment needs to know to set up its end: interface, address, gateway."""
        if self._way_out is None:
            return None
        address = self._way_out.address(cell.slot)
        return [egress.INSIDE, address.inside, address.gateway]

    def _exchange_disk(self, cell: Cell, disk_mb: int) -> int | None:
        """A prepared environment has a disk of the usual size; for another one a descriptor of another disk."""
        if cell.image is None or cell.image.size_mb == disk_mb:
            return None
        image = self._images.make(disk_mb)
        if image is None:
            raise OSError(f"no disk of {disk_mb} MB for /tmp")
        cell.image.release()
        cell.image = image
        return image.loop_fd

    def _on_cell(self, cell: Cell) -> None:
        """From the init of an environment. After the start it is not to be trusted more than the function."""
        try:
            received = channel.receive(cell.channel)
        except (OSError, channel.ChannelError):
            received = None
        if received is None:
            self._loop.unwatch(cell.channel.fileno())
            cell.kill()
            return
        message, fds = received
        event = message.get("event")
        if event == "prepared" and not cell.listener_fds:
            cell.listener_fds = fds
            self._advance(cell)
            return
        close_all(fds)
        if event == "started" and cell.stage is Stage.ASSIGNED:
            self._on_started(cell)
        elif event == "exit" and cell.ending is None:
            cell.ending = message
            cell.cgroup.unthrottle()  # the rest of it is being killed by the kernel
        elif event == "failed":
            cell.hear_failure(message)

    def _on_started(self, cell: Cell) -> None:
        assert cell.request is not None
        cell.stage = Stage.STARTED
        peak = cell.cgroup.open_peak()
        freezer, version = cell.cgroup.open_freezer() or (None, 0)
        fds = [*cell.listener_fds, *(fd for fd in (peak, freezer) if fd is not None)]
        message = {
            "event": "started",
            "id": cell.request.id,
            "pid": cell.pid,
            "has_peak": peak is not None,
            "freezer": version,
        }
        self.tell_server(message, fds)
        close_all(fds)
        cell.listener_fds = []
        if "memory" not in self._groups.controllers:
            self._upkeep.watch_memory(cell)
        self._loop.after(SPARE_DELAY_S, lambda: self._keep_spare(cell.root))

    def _keep_spare(self, key: requests.RootKey) -> None:
        if key in self._spares or self._server_gone or self._unavailable is not None:
            return
        try:
            self._spares[key] = self._fork(key, images.DEFAULT_MB)
        except OSError:
            return  # the next start will say why

    def _give_up(self, cell: Cell) -> None:
        if cell.stage < Stage.STARTED:
            self._fail(cell, f"it did not start within {START_LIMIT_S:.0f} s")

    def _fail(self, cell: Cell, reason: str) -> None:
        """It will not start. Where there is a process it dies first."""
        cell.failure = cell.failure or reason
        if cell.pidfd >= 0:
            cell.kill()
        else:
            self._on_dead(cell)

    def _on_dead(self, cell: Cell) -> None:
        """The init has ended, and with it, the kernel sees to that, everything in its pid namespace."""
        if cell.stage is Stage.DEAD:
            return
        was_started = cell.stage is Stage.STARTED
        cell.hear_last()
        cell.stage = Stage.DEAD
        if self._spares.get(cell.root) is cell:
            del self._spares[cell.root]
        if cell.pidfd >= 0:
            self._loop.unwatch(cell.pidfd)
        self._loop.unwatch(cell.channel.fileno())
        cell.close()
        self._tell_end(cell, was_started)
        self._upkeep.remove(cell, self._forget)

    def _tell_end(self, cell: Cell, was_started: bool) -> None:
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

    def _forget(self, cell: Cell) -> None:
        del self._cells[cell.name]
        self._free_slots.insert(0, cell.slot)  # the longest unused uid is given out next
        if cell.request is not None:
            del self._by_id[cell.request.id]
            self.tell_server({"event": "gone", "id": cell.request.id})


def make_groups(run_folder: RunFolder) -> cgroups.Cgroups:
    """Reaps what an owner before left, and makes this owner's groups where the host allows."""
    run_folder.reap()
    groups = cgroups.Cgroups(cgroups.detect(), group_name(run_folder.key))
    run_folder.record(groups.folders)
    return groups
