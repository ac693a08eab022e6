"""Waiting for the first of several things, with nothing left running behind."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Signal:
    """Set by what has happened, taken by who waited for it."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        """Returns at once when it was set since the last time."""
        await self._event.wait()
        self._event.clear()


async def first_of(*waits: Coroutine[Any, Any, Any]) -> None:
    """Returns when one of them has; the others are cancelled. What one of them raises comes out."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
