"""How many batches of one queue may be under way at once: AWS's scaling, by the clock alone.

It begins with five, grows by up to 300 a minute while there is more to do than room, falls back when there is nothing,
and shrinks while the function fails or is throttled. `MaximumConcurrency` caps it. Source: AWS Lambda developer guide,
"Configuring scaling behavior for SQS event source mappings" and "Backoff strategy for failed invocations".
"""

from cosset.clock import Clock

FIRST = 5
LEAST = 2
MOST = 1250
PER_MINUTE = 300
IDLE_S = 60.0


class Scaling:
    """The limit for one mapping, which follows what `saturated`, `idle`, `failed` and `succeeded` tell it."""

    def __init__(self, clock: Clock, maximum: int | None = None) -> None:
        self._clock = clock
        self._most = float(maximum or MOST)
        self._limit = min(float(FIRST), self._most)
        self._grown_s = clock.monotonic_s()
        self._busy_s = clock.monotonic_s()

    @property
    def limit(self) -> int:
        return max(1, int(self._limit))

    def saturated(self) -> None:
        """There was a batch to make and no room for it."""
        now_s = self._clock.monotonic_s()
        grown = (now_s - self._grown_s) * PER_MINUTE / 60
        self._limit = min(self._most, self._limit + max(0.0, grown))
        self._grown_s = self._busy_s = now_s

    def moved(self) -> None:
        """There was a batch, and room for it: growth is not saved up."""
        self._grown_s = self._busy_s = self._clock.monotonic_s()

    def idle(self) -> None:
        """A poll found nothing."""
        now_s = self._clock.monotonic_s()
        self._grown_s = now_s
        if now_s - self._busy_s >= IDLE_S:
            self._limit = min(self._limit, float(FIRST), self._most)

    def failed(self) -> None:
        """The function failed or was throttled."""
        self._limit = max(min(float(LEAST), self._most), self._limit * 0.75)

    def succeeded(self) -> None:
        """What was taken away by failures comes back, one at a time."""
        if self._limit < min(FIRST, self._most):
            self._limit += 1
