"""An IAM directory over a store of its own, for tests that need keys and roles."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from cosset.identity.principal import Credentials
from cosset.services.iam.directory import IamDirectory
from cosset.store.database import Store
from support.clock import ManualClock


@dataclass
class Iam:
    store: Store
    clock: ManualClock
    directory: IamDirectory
    administrator: Credentials


@asynccontextmanager
async def open_iam(folder: Path, *, dev: bool = False) -> AsyncIterator[Iam]:
    clock = ManualClock()
    store = await Store.open(data=folder, database=None, clock=clock, min_free_mb=0)
    try:
        directory = IamDirectory(store, clock, dev=dev)
        credentials = await directory.ensure_first_start()
        assert credentials is not None
        yield Iam(store, clock, directory, credentials)
    finally:
        await store.close()
