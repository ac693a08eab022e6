"""What only the host's console may do with the keys: by the data folder itself, never over the network.

Who may open the database and read the root key may do it. With SQLite the server must be stopped, since it has the
folder for itself. Everything is one transaction, or is ended by the next start (`store/sealing.py`).
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from cosset.assembly.tables import EVERY_TABLE
from cosset.clock import SystemClock
from cosset.identity.principal import Credentials
from cosset.services.iam.first_start import draw_seed, forget_session_secret
from cosset.services.iam.recovery import recover_administrator
from cosset.settings import Settings
from cosset.store.database import Store
from cosset.store.errors import StoreError


@dataclass(frozen=True, slots=True)
class Recovered:
    """`lost`: how many secrets went with a root key that is lost."""

    account: str
    key: Credentials
    lost: int


async def rotate(settings: Settings, *, sessions: bool) -> int:
    """A new root key; how many secrets were sealed under it. With `sessions` those that are out end too.

    Raises: StoreError.
    """
    async with _opened(settings) as store:
        if sessions:
            await store.write(forget_session_secret)
        return await store.rotate_root_key()


async def recover(settings: Settings, account: str | None, *, is_root_key_lost: bool) -> Recovered:
    """A new key for an account's administrator, and none but that. Raises: StoreError."""
    seed, now_ms = draw_seed(secrets.token_bytes, dev=False), SystemClock().now_ms()
    async with _opened(settings, is_root_key_lost=is_root_key_lost) as store:
        found, key = await store.write(lambda tx: recover_administrator(tx, account, seed, now_ms))
        return Recovered(found, key, store.lost)


@asynccontextmanager
async def _opened(settings: Settings, *, is_root_key_lost: bool = False) -> AsyncIterator[Store]:
    assert settings.data is not None
    assert EVERY_TABLE
    assert EVERY_TABLE
    if settings.database is None and not (settings.data / "cosset.db").exists():
        raise StoreError(f"There is no database in {settings.data}: has a server run there?")
    store = await Store.open(
        data=settings.data,
        database=settings.database,
        clock=SystemClock(),
        key_file=settings.key_file,
        is_key_lost=is_root_key_lost,
    )
    try:
        yield store
    finally:
        await store.close()
