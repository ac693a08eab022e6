"""Looks now and then whether a bucket has lifecycle rules, and only then makes what carries them out."""

import logging
from collections.abc import Callable
from typing import Protocol

from sqlalchemy import select

from cosset.clock import Clock
from cosset.services.s3.tables import s3_bucket_settings
from cosset.store.database import Store

logger = logging.getLogger(__name__)

LOOK_S = 600.0
KIND = "lifecycle"


class Work(Protocol):
    async def run(self) -> int: ...


async def keep_lifecycle(store: Store, clock: Clock, make: Callable[[], Work]) -> None:
    """Runs until it is cancelled."""
    query = select(s3_bucket_settings.c.bucket).where(s3_bucket_settings.c.kind == KIND).limit(1)
    work: Work | None = None
    while True:
        try:
            if work is None and await store.read(lambda tx: tx.execute(query).first() is not None):
                work = make()
            if work is not None:
                await work.run()
        except Exception:
            logger.exception("Lifecycle rules could not be carried out; trying again in %d s", LOOK_S)
        await clock.sleep(LOOK_S)
