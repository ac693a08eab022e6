"""Stores of either engine, for tests of what rests on them."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from cosset.store.database import Store

OpenStore = Callable[..., AbstractAsyncContextManager[Store]]
"""What the fixture `open_store` gives (tests/unit/conftest.py)."""
