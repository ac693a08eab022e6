"""How many invocations may be under way at once: per account and region, and per function where it is reserved.

Counts what runs on this node. Refuses with AWS's throttling error, and never waits. Sources: the recorded scenarios
TestLambdaConcurrency::test_lambda_concurrency_block, ::test_reserved_concurrency, ::test_reserved_provisioned_overlap.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Protocol, TypeVar

from cosset.invocation.api import Target
from cosset.wire.errors import ServiceError

_Key = TypeVar("_Key")


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
        self._provisioned: Counter[tuple[str, str]] = Counter()
        self._reserved: Counter[str] = Counter()
        self._unreserved: Counter[tuple[str, str]] = Counter()
        self.under_way = 0

    @contextmanager
    def admit(self, target: Target) -> Iterator[bool]:
        """Holds one place for as long as the block runs; whether it is that of a provisioned environment.

        Raises: ThrottledError, when there is none.
        """
        leave, is_provisioned = self._enter(target)
        self.under_way += 1
        try:
            yield is_provisioned
        finally:
            self.under_way -= 1
            leave()

    def provisioned(self, target: Target) -> tuple[int, int]:
        """How many provisioned environments of the version are busy, of how many that are there."""
        arn, version = target.function_arn, target.version
        return self._provisioned[arn, version], self._warm.allocated(arn, version)

    def _enter(self, target: Target) -> tuple[Callable[[], None], bool]:
        arn = target.function_arn
        if target.provisioned_concurrency:
            version = (arn, target.version)
            if self._provisioned[version] < self._warm.allocated(arn, target.version):
                return _count(self._provisioned, version), True
        if target.reserved_concurrency is not None:
            if self._reserved[arn] >= target.reserved_concurrency - target.provisioned_concurrency:
                raise ThrottledError("ReservedFunctionConcurrentInvocationLimitExceeded")
            return _count(self._reserved, arn), False
        account = (target.account, target.region)
        if self._unreserved[account] >= self._limit - target.set_aside:
            raise ThrottledError("ConcurrentInvocationLimitExceeded")
        return _count(self._unreserved, account), False


def _count(counter: Counter[_Key], key: _Key) -> Callable[[], None]:
    """Counts up; what it returns counts down."""
    counter[key] += 1
    return partial(_leave, counter, key)


def _leave(counter: Counter[_Key], key: _Key) -> None:
    """Counts down, and forgets what stands at nothing: the table holds only what runs."""
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
