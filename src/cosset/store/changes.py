"""The change feed: who wants to hear of what, and telling them, on the event loop. Next: `Store.on_change`."""

import logging
from collections.abc import Callable, Iterable

logger = logging.getLogger(__name__)

Follower = Callable[[], None]

EVERYTHING = "*"
"""The key that callbacks get when changes of their topic may have been missed: trust nothing that was kept."""

Callback = Callable[[str], None]


class ChangeFeed:
    """Callbacks by topic. They are short, do no I/O, and run in the order in which they were registered."""

    def __init__(self) -> None:
        self._callbacks: dict[str, list[Callback]] = {}

    def on_change(self, topic: str, callback: Callback) -> None:
        self._callbacks.setdefault(topic, []).append(callback)

    def off_change(self, topic: str, callback: Callback) -> None:
        callbacks = self._callbacks.get(topic, [])
        if callback in callbacks:
            callbacks.remove(callback)
        if not callbacks:
            self._callbacks.pop(topic, None)

    def deliver(self, announcements: Iterable[tuple[str, str]]) -> None:
        """Tells everyone, once for each (topic, key). A callback that raises is logged and stops nobody else."""
        for topic, key in dict.fromkeys(announcements):
            for callback in tuple(self._callbacks.get(topic, ())):
                try:
                    callback(key)
                except Exception:
                    logger.exception("a callback for changes of %s failed on %s", topic, key)

    def settle(self, announcements: Iterable[tuple[str, str]], followers: Iterable[Follower]) -> None:
        """What comes of a transaction that has committed here: everyone is told, and then what follows from it runs."""
        self.deliver(announcements)
        for follower in followers:
            try:
                follower()
            except Exception:
                logger.exception("what should have followed from a transaction failed")

    def deliver_everything(self) -> None:
        """Something may have been missed: says so for every topic."""
        self.deliver([(topic, EVERYTHING) for topic in self._callbacks])
