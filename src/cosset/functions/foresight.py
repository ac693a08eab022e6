"""Looks up what the first call of a function will ask for, as soon as the function is at rest.

What is found is kept where it would be kept anyway, and dropped when it changes: a call that comes sooner, or on
another node, looks for itself. Nothing of the function runs here. Read next: function_book.py, what is kept.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from cosset.functions.model import FunctionKey
from cosset.invocation.api import Target

logger = logging.getLogger(__name__)

MAX_WAITING = 1_000
"""Functions to be looked up; beyond, those that have waited longest are not."""

Look = Callable[[Target], Awaitable[object]]


class Foresight:
    """One function after another, in a task of its own while there are any."""

    def __init__(self, find: Callable[[FunctionKey], Awaitable[Target | None]]) -> None:
        self._find = find
        self._looks: list[Look] = []
        self._waiting: OrderedDict[FunctionKey, None] = OrderedDict()
        self._task: asyncio.Task[None] | None = None

    def add(self, look: Look) -> None:
        """Called with each function from here on."""
        self._looks.append(look)

    def note(self, key: FunctionKey) -> None:
        """It has come to rest."""
        self._waiting[key] = None
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popitem(last=False)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="foresight")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            while self._waiting:
                key, _ = self._waiting.popitem(last=False)
                try:
                    if (target := await self._find(key)) is not None:
                        for look in self._looks:
                            await look(target)
                except Exception:  # the boundary of this task: the first call meets it again, and says so
                    logger.info("%s is not looked up ahead", key.arn, exc_info=True)
        finally:
            self._task = None
