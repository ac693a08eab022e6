"""What a function's owner has set about its asynchronous invocations, as this room needs it; functions/ keeps it."""

from dataclasses import dataclass
from typing import Protocol

MAX_RETRIES = 2
MAX_AGE_S = 6 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncPolicy:
    """How one function, version or alias treats its events. The defaults are AWS's.

    `on_success` and `on_failure` are ARNs of destinations, `dead_letter` that of the function's dead-letter queue.
    `is_switched_off`: its reserved concurrency is zero, so that its events end without having run. `role`: as whom
    records are delivered.
    """

    max_retries: int = MAX_RETRIES
    max_age_s: int = MAX_AGE_S
    on_success: str | None = None
    on_failure: str | None = None
    dead_letter: str | None = None
    is_switched_off: bool = False
    role: str = ""


class AsyncPolicies(Protocol):
    """functions/ implements this."""

    async def async_policy(self, account: str, region: str, name: str, qualifier: str | None) -> AsyncPolicy:
        """What holds now; the defaults for a function that is not there."""
        ...
