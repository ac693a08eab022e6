"""Up to where everything of a shard is done, while several batches of it are under way. Pure."""

from collections import deque
from collections.abc import Iterable


class _Entry:
    __slots__ = ("is_done", "position")

    def __init__(self, position: str) -> None:
        self.position = position
        self.is_done = False


class Frontier:
    """Positions are added in their order and done in any."""

    def __init__(self, reached: str) -> None:
        self.reached = reached
        """The last position behind which nothing is left to do."""
        self._waiting: deque[_Entry] = deque()
        self._entries: dict[str, _Entry] = {}

    @property
    def outstanding(self) -> int:
        return len(self._waiting)

    def add(self, position: str) -> None:
        entry = _Entry(position)
        self._waiting.append(entry)
        self._entries[position] = entry

    def done(self, positions: Iterable[str]) -> bool:
        """Whether `reached` has moved."""
        for position in positions:
            self._entries[position].is_done = True
        before = self.reached
        while self._waiting and self._waiting[0].is_done:
            self.reached = self._waiting.popleft().position
            del self._entries[self.reached]
        return self.reached != before
