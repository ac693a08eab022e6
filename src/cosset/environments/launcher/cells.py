"""Every environment of one launcher, led from stage to stage.

Forked by a spawner, attached to its cgroups, prepared (namespaces are there), assigned (a function's), started, dead,
cleared away. It acts on what spawners and inits say, and neither hears nor tells the server: that is launcher.py's.
Nothing here waits but for the kernel. Read next: cell.py, spawners.py, upkeep.py.
"""

import contextlib
import itertools
import os
import resource
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cosset.environments.launcher import cgroups, egress, images, requests
from cosset.environments.launcher.cell import Cell, Stage, close_all, kill_pidfd
from cosset.environments.launcher.left_disks import KEPT_S, LeftDisk, LeftDisks
from cosset.environments.launcher.loop import Loop
from cosset.environments.launcher.scratch import Scratch
from cosset.environments.launcher.spawners import Forked, Spawners
from cosset.environments.launcher.upkeep import Upkeep
from cosset.runtimes.sealing import channel

MAX_ENVIRONMENTS = 2000
START_LIMIT_S = 30.0
"""From the request to the runtime's own start; the time for Init is the server's to measure."""
_CLOSE_PATIENCE_S = 5.0
_LINK_PAUSE_S = 0.005
_DESCRIPTORS = {stage: 4 if stage in (Stage.STARTED, Stage.DEAD) else 20 for stage in Stage}
"""How many an environment may hold here. Beyond what is allowed nobody could be told anything any more."""
_OTHER_DESCRIPTORS = 96


class Cells:
    """Owner of them all, of their uids, and of the spawners.

    Args:
        first_uid: of the block for environments; 0 where there is only one uid.
        kept_s: how long the disk of one that was reset waits for another in its place.
        way_out: to the internet, for every environment; None: there is none.
        prepared: called with one that waits for a function.
        started: called with an environment whose runtime runs; its listeners are then the callee's to hand on.
        ended: called with one that has died, after its last word, and whether it had started.
        lost: called with a request, and its descriptors, whose prepared environment has died before it began with it.
        gone: called with one of which nothing is left.
    """

    def __init__(
        self,
        loop: Loop,
        *,
        data: Path,
        mount_point: Path,
        groups: cgroups.Cgroups,
        first_uid: int,
        min_free_bytes: int,
        way_out: egress.WayOut | None,
        prepared: Callable[[Cell], None],
        started: Callable[[Cell], None],
        ended: Callable[[Cell, bool], None],
        lost: Callable[[requests.Spawn, list[int]], None],
        gone: Callable[[Cell], None],
        kept_s: float = KEPT_S,
    ) -> None:
        self._loop = loop
        self._groups = groups
        self._first_uid = first_uid
        self._way_out = way_out
        self._prepared, self._started, self._ended, self._gone = prepared, started, ended, gone
        self._lost = lost
        self._free_slots = list(range(MAX_ENVIRONMENTS, 0, -1))
        self._numbers = itertools.count(1)
        self._most_descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _OTHER_DESCRIPTORS
        self._cells: dict[str, Cell] = {}
        self._wanted: set[requests.RootKey] = set()
        """Of which a function has been started."""
        self._scratch = Scratch(data)
        self._scratch.reap()
        self._images = images.Images(self._scratch, is_root=first_uid != 0)
        self._left = LeftDisks(loop, self._erase, kept_s=kept_s)
        make_room = self._left.forget_largest
        self._upkeep = Upkeep(loop, self._cells, self._images, self._scratch, min_free_bytes, make_room)
        self._spawners = Spawners(
            loop,
            mount_point=mount_point,
            data=data,
            scratch=self._scratch,
            forked=self._on_forked,
            failed=self._fail,
            runtime_ended=self._on_runtime_ended,
            alive=self._alive,
        )

    def fork(
        self,
        key: requests.RootKey,
        disk_mb: int,
        *,
        is_urgent: bool = True,
        has_extensions: bool = False,
        left: LeftDisk | None = None,
    ) -> Cell:
        """Begins one that is nobody's yet. `is_urgent`: somebody waits for it. `has_extensions`: its init is to start
        others. `left`: the disk that it is to have.

        Raises: OSError, when there are too many, or no room.
        """
        try:
            self._check_room(has_slot=left is not None)
            spawner = self._spawners.get(key)
        except OSError:
            if left is not None:
                self._erase(left)
            raise
        cell, theirs = self._make(key, disk_mb, left, is_urgent=is_urgent)
        self._cells[cell.name] = cell
        self._loop.watch(cell.channel.fileno(), lambda: self._on_cell(cell))
        try:
            beginning = self._beginning(cell) if self._may_be_bare(key) and not has_extensions else None
            self._spawners.fork(spawner, cell, theirs, beginning)
        except OSError as error:
            self._on_dead(cell)
            raise OSError(f"the spawner has gone: {error}") from error
        finally:
            theirs.close()
        return cell

    def has_left(self, request: requests.Spawn) -> bool:
        return self._left.has(request)

    def take_left(self, request: requests.Spawn) -> LeftDisk | None:
        """The disk of the one in whose place this is to be: for `fork`, at once."""
        return self._left.take(request)

    def forget(self, name: str) -> None:
        """Nobody is to have the disk that this one has left."""
        self._left.forget(name)

    def is_warm(self, key: requests.RootKey) -> bool:
        """Whether environments of this root are forked at once."""
        return self._spawners.is_warm(key)

    def _alive(self, key: requests.RootKey) -> list[Cell]:
        return [cell for cell in self._cells.values() if cell.root == key and cell.stage is not Stage.DEAD]

    def give(self, cell: Cell, request: requests.Spawn, fds: list[int]) -> None:
        """Makes it a function's, now or when it is prepared. The descriptors are then the environment's."""
        cell.request, cell.request_fds = request, fds
        self._wanted.add(cell.root)
        try:
            cell.cgroup.limit(request.memory_mb)
        except OSError as error:
            self._fail(cell, f"cgroup: {error}")
            return
        self._loop.after(START_LIMIT_S, lambda: self._give_up(cell))
        if cell.stage is Stage.PREPARED:
            self._assign(cell, request)

    def supervise(self, cell: Cell, supervisor: int) -> None:
        """Hands a socket of the server's on to who serves it inside, unseen. Raises: OSError."""
        if cell.runtime_pid is None:
            channel.send(cell.channel, {"event": "supervise"}, [supervisor], socket.MSG_DONTWAIT)
        else:
            self._spawners.nurse(cell, supervisor)

    def close(self) -> int:
        """Kills all and waits some seconds for their end; how many would not."""
        for cell in list(self._cells.values()):
            cell.keeps_disk = False
            cell.kill()
        self._left.close()
        patience_s = time.monotonic() + _CLOSE_PATIENCE_S
        while (self._cells or self._upkeep.is_erasing) and time.monotonic() < patience_s:
            self._loop.turn(0.1)
        self._spawners.close()
        return len(self._cells)

    # Its making.

    def _check_room(self, *, has_slot: bool) -> None:
        """Raises: OSError."""
        if not has_slot and not self._free_slots:
            self._left.forget_oldest()  # whose place is free at once, unless there is a folder to be erased
            if not self._free_slots:
                raise OSError(f"{MAX_ENVIRONMENTS} environments are alive")
        held = sum(_DESCRIPTORS[each.stage] for each in self._cells.values())
        while held + len(self._left) > self._most_descriptors and self._left.forget_oldest():
            pass
        if held > self._most_descriptors:
            raise OSError(f"{len(self._cells)} environments are alive, and no more files may be open")

    def _make(
        self, key: requests.RootKey, disk_mb: int, left: LeftDisk | None, *, is_urgent: bool
    ) -> tuple[Cell, socket.socket]:
        """A cell without a process, and the other end of its channel."""
        slot = self._free_slots.pop() if left is None else left.slot
        name = f"{next(self._numbers)}-{slot}"
        uid = self._first_uid + slot if self._first_uid else 0
        image = None
        try:
            image = self._make_disk(name, uid, disk_mb) if left is None else self._take_disk(name, left)
            cgroup = self._groups.make(name)
            if not is_urgent:
                cgroup.hold_back()
        except OSError:
            self._free_slots.append(slot)
            if image is not None:
                image.release()
            elif left is not None:
                self._upkeep.erase_folder(name, lambda: None)
            raise
        ours, theirs = channel.pair()
        cell = Cell(name, slot, key, uid, ours, cgroup, disk_mb, image, is_spare=not is_urgent)
        cell.is_heir = left is not None
        return cell, theirs

    def _make_disk(self, name: str, uid: int, disk_mb: int) -> images.Image | None:
        """What is behind /tmp: an image, or where there are none (None), a folder."""
        image = self._images.make(disk_mb)
        if image is None:
            self._scratch.make(name, uid)
        else:
            self._upkeep.watch_disk()
        return image

    def _take_disk(self, name: str, left: LeftDisk) -> images.Image | None:
        """As `_make_disk`, with what another had there. Raises: OSError, with that erased."""
        if left.image is None:
            self._scratch.rename(left.folder, name)
            return None
        try:
            self._images.reopen(left.image)
        except OSError:
            left.image.release()
            raise
        return left.image

    def _may_be_bare(self, key: requests.RootKey) -> bool:
        """Whether its init need be no interpreter. Without a cgroup memory is that of the init and its children."""
        return not key.standby and "memory" in self._groups.controllers

    def _beginning(self, cell: Cell) -> dict[str, Any]:
        return {
            "uid": cell.uid,
            "disk_bytes": cell.disk_mb * 1024 * 1024,
            "is_urgent": not cell.is_spare,
            # Memory for speed, where there has been use for it: a node that runs nothing stays small.
            "rehearses": cell.is_spare and cell.root in self._wanted,
        }

    def _on_forked(self, cell: Cell, forked: Forked) -> None:
        if cell.stage is Stage.DEAD:  # given up meanwhile: nobody waits for this one
            kill_pidfd(forked.pidfd)
            os.close(forked.pidfd)
            return
        cell.pid, cell.pidfd, cell.runtime_pid = forked.pid, forked.pidfd, forked.runtime
        self._loop.watch(cell.pidfd, lambda: self._on_dead(cell))
        if cell.is_killed:
            kill_pidfd(cell.pidfd)
            return
        cell.stage = Stage.FORKED
        try:
            if not forked.is_grouped:
                for pid in filter(None, (forked.pid, forked.runtime)):
                    cell.cgroup.attach(pid)
            if forked.runtime is None:
                self._begin(cell)
            else:
                self._has_begun(cell)
        except (OSError, channel.ChannelError) as error:
            self._fail(cell, f"cgroup: {error}")

    def _has_begun(self, cell: Cell) -> None:
        """It knows already what it needs. The function follows at once, if it is known and nothing is to be done in
        between."""
        if cell.image is not None:
            cell.image.let_go_of_loop()
        if cell.request is not None and self._way_out is None:
            self._assign(cell, cell.request)
        elif cell.listener_fds:
            self._on_prepared(cell)

    def _begin(self, cell: Cell) -> None:
        """Tells the init what it needs before it has a function: its disk, and its groups, which it enters itself. The
        function with it, if that is known and nothing is to be done in between."""
        gates = cell.open_gates()
        try:
            fds = gates | cell.disk_fds()
            message = self._beginning(cell) | {"assignment": None}
            request = cell.request
            if request is not None and self._way_out is None and not cell.root.standby:
                message["assignment"] = self._assignment(cell, request, request.fd_names)
                fds |= dict(zip(request.fd_names, cell.request_fds, strict=True))
                cell.stage = Stage.ASSIGNED
            channel.send(cell.channel, message | {"fds": list(fds)}, list(fds.values()))
        finally:
            close_all(list(gates.values()))
            if cell.image is not None:
                cell.image.let_go_of_loop()

    def _on_prepared(self, cell: Cell) -> None:
        if cell.stage is Stage.DEAD:
            return
        cell.stage = Stage.PREPARED
        cell.has_disk()
        if self._way_out is not None:
            try:
                cell.link_fd = self._way_out.attach(cell.slot, cell.pid, cell.pidfd)
            except FileExistsError:  # its predecessor's goes with its namespace, which takes the kernel a moment
                self._loop.after(_LINK_PAUSE_S, lambda: self._on_prepared(cell))
                return
            except OSError as error:
                self._fail(cell, str(error))
                return
        if cell.request is not None:
            self._assign(cell, cell.request)
        else:
            self._prepared(cell)

    # Its function.

    def _assign(self, cell: Cell, request: requests.Spawn) -> None:
        try:
            disks = self._exchange_disk(cell, request.disk_mb)
            assignment = self._assignment(cell, request, [*request.fd_names, *disks])
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has just died, and that will be heard
                channel.send(cell.channel, assignment, [*cell.request_fds, *disks.values()])
        except (OSError, channel.ChannelError) as error:
            self._fail(cell, str(error))
            return
        cell.stage = Stage.ASSIGNED
        if cell.image is not None:
            cell.image.let_go_of_loop()

    def _assignment(self, cell: Cell, request: requests.Spawn, fd_names: Sequence[str]) -> dict[str, Any]:
        return {
            "code": request.code,
            "layers": request.layers,
            "network": self._network_of(cell, request),
            "scratch": None if cell.image is not None else cell.name,
            "uid": cell.uid,
            "environment": request.environment,
            "command": request.command,
            "extensions": request.extensions,
            "fds": list(fd_names),
        }

    def _network_of(self, cell: Cell, request: requests.Spawn) -> dict[str, str] | None:
        return None if self._way_out is None else self._way_out.network(cell.slot, has_egress=request.has_egress)

    def _exchange_disk(self, cell: Cell, disk_mb: int) -> dict[str, int]:
        """A prepared environment has a disk of the usual size; for another one the descriptors of another disk."""
        if cell.image is None or cell.image.size_mb == disk_mb:
            return {}
        image = self._images.make(disk_mb)
        if image is None:
            raise OSError(f"no disk of {disk_mb} MB for /tmp")
        cell.image.release()
        cell.image = image
        return cell.disk_fds()

    def _on_cell(self, cell: Cell) -> bool:
        """From the inside of an environment. After the start it is not to be trusted more than the function. False:
        there will be no more."""
        try:
            received = channel.receive(cell.channel)
        except (OSError, channel.ChannelError):
            received = None
        if received is None:
            self._loop.unwatch(cell.channel.fileno())
            if cell.runtime_pid is None:  # or else its end is told of by the spawner
                cell.kill(is_wanted=cell.pidfd < 0)
            return False
        message, fds = received
        event = message.get("event")
        if event == "prepared" and cell.stage is Stage.FORKED:
            first_pipe = len(fds) - message["pipes"]
            cell.listener_fds, cell.pipe_fds = fds[:first_pipe], fds[first_pipe:]
            self._on_prepared(cell)
        elif event == "prepared" and cell.stage in (Stage.FORKING, Stage.ASSIGNED) and not cell.listener_fds:
            cell.listener_fds = fds  # of an init that waits for nothing, and may be heard before its spawner
        elif event == "started" and cell.stage is Stage.ASSIGNED:
            cell.listener_fds += fds  # where they were not passed out before
            self._on_started(cell)
        else:
            close_all(fds)
            self._hear(cell, message)
        return True

    def _on_started(self, cell: Cell) -> None:
        cell.stage = Stage.STARTED
        cell.has_disk()
        close_all(cell.request_fds)
        cell.request_fds = []
        self._started(cell)
        if "memory" not in self._groups.controllers:
            self._upkeep.watch_memory(cell)

    def _on_runtime_ended(self, cell: Cell, ending: dict[str, Any]) -> None:
        """The init does not know of it. What it said before it ended counts first."""
        while cell.stage is not Stage.DEAD and cell.has_more() and self._on_cell(cell):
            pass
        if cell.stage is Stage.STARTED and cell.ending is None:
            cell.ending = ending
        cell.kill(is_wanted=False)

    def _hear(self, cell: Cell, message: dict[str, Any]) -> None:
        event = message.get("event")
        if event == "exit" and cell.ending is None:
            cell.ending = message
            cell.cgroup.unthrottle()  # the rest of it is being killed by the kernel
        elif event == "failed":
            cell.hear_failure(message)

    # Its end.

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
        lost = None
        if not was_started and not cell.is_killed and cell.was_unlucky():
            lost, cell.request = cell.request, None  # it died of something else than its function: another takes it
            lost_fds, cell.request_fds = cell.request_fds, []
            self._return_disk(cell, lost)
        cell.stage = Stage.DEAD
        cell.keeps_disk &= was_started
        if cell.pidfd >= 0:
            self._loop.unwatch(cell.pidfd)
        self._loop.unwatch(cell.channel.fileno())
        cell.close()
        if lost is not None:
            self._lost(lost, lost_fds)
        self._ended(cell, was_started)
        self._upkeep.remove(cell, self._forget)

    def _forget(self, cell: Cell) -> None:
        del self._cells[cell.name]
        if cell.keeps_disk and cell.request is not None and (cell.image is None or cell.image.is_detached()):
            self._left.keep(cell.request.id, cell.request, cell.slot, cell.image, cell.name)
        else:
            if cell.image is not None:
                cell.image.release()
            if cell.slot:
                self._free_slot(cell.slot)
        self._gone(cell)

    def _return_disk(self, cell: Cell, request: requests.Spawn | None) -> None:
        """An heir could not have its disk on the device that it was promised: the next will have it, with the uid."""
        if request is not None and request.predecessor is not None and cell.is_heir and cell.image is not None:
            self._left.keep(request.predecessor, request, cell.slot, cell.image, cell.name)
            cell.image, cell.slot = None, 0

    def _erase(self, left: LeftDisk) -> None:
        if left.image is None:
            self._upkeep.erase_folder(left.folder, lambda: self._free_slot(left.slot))
            return
        left.image.release()
        self._free_slot(left.slot)

    def _free_slot(self, slot: int) -> None:
        self._free_slots.insert(0, slot)  # the longest unused uid is given out next
