"""How many invocations may be under way at once: per account and region, and per function where it is reserved.

Counts what runs on this node. Refuses with AWS's throttling error, and never waits. Source of the sentences: the
recorded scenarios TestLambdaConcurrency::test_lambda_concurrency_block and ::test_reserved_concurrency.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from cosset.invocation.api import Target
from cosset.wire.errors import ServiceError

_Key = TypeVar("_Key")


class ThrottledError(ServiceError):
    """TooManyRequestsException with the reason that AWS names."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "TooManyRequestsException", "Rate Exceeded.", status=429, fields={"Reason": reason, "Type": "User"}
        )


class Admission:
    """Concurrency, counted by entering and leaving.

    Args:
        limit: invocations under way at once in one account and region.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._of_account: Counter[tuple[str, str]] = Counter()
        self._of_function: Counter[str] = Counter()

    @property
    def under_way(self) -> int:
        return sum(self._of_account.values())

    @contextmanager
    def admit(self, target: Target) -> Iterator[None]:
        """Holds one place for as long as the block runs.

        Raises: ThrottledError, when there is none.
        """
        account = (target.account, target.region)
        reserved = target.reserved_concurrency
        if reserved is not None and self._of_function[target.arn] >= reserved:
            raise ThrottledError("ReservedFunctionConcurrentInvocationLimitExceeded")
        if self._of_account[account] >= self._limit:
            raise ThrottledError("ConcurrentInvocationLimitExceeded")
        self._of_account[account] += 1
        self._of_function[target.arn] += 1
        try:
            yield
        finally:
            _leave(self._of_account, account)
            _leave(self._of_function, target.arn)


def _leave(counter: Counter[_Key], key: _Key) -> None:
    """Counts down, and forgets what stands at nothing: the table holds only what runs."""
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
