"""A bounded memory of answers that the change feed empties. An answer that was read before a change is not kept."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class ChangeCache(Generic[K, V]):
    """At its limit the answer that was asked for longest ago makes room. For the event loop's thread only."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._answers: OrderedDict[K, V] = OrderedDict()
        self._generation = 0

    def drop(self) -> None:
        """Forgets everything, and whatever is being read at this moment."""
        self._answers.clear()
        self._generation += 1

    async def get(self, key: K, read: Callable[[], Awaitable[V]]) -> V:
        """The answer for `key`, from memory or from `read`. What `read` raises is not remembered."""
        if key in self._answers:
            self._answers.move_to_end(key)
            return self._answers[key]
        generation = self._generation
        answer = await read()
        if generation == self._generation:
            self._answers[key] = answer
            while len(self._answers) > self._limit:
                self._answers.popitem(last=False)
        return answer
