"""How many invocations may be under way at once: per account and region, and per function where it is reserved.

Counts what runs on this node. Refuses with AWS's throttling error, and never waits. Sources: the recorded scenarios
TestLambdaConcurrency::test_lambda_concurrency_block, ::test_reserved_concurrency, ::test_reserved_provisioned_overlap.
"""

from collections import Counter
from types import TracebackType
from typing import Protocol, Self

from cosset.invocation.api import Target
from cosset.wire.errors import ServiceError

Key = tuple[str, ...]


class ThrottledError(ServiceError):
    """TooManyRequestsException with the reason that AWS names."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "TooManyRequestsException", "Rate Exceeded.", status=429, fields={"Reason": reason, "Type": "User"}
        )


class Warm(Protocol):
    """Knows what is kept ready for events to come (provisioning.py)."""

    def allocated(self, function_arn: str, version: str) -> int:
        """How many provisioned environments of the version live here."""
        ...


class NothingWarm:
    """Nothing is provisioned."""

    def allocated(self, function_arn: str, version: str) -> int:
        return 0


class Place:
    """What one invocation counts in, for as long as it runs. Left once, by `leave` or at the end of a `with` block.

    `is_provisioned`: it is that of a provisioned environment.
    """

    __slots__ = ("_held", "is_provisioned")

    def __init__(self) -> None:
        self._held: list[tuple[Counter[Key], Key]] = []
        self.is_provisioned = False

    def hold(self, counter: Counter[Key], key: Key) -> int:
        """Counts up, until the place is left: what the counter stands at now."""
        counter[key] += 1
        self._held.append((counter, key))
        return counter[key]

    def leave(self) -> None:
        """Counts down, and forgets what stands at nothing: the counters hold only what runs."""
        held, self._held = self._held, []
        for counter, key in held:
            counter[key] -= 1
            if not counter[key]:
                del counter[key]

    def move(self) -> "Place":
        """To another holder; there is nothing left here to leave."""
        moved = Place()
        moved._held, self._held = self._held, []
        moved.is_provisioned = self.is_provisioned
        return moved

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()


class Admission:
    """Concurrency, counted by entering and leaving.

    An event takes the place of a provisioned environment of its version where one is free. Else it runs on demand:
    within what its function has reserved and not provisioned, or within what the account has left for all others.

    Args:
        limit: invocations under way at once in one account and region.
    """

    def __init__(self, limit: int, warm: Warm | None = None) -> None:
        self._limit = limit
        self._warm = warm or NothingWarm()
        self._provisioned: Counter[Key] = Counter()
        self._reserved: Counter[Key] = Counter()
        self._unreserved: Counter[Key] = Counter()
        self._all: Counter[Key] = Counter()

    @property
    def under_way(self) -> int:
        return self._all[()]

    def admit(self, target: Target) -> Place:
        """A place, which the caller leaves.

        Raises: ThrottledError, when there is none.
        """
        place = Place()
        self._enter(target, place)
        place.hold(self._all, ())
        return place

    def provisioned(self, target: Target) -> tuple[int, int]:
        """How many provisioned environments of the version are busy, of how many that are there."""
        arn, version = target.function_arn, target.version
        return self._provisioned[arn, version], self._warm.allocated(arn, version)

    def _enter(self, target: Target, place: Place) -> None:
        arn = target.function_arn
        if target.provisioned_concurrency:
            version = (arn, target.version)
            if self._provisioned[version] < self._warm.allocated(arn, target.version):
                place.hold(self._provisioned, version)
                place.is_provisioned = True
                return
        if target.reserved_concurrency is not None:
            if self._reserved[arn,] >= target.reserved_concurrency - target.provisioned_concurrency:
                raise ThrottledError("ReservedFunctionConcurrentInvocationLimitExceeded")
            place.hold(self._reserved, (arn,))
            return
        account = (target.account, target.region)
        if self._unreserved[account] >= self._limit - target.set_aside:
            raise ThrottledError("ConcurrentInvocationLimitExceeded")
        place.hold(self._unreserved, account)
