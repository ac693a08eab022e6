"""Disks that environments have left when they were reset, each for the one that is started in its place.

AWS resets an environment after a crash or a timeout and does not clear its /tmp. Whoever wrote to a disk that comes
here is dead, and nothing has it mounted any more. Its uid stays taken meanwhile: whoever gets the disk gets the uid,
and so owns what lies there. Bounded in number and in time; given to nobody of other code or with another size. Read
next: cells.py, which brings and takes them; docs/decisions/0052-what-a-reset-keeps.md.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from cosset.environments.launcher.images import Image
from cosset.environments.launcher.loop import Loop
from cosset.environments.launcher.requests import Spawn

MOST = 256
"""At once; beyond, the oldest is erased. No more resets are remembered by the server (invocation/resets.py)."""
_OF_ONE_ENVIRONMENT = ("AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME")
"""What stays the same over a reset: functions of the same code differ in these."""
KEPT_S = 300.0
"""How long at most, whatever the server says or does not say."""


@dataclass(frozen=True, slots=True)
class LeftDisk:
    """`name` is the id of the environment that had it, `slot` its place, which stands for its uid, `identity` whose it
    was. `image`: None: it is the folder of this name."""

    name: str
    slot: int
    identity: tuple[object, ...]
    image: Image | None
    folder: str
    since_s: float

    def used_bytes(self) -> int:
        return 0 if self.image is None else self.image.used_bytes()


def _identity(request: Spawn) -> tuple[object, ...]:
    """No two functions are to be mixed up, whatever the server says. Nothing else of it is kept: there are secrets."""
    variables = (request.environment.get(name) for name in _OF_ONE_ENVIRONMENT)
    return request.code, request.layers, request.disk_mb, *variables


class LeftDisks:
    """Of one launcher.

    Args:
        kept_s: how long each waits, at most KEPT_S.
        erase: called with a disk that nobody will have; it is then the callee's.
    """

    def __init__(
        self,
        loop: Loop,
        erase: Callable[[LeftDisk], None],
        *,
        kept_s: float = KEPT_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loop = loop
        self._erase = erase
        self._kept_s = min(kept_s, KEPT_S)
        self._now_s = now_s
        self._disks: dict[str, LeftDisk] = {}
        """By the id of the environment that had it, oldest first."""
        self._is_looking = False

    def __len__(self) -> int:
        return len(self._disks)

    def keep(self, name: str, request: Spawn, slot: int, image: Image | None, folder: str) -> None:
        """For the one that names `name` as its predecessor, and asks for the like of `request`."""
        self.forget(name)
        if len(self._disks) >= MOST:
            self.forget(next(iter(self._disks)))
        self._disks[name] = LeftDisk(name, slot, _identity(request), image, folder, self._now_s())
        self._look_later()

    def has(self, request: Spawn) -> bool:
        """A disk of this one's predecessor that is for it."""
        disk = self._disks.get(request.predecessor or "")
        return disk is not None and disk.identity == _identity(request)

    def take(self, request: Spawn) -> LeftDisk | None:
        return self._disks.pop(request.predecessor or "") if self.has(request) else None

    def forget(self, name: str) -> None:
        """Nobody will come for the disk that this environment has left, if it has left one."""
        disk = self._disks.pop(name, None)
        if disk is not None:
            self._erase(disk)

    def forget_largest(self) -> bool:
        """Others need the room. False: there is none."""
        if not self._disks:
            return False
        self.forget(max(self._disks.values(), key=LeftDisk.used_bytes).name)
        return True

    def forget_oldest(self) -> bool:
        """Others need its uid. False: there is none."""
        if not self._disks:
            return False
        self.forget(next(iter(self._disks)))
        return True

    def close(self) -> None:
        while self.forget_oldest():
            pass

    def _look_later(self) -> None:
        if self._disks and not self._is_looking:
            self._is_looking = True
            oldest = next(iter(self._disks.values()))
            self._loop.after(max(0.0, oldest.since_s + self._kept_s - self._now_s()), self._look)

    def _look(self) -> None:
        self._is_looking = False
        due_s = self._now_s() - self._kept_s
        for disk in [each for each in self._disks.values() if each.since_s <= due_s]:
            self.forget(disk.name)
        self._look_later()
