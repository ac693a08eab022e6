"""Keeps provisioned environments: started before any event comes, kept ready, replaced when they end or grow old.

What is wanted is the ProvisionSource's to say (functions/ keeps it); this makes it so on this node, again after each
change, each restart, and every few seconds. A provision whose function does not initialize is FAILED, until somebody
changes it. Refuses to decide who gets such an environment: admission.py counts, the pool hands out. Read next:
starting.py, docs/decisions/0023-provisioned-concurrency.md.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from cosset.clock import Clock
from cosset.environments.api import InitError
from cosset.environments.pool import Pool, Resident
from cosset.invocation.admission import ThrottledError
from cosset.invocation.api import Target
from cosset.invocation.starting import PROVISIONED, Starter, key_of
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)

SETTLE_S = 0.5
"""How long a new provision shows as IN_PROGRESS with nothing allocated, as clients' waiters see it on AWS."""
STARTS_AT_ONCE = 4
"""More would take the processors from the events under way."""
RENEW_S = 600
"""An environment is replaced this long before its age is up."""
INIT_FAILURE = "FUNCTION_ERROR_INIT_FAILURE"


class ProvisionStatus(Enum):
    IN_PROGRESS = "IN_PROGRESS"
    READY = "READY"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Share:
    """How many environments of one version a provision wants: an alias with weights wants some of each."""

    target: Target
    count: int


@dataclass(frozen=True, slots=True)
class Provision:
    """What one version or alias wants. `owner` is its ARN; `stamp` changes whenever somebody asked anew, or the alias
    moved."""

    owner: str
    stamp: str
    shares: tuple[Share, ...]

    @property
    def requested(self) -> int:
        return sum(share.count for share in self.shares)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a provision has come. `available`: allocated, and without an event now."""

    status: ProvisionStatus = ProvisionStatus.IN_PROGRESS
    allocated: int = 0
    available: int = 0
    reason: str | None = None


class ProvisionSource(Protocol):
    """functions/ implements this."""

    async def provisions(self) -> Sequence[Provision]:
        """All of this installation."""
        ...


@dataclass(slots=True, eq=False)
class _Holding:
    """One provision and the environments that it has here."""

    provision: Provision
    residents: list[Resident] = field(default_factory=list)
    is_ready: bool = False
    failure: str | None = None
    work: asyncio.Task[None] | None = None


class Provisioner:
    """The provisioned environments of one node; an admission.Warm.

    `max_environments` is the pool's: a provision that asks for more fails.
    """

    def __init__(
        self, source: ProvisionSource, pool: Pool, starter: Starter, clock: Clock, *, max_environments: int
    ) -> None:
        self._source = source
        self._pool = pool
        self._starter = starter
        self._clock = clock
        self._max_environments = max_environments
        self._holdings: dict[str, _Holding] = {}
        self._allocated: Counter[tuple[str, str]] = Counter()
        self._starts = asyncio.Semaphore(STARTS_AT_ONCE)
        self._changed = asyncio.Event()

    def allocated(self, function_arn: str, version: str) -> int:
        return self._allocated[function_arn, version] if self._allocated else 0

    def progress(self, owner: str, stamp: str) -> Progress:
        """Of the provision as it was asked for at `stamp`."""
        holding = self._holdings.get(owner)
        if holding is None:
            return Progress()
        allocated = sum(1 for each in holding.residents if self._pool.is_alive(each))
        available = sum(1 for each in holding.residents if self._pool.is_ready(each))
        if holding.provision.stamp != stamp:
            return Progress(ProvisionStatus.IN_PROGRESS, allocated, available)
        if holding.failure is not None:
            return Progress(ProvisionStatus.FAILED, allocated, available, holding.failure)
        status = ProvisionStatus.READY if holding.is_ready else ProvisionStatus.IN_PROGRESS
        return Progress(status, allocated, available)

    def note_change(self) -> None:
        """Something about functions has changed: `serve` will look."""
        self._changed.set()

    async def serve(self, every: Callable[[], Awaitable[None]]) -> None:
        """Runs until it is cancelled. `every` returns when it is time to look whether all are still there."""
        self._changed.set()
        while True:
            if self._changed.is_set() or self._holdings:  # a node without provisions asks the store for nothing
                self._changed.clear()
                try:
                    await self.reconcile()
                except ServiceError as error:  # a store that does not answer now will
                    logger.warning("provisioned concurrency stays as it is for now: %s", error)
                    self._changed.set()
                    await every()
                    continue
            waiting = [asyncio.ensure_future(every()), asyncio.ensure_future(self._changed.wait())]
            try:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in waiting:
                    each.cancel()

    async def close(self) -> None:
        """Starts nothing more. The environments are the pool's to end."""
        working = [holding.work for holding in self._holdings.values() if holding.work is not None]
        for work in working:
            work.cancel()
        await asyncio.gather(*working, return_exceptions=True)

    async def reconcile(self) -> None:
        """Takes up what is wanted now, lets go of what is not, and sets to work on what is missing."""
        wanted = {provision.owner: provision for provision in await self._source.provisions()}
        for owner in self._holdings.keys() - wanted.keys():
            self._drop(self._holdings.pop(owner))
        for owner, provision in wanted.items():
            holding = self._holdings.get(owner)
            if holding is None:
                holding = self._holdings[owner] = _Holding(provision)
                self._begin(holding, SETTLE_S)
            elif holding.provision.stamp != provision.stamp:
                holding.provision, holding.is_ready, holding.failure = provision, False, None
                self._begin(holding, SETTLE_S)
            elif holding.failure is None and (holding.work is None or holding.work.done()):
                holding.provision = provision  # the same wish; its targets may have new settings
                self._begin(holding, 0.0)
        self._count()

    def _begin(self, holding: _Holding, delay_s: float) -> None:
        if holding.work is not None:
            holding.work.cancel()
        if delay_s == 0.0 and self._is_settled(holding):
            return
        owner = holding.provision.owner
        holding.work = asyncio.create_task(self._work(holding, delay_s), name=f"provision {owner}")

    def _is_settled(self, holding: _Holding) -> bool:
        kept = Counter(each.key for each in holding.residents if not self._is_spent(each))
        wanted = Counter({key_of(share.target): share.count for share in holding.provision.shares})
        return holding.is_ready and kept == wanted and len(holding.residents) == holding.provision.requested

    async def _work(self, holding: _Holding, delay_s: float) -> None:
        """The task boundary of one provision."""
        if delay_s:
            await self._clock.sleep(delay_s)
        provision = holding.provision
        try:
            if provision.requested > self._max_environments:
                raise _ProvisionFailedError(f"A node has at most {self._max_environments} environments")
            self._release_unwanted(holding)
            await self._fill(holding)
            holding.is_ready = True
        except _ProvisionFailedError as failed:
            holding.failure = failed.reason
            self._drop(holding)
        except ServiceError as error:  # the node is full, or the platform fails: the next look tries again
            logger.warning("%s has not all of its provisioned concurrency yet: %s", provision.owner, error)
        except Exception:
            logger.exception("provisioning %s failed; the next look tries again", provision.owner)
        finally:
            self._count()

    async def _fill(self, holding: _Holding) -> None:
        """Starts what is missing, and only then lets go of what is spent. One that fails ends the starts of all."""
        spent = [each for each in holding.residents if self._is_spent(each)]
        kept = Counter(each.key for each in holding.residents if each not in spent)
        missing = [
            share.target for share in holding.provision.shares for _ in range(share.count - kept[key_of(share.target)])
        ]
        starts = [asyncio.create_task(self._start(holding, target)) for target in missing]
        try:
            await asyncio.gather(*starts)
        finally:
            for start in starts:
                start.cancel()
            await asyncio.gather(*starts, return_exceptions=True)
        for resident in spent:
            self._let_go(holding, resident)

    async def _start(self, holding: _Holding, target: Target) -> None:
        """Raises: _ProvisionFailedError, ServiceError."""
        async with self._starts:
            if not self._pool.has_room:
                raise ThrottledError("ConcurrentInvocationLimitExceeded")
            planned = await self._starter.plan(target, PROVISIONED)
            try:
                resident = await self._starter.make(planned)
            except InitError as error:
                planned.lines.failed(error, "init")
                raise _ProvisionFailedError(INIT_FAILURE) from error
        holding.residents.append(resident)
        self._pool.release(resident)
        self._count()

    def _is_spent(self, resident: Resident) -> bool:
        return not self._pool.is_alive(resident) or self._pool.is_too_old(resident, RENEW_S)

    def _release_unwanted(self, holding: _Holding) -> None:
        """Those that have ended, those of versions that the alias has left, and those that are too many."""
        wanted = {key_of(share.target): share.count for share in holding.provision.shares}
        for resident in list(holding.residents):
            if not self._pool.is_alive(resident):
                self._let_go(holding, resident)
                continue
            wanted[resident.key] = wanted.get(resident.key, 0) - 1
            if wanted[resident.key] < 0:
                self._let_go(holding, resident)

    def _drop(self, holding: _Holding) -> None:
        if holding.work is not None and holding.work is not asyncio.current_task():
            holding.work.cancel()
        for resident in list(holding.residents):
            self._let_go(holding, resident)

    def _let_go(self, holding: _Holding, resident: Resident) -> None:
        holding.residents.remove(resident)
        self._pool.retire(resident)

    def _count(self) -> None:
        self._allocated = Counter(
            (resident.key.function_arn, resident.key.version)
            for holding in self._holdings.values()
            for resident in holding.residents
            if self._pool.is_alive(resident)
        )


class _ProvisionFailedError(Exception):
    """What is wanted cannot be, until it is changed."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
