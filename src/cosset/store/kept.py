"""What was read of the store, from memory until it changes.

The one trap is what is read while something changes: it goes to whoever asked, and is not kept, since it may be of
before. Refuses to say what is stale: who keeps names the topic on which changes are announced. Next: changes.py.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from cosset.store.changes import EVERYTHING
from cosset.store.database import Store

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kept(Generic[K, V]):
    """Answers by key, `limit` of them: the one asked for longest ago makes room. For the event loop's thread only.

    None, what is not there, is not kept, nor is what `read` raises: strangers may ask for any number of names.
    """

    def __init__(self, read: Callable[[K], Awaitable[V]], limit: int) -> None:
        self._read = read
        self._limit = limit
        self._answers: OrderedDict[K, V] = OrderedDict()
        self._changes = 0

    def follow(self, store: Store, topic: str, is_meant: Callable[[str, K, V], bool] | None = None) -> None:
        """Forgets what `is_meant` by a change, given what was announced, a key and its answer; everything without."""

        def changed(announced: str) -> None:
            self._changes += 1
            if is_meant is None or announced == EVERYTHING:
                self._answers.clear()
                return
            for key in [key for key, answer in self._answers.items() if is_meant(announced, key, answer)]:
                del self._answers[key]

        store.on_change(topic, changed)

    async def get(self, key: K) -> V:
        """The answer for `key`, from memory or read. Raises what `read` does."""
        found = self._answers.get(key)
        if found is not None:
            self._answers.move_to_end(key)
            return found
        before = self._changes
        found = await self._read(key)
        if found is not None and before == self._changes:
            self._answers[key] = found
            if len(self._answers) > self._limit:
                self._answers.popitem(last=False)
        return found


class KeptWhole(Generic[V]):
    """As `Kept`, for one answer about everything. `known` is it, where it is in memory; never None otherwise."""

    def __init__(self, read: Callable[[], Awaitable[V]]) -> None:
        self._read = read
        self._changes = 0
        self.known: V | None = None

    def follow(self, store: Store, topic: str) -> None:
        """Forgets it at every change."""
        store.on_change(topic, self._changed)

    async def get(self) -> V:
        if self.known is not None:
            return self.known
        before = self._changes
        found = await self._read()
        if before == self._changes:
            self.known = found
        return found

    def _changed(self, _announced: str) -> None:
        self._changes += 1
        self.known = None
