"""Who hears of log events in tests."""

from collections.abc import Sequence
from typing import Any


class Unfollowed:
    """No group has a filter, and no function lets logs in."""

    async def follow(self, batch: Sequence[Any], firsts: Sequence[int]) -> None:
        assert len(batch) == len(firsts)

    async def lets_in(self, asked: Any) -> bool:
        return False
