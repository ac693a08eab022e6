"""What rests on the store is tested on both engines."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cosset.clock import Clock, SystemClock
from cosset.store.database import Store
from support.stores import OpenStore


@pytest.fixture(params=["sqlite", "postgresql"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    """`async with open_store() as store`: the same data again at each call within a test."""
    database = None
    if request.param == "postgresql":
        database = request.getfixturevalue("postgres").new_database()

    @asynccontextmanager
    async def opened(clock: Clock | None = None) -> AsyncIterator[Store]:
        store = await Store.open(data=tmp_path / "data", database=database, clock=clock or SystemClock())
        try:
            yield store
        finally:
            await store.close()

    return opened
