"""S3's rooms over a real store of either engine."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

import cosset.services.s3.tables  # noqa: F401 - its tables are made with the store
from cosset.clock import SystemClock
from cosset.store.database import Store
from support.postgres import PostgresServer, running_postgres

OpenStore = Callable[[], AbstractAsyncContextManager[Store]]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    database = None
    if request.param == "postgresql":
        database = request.getfixturevalue("postgres").new_database()

    @asynccontextmanager
    async def opened() -> AsyncIterator[Store]:
        store = await Store.open(data=tmp_path / "data", database=database, clock=SystemClock())
        try:
            yield store
        finally:
            await store.close()

    return opened
