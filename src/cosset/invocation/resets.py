"""Environments that a crash, a timeout or the memory limit has ended, and that the next event brings back.

AWS resets such an environment and initializes it again as part of the next invocation, in the same log stream, without
INIT_START and without an Init Duration (a *suppressed init*). Here the processes are new ones; what the environment is
called, where it writes and what is in its /tmp stay (docs/decisions/0052-what-a-reset-keeps.md). Nothing is lost with
this memory but that. Read next: execution.py.
Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from cosset.clock import Clock
from cosset.environments.api import RESET_KEPT_S
from cosset.environments.pool import PoolKey
from cosset.invocation.starting import SESSION_S, Planned

MAX_RESETS = 256
"""Remembered at once; beyond, the oldest begin anew."""
KEPT_S = RESET_KEPT_S
"""How long an environment waits for its next event, as an idle one does."""


@dataclass(frozen=True, slots=True)
class _Reset:
    planned: Planned
    since_s: float


class Resets:
    """Of one node; by what may serve the same events, so that a change of the function forgets them.

    Args:
        forget: called with the id of an environment that will not come back: what it has left may go.
        kept_s: how long an environment waits for its next event, at most KEPT_S.
    """

    def __init__(self, clock: Clock, forget: Callable[[str], None], kept_s: float = KEPT_S) -> None:
        self._clock = clock
        self._kept_s = min(kept_s, KEPT_S)
        self._forget = forget
        self._by_key: OrderedDict[PoolKey, deque[_Reset]] = OrderedDict()
        self._count = 0

    def add(self, planned: Planned) -> None:
        """The environment has just ended."""
        if self._count >= MAX_RESETS:
            self._forget(self._remove(next(iter(self._by_key))).planned.spec.id)
        self._by_key.setdefault(planned.key, deque()).append(_Reset(planned, self._clock.monotonic_s()))
        self._count += 1

    def take(self, key: PoolKey) -> Planned | None:
        """The latest one, whose credentials still hold for another; None: there is none."""
        while key in self._by_key:
            reset = self._remove(key)
            is_fresh = self._clock.monotonic_s() - reset.since_s <= self._kept_s
            if is_fresh and _left_s(reset.planned, self._clock) > SESSION_S / 2:
                return reset.planned
            self._forget(reset.planned.spec.id)
        if self._by_key:
            self._forget_older(key)
        return None

    def _forget_older(self, key: PoolKey) -> None:
        """Of the function as it was before."""
        for other in [each for each in self._by_key if each[:2] == key[:2]]:
            for reset in self._by_key.pop(other):
                self._count -= 1
                self._forget(reset.planned.spec.id)

    def _remove(self, key: PoolKey) -> _Reset:
        resets = self._by_key[key]
        reset = resets.pop()
        self._count -= 1
        if not resets:
            del self._by_key[key]
        return reset


def _left_s(planned: Planned, clock: Clock) -> float:
    expires_ms = planned.spec.credentials.expires_at_ms
    return float("inf") if not expires_ms else (expires_ms - clock.now_ms()) / 1000
