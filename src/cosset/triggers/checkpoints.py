"""How far each shard has been read for a mapping: what is behind a checkpoint has been done with, durably.

A checkpoint moves in the transaction that commits what its records' end owes to an on-failure destination, and never
before the function is done with all that lies behind it: a kill repeats records, and loses none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import insert, select, update

from cosset.invocation.deliveries import Deliveries
from cosset.invocation.destinations import Delivery
from cosset.store.database import Store, Transaction
from cosset.triggers.leases import Leases
from cosset.triggers.model import EventSourceMapping
from cosset.triggers.tables import checkpoints as table


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`position` is the source's own word. `ended`: the shard is closed and read. `window`: an open tumbling window,
    packed by windows.py."""

    position: str
    ended: bool = False
    window: str = ""


class Checkpoints:
    """Those of one mapping, on the node that has its lease."""

    def __init__(self, store: Store, mapping: EventSourceMapping, leases: Leases, outbox: Deliveries) -> None:
        self._store = store
        self._uuid = mapping.uuid
        self._leases = leases
        self._outbox = outbox

    async def read(self) -> Mapping[str, Checkpoint]:
        """By shard."""
        query = select(table).where(table.c.uuid == self._uuid)

        def find(tx: Transaction) -> dict[str, Checkpoint]:
            return {row.shard: Checkpoint(row.position, row.ended, row.window) for row in tx.execute(query)}

        return await self._store.read(find)

    async def save(self, marks: Mapping[str, Checkpoint], owed: Sequence[Delivery] = ()) -> None:
        """Raises: LeaseLostError, with nothing written, when another node works on the mapping now."""

        def write(tx: Transaction) -> None:
            self._leases.require(tx, self._uuid)
            for shard, mark in marks.items():
                self._write(tx, shard, mark)
            for delivery in owed:
                self._outbox.send(tx, delivery)

        await self._store.write(write)

    def _write(self, tx: Transaction, shard: str, mark: Checkpoint) -> None:
        values = {"position": mark.position, "ended": mark.ended, "window": mark.window}
        same = (table.c.uuid == self._uuid) & (table.c.shard == shard)
        if tx.execute(update(table).where(same).values(values)).rowcount == 0:
            tx.execute(insert(table).values(uuid=self._uuid, shard=shard, **values))
