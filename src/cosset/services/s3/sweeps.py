"""Removes files that no row names: what an upload left that was killed, or a deletion that did not come to its files.

Runs beside calls, on every node that shares the folder: what is younger than an hour may still be on its way into a
row, so it stays. A folder that is one node's alone is swept at its start of all that was there before.
"""

import logging
from collections.abc import Collection, Sequence

from cosset.clock import Clock
from cosset.services.s3.file_book import find_named
from cosset.services.s3.object_files import ObjectFiles
from cosset.store.database import Store
from cosset.store.errors import StoreError

SWEEP_EVERY_S = 3_600
_YOUNG_S = 3_600
_TICK_S = 0.05
"""How far behind the clock a file's time may be."""

logger = logging.getLogger(__name__)


class Sweeps:
    def __init__(self, store: Store, files: ObjectFiles, clock: Clock) -> None:
        self._store = store
        self._files = files
        self._clock = clock

    async def sweep(self, *, spares_young: bool = True) -> int:
        """How many files went. Not `spares_young`: nobody else writes here, so all that is older goes."""
        older_than_s = self._clock.now_ms() / 1000 - (_YOUNG_S if spares_young else _TICK_S)
        return await self._files.sweep(self._named, older_than_s)

    async def serve(self) -> None:
        """Until it is cancelled. What goes wrong with one sweep is left to the next."""
        spares_young = self._store.shared
        while True:
            try:
                gone = await self.sweep(spares_young=spares_young)
            except (OSError, StoreError):
                logger.exception("Files of objects could not be swept")
            else:
                if gone:
                    logger.info("Removed %d files that no object names", gone)
            spares_young = True
            await self._clock.sleep(SWEEP_EVERY_S)

    async def _named(self, names: Sequence[str]) -> Collection[str]:
        return await self._store.read(lambda tx: find_named(tx, names))
