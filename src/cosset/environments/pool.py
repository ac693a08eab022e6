"""Keeps the execution environments of this node: idle ones newest first, a bound on all of them, an end for the old.

Refuses to know what a function is: a PoolKey says which environments may serve the same event. Knows no queue: when
the node is full and nothing is idle, the caller is told at once. Read next: invocation/dispatcher.py, who asks.
"""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from cosset.clock import Clock
from cosset.environments.api import Environment, EnvironmentSpec, EnvironmentState, LogSink, Tier
from cosset.environments.memory_budget import STARTING_MB, MemoryBudget

logger = logging.getLogger(__name__)


REST_S = 0.1
LEAVING_S = 2.0
"""How long one that has made room lives on, at most, while others start: they want the CPU more."""
MOST_LEAVING = 128
"""At once, and never more than may live."""


class PoolKey(NamedTuple):
    """Environments with equal keys are interchangeable. `revision` changes with code or configuration."""

    function_arn: str
    version: str
    revision: str


@dataclass(slots=True, eq=False)
class Resident:
    """One environment that lives here, with the sink its output goes to."""

    key: PoolKey
    environment: Environment
    sink: LogSink
    born_s: float
    idle_since_s: float = 0.0
    invocations: int = 0
    used_mb: int = STARTING_MB
    """At most, as far as is known."""
    is_provisioned: bool = False
    """Kept ready until it is retired, however long it idles and however full the node is."""
    is_retired: bool = False
    """Serves the event that it has, and no other."""


class PoolFullError(Exception):
    """Every environment that this node may have is busy or starting."""


@dataclass(slots=True)
class _Shelf:
    """The idle environments of one key, oldest left, newest right; provisioned ones apart, to be taken first."""

    idle: deque[Resident] = field(default_factory=deque)
    provisioned: deque[Resident] = field(default_factory=deque)

    @property
    def is_empty(self) -> bool:
        return not self.idle and not self.provisioned

    def of(self, resident: Resident) -> deque[Resident]:
        return self.provisioned if resident.is_provisioned else self.idle


class Pool:
    """All environments of one node.

    Args:
        max_environments: alive at once, starting ones included; at the bound the longest idle one makes room, and when
            none is idle `start` raises PoolFullError. One that makes room ends when nothing starts any more.
        idle_timeout_s: an idle environment older than this is shut down.
        max_age_s: an environment is not used beyond this age (its credentials would end).
        budget: of memory, for all of them: beyond it the longest idle makes room, as at the bound. None: no such bound.
    """

    def __init__(
        self,
        tier: Tier,
        clock: Clock,
        *,
        max_environments: int,
        idle_timeout_s: float,
        max_age_s: float = 6 * 3600,
        budget: MemoryBudget | None = None,
    ) -> None:
        self._tier = tier
        self._clock = clock
        self._max_environments = max_environments
        self.idle_timeout_s = idle_timeout_s
        self._max_age_s = max_age_s
        self._budget = budget
        self._shelves: dict[PoolKey, _Shelf] = {}
        self._revisions: dict[tuple[str, str], set[PoolKey]] = {}
        """Which of them are of one function and version."""
        self._idle: dict[Resident, None] = {}
        """Those that may make room, never the provisioned; the longest idle first."""
        self._alive: set[Resident] = set()
        self._starting = 0
        self._leaving: list[Resident] = []
        self._letting_go: asyncio.Task[None] | None = None
        self._endings: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def alive(self) -> int:
        """Environments alive or starting."""
        return len(self._alive) + self._starting

    @property
    def used_mb(self) -> int:
        """What all of them have used at most, together."""
        held = sum(resident.used_mb for resident in (*self._alive, *self._leaving))
        return held + self._starting * STARTING_MB

    @property
    def idle(self) -> int:
        return sum(len(shelf.idle) + len(shelf.provisioned) for shelf in self._shelves.values())

    @property
    def has_room(self) -> bool:
        """One more could be started now, if need be in the place of an idle one."""
        if self._closed:
            return False
        return not self._is_full() or self._longest_idle() is not None or self._is_memory_leaving

    def take(self, key: PoolKey) -> Resident | None:
        """The newest idle environment of `key`, a provisioned one where there is one, or None. Never waits."""
        shelf = self._shelves.get(key)
        while shelf is not None and not shelf.is_empty:
            resident = (shelf.provisioned or shelf.idle).pop()
            self._idle.pop(resident, None)
            self._remove_if_empty(key, shelf)
            if resident.environment.state is EnvironmentState.READY and not self.is_too_old(resident):
                return resident
            self.discard(resident)
        return None

    def is_too_old(self, resident: Resident, margin_s: float = 0.0) -> bool:
        """Its age is up, or will be in `margin_s`."""
        return self._clock.monotonic_s() - resident.born_s > self._max_age_s - margin_s

    def is_ready(self, resident: Resident) -> bool:
        """It idles here, and would serve the next event."""
        shelf = self._shelves.get(resident.key)
        idles = shelf is not None and resident in shelf.of(resident)
        return idles and resident.environment.state is EnvironmentState.READY

    def is_alive(self, resident: Resident) -> bool:
        """It idles or is busy, and will serve again."""
        return resident in self._alive and resident.environment.state is not EnvironmentState.SHUTDOWN

    async def start(
        self, key: PoolKey, spec: EnvironmentSpec, sink: LogSink, *, is_provisioned: bool = False
    ) -> Resident:
        """A new environment, Ready and taken.

        Raises: PoolFullError, InitError, TierUnavailableError.
        """
        while self._closed or self._is_full():
            if self._closed or not self._make_room():
                raise PoolFullError
        self._retire_older(key)
        self._starting += 1
        try:
            environment = await self._tier.start(spec, sink)
        finally:
            self._starting -= 1
        resident = Resident(key, environment, sink, self._clock.monotonic_s(), is_provisioned=is_provisioned)
        self._alive.add(resident)
        return resident

    def release(self, resident: Resident) -> None:
        """Gives a taken environment back; it serves the next event of its key."""
        if self._closed or resident.is_retired or resident.environment.state is not EnvironmentState.READY:
            self.discard(resident)
            return
        resident.idle_since_s = self._clock.monotonic_s()
        shelf = self._shelves.get(resident.key)
        if shelf is None:
            shelf = self._shelves[resident.key] = _Shelf()
            self._revisions.setdefault(resident.key[:2], set()).add(resident.key)
        shelf.of(resident).append(resident)
        if not resident.is_provisioned:
            self._idle[resident] = None

    def retire(self, resident: Resident) -> None:
        """Lets a provisioned environment go: at once when it idles, else when it has answered."""
        resident.is_retired = True
        shelf = self._shelves.get(resident.key)
        if shelf is not None and resident in shelf.of(resident):
            self._remove_idle(resident)
        elif resident.environment.state is EnvironmentState.SHUTDOWN:
            self.discard(resident)

    def discard(self, resident: Resident) -> None:
        """Lets an environment go; its shutdown runs in the background, and `close` waits for it."""
        if resident not in self._alive:
            return
        self._alive.discard(resident)
        self._end_soon(resident)

    def forget(self, environment_id: str) -> None:
        """None will be started in the place of this one, which a reset has ended."""
        self._tier.forget(environment_id)

    def sweep(self) -> None:
        """Lets environments go that have been idle too long, and under pressure those that have been so the longest.
        The server calls it every few seconds."""
        now_s = self._clock.monotonic_s()
        for resident in list(self._idle):
            gone = resident.environment.state is not EnvironmentState.READY
            if gone or now_s - resident.idle_since_s > self.idle_timeout_s:
                self._remove_idle(resident)
        missing_mb = 0 if self._budget is None else self._budget.missing_mb()
        while missing_mb > 0 and (oldest := self._longest_idle()) is not None:
            logger.warning("the host is short of memory: an idle environment of %s goes", oldest.key.function_arn)
            self._remove_idle(oldest)
            missing_mb -= oldest.used_mb

    async def close(self) -> None:
        """Ends every environment. Those still busy are ended too: drain first."""
        self._closed = True
        if self._letting_go is not None:
            self._letting_go.cancel()
        self._end_leaving()
        self._shelves.clear()
        self._revisions.clear()
        self._idle.clear()
        for resident in list(self._alive):
            self.discard(resident)
        if self._endings:
            await asyncio.gather(*self._endings)
        await self._tier.close()

    def _end_soon(self, resident: Resident) -> None:
        task = asyncio.get_running_loop().create_task(self._end(resident), name=f"end {resident.environment.spec.id}")
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    def _end_leaving(self) -> None:
        leaving, self._leaving = self._leaving, []
        for resident in leaving:
            self._end_soon(resident)

    async def _let_go(self) -> None:
        until_s = self._clock.monotonic_s() + LEAVING_S
        while self._leaving:
            await self._clock.sleep(REST_S)
            if not self._starting or self._clock.monotonic_s() >= until_s:
                self._end_leaving()
        self._letting_go = None

    async def _end(self, resident: Resident) -> None:
        try:
            await resident.environment.shutdown()
        except Exception:
            logger.exception("environment %s did not shut down cleanly", resident.environment.spec.id)

    def _remove_idle(self, resident: Resident) -> None:
        self._take_down(resident)
        self.discard(resident)

    def _take_down(self, resident: Resident) -> None:
        """From its shelf."""
        shelf = self._shelves[resident.key]
        shelf.of(resident).remove(resident)
        self._idle.pop(resident, None)
        self._remove_if_empty(resident.key, shelf)

    def _remove_if_empty(self, key: PoolKey, shelf: _Shelf) -> None:
        if not shelf.is_empty:
            return
        del self._shelves[key]
        keys = self._revisions[key[:2]]
        keys.discard(key)
        if not keys:
            del self._revisions[key[:2]]

    def _is_full(self) -> bool:
        if self.alive >= self._max_environments:
            return True
        if self._budget is None or not self.alive:
            return False
        return self.used_mb + STARTING_MB > self._budget.limit_mb

    @property
    def _is_memory_leaving(self) -> bool:
        """Memory is what is lacking, and some have it that only wait for their end."""
        return bool(self._leaving) and self.alive < self._max_environments

    def _longest_idle(self) -> Resident | None:
        return next(iter(self._idle), None)

    def _make_room(self) -> bool:
        if self._is_memory_leaving:
            self._end_leaving()
            return True
        oldest = self._longest_idle()
        if oldest is None:
            return False
        if self.alive < self._max_environments or len(self._leaving) >= min(MOST_LEAVING, self._max_environments):
            self._remove_idle(oldest)
            return True
        self._take_down(oldest)
        self._alive.discard(oldest)
        self._leaving.append(oldest)
        if self._letting_go is None:
            self._letting_go = asyncio.get_running_loop().create_task(self._let_go(), name="let environments go")
        return True

    def _retire_older(self, key: PoolKey) -> None:
        for other in self._revisions.get(key[:2], set()) - {key}:
            for resident in list(self._shelves[other].idle):
                self._remove_idle(resident)
