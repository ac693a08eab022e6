"""A LogSource over the store's log: what Kinesis and DynamoDB Streams will be, without a service in front of it."""

import json
from collections.abc import Sequence
from typing import Any

from cosset.clock import Clock
from cosset.store.database import Store
from cosset.store.log import DurableLog, LogRecord
from cosset.triggers.sources import Page, Record, Shard, Start

STREAM = "arn:aws:kinesis:us-east-1:111111111111:stream/s"


class StoreLogSource:
    """Implements triggers.sources.LogSource for one stream. Positions are numbers in decimal."""

    actions = ("kinesis:GetRecords",)
    info_key = "KinesisBatchInfo"

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self.log = DurableLog(store, "stream", clock)
        self.reads = 0

    async def put(self, *data: Any, shard: str = "shard-0", key: str = "k") -> None:
        bodies = [(key, json.dumps(each).encode()) for each in data]
        await self._store.write(lambda tx: self.log.append(tx, shard, bodies))

    async def open(self, shard: str = "shard-0", *parents: str) -> None:
        await self._store.write(lambda tx: self.log.open_shard(tx, shard, parents))

    async def close(self, shard: str = "shard-0") -> None:
        await self._store.write(lambda tx: self.log.close_shard(tx, shard))

    async def exists(self, arn: str) -> bool:
        return arn == STREAM

    async def shards(self, arn: str) -> Sequence[Shard]:
        return [Shard(id=shard.id, parents=shard.parents) for shard in await self.log.shards()]

    async def begin(self, arn: str, shard_id: str, start: Start) -> str:
        if start.position == "LATEST":
            return str(await self.log.end(shard_id))
        if start.timestamp_ms is not None:
            return str(await self.log.at(shard_id, start.timestamp_ms))
        return str(await self.log.begin(shard_id))

    async def read(self, arn: str, shard_id: str, *, after: str, limit: int, role: str) -> Page:
        self.reads += 1
        found, is_end = await self.log.read(shard_id, after=int(after), limit=limit)
        positions = [str(record.seq) for record in found]
        records = [_record(record) for record in found]
        return Page(records=records, positions=positions, position=positions[-1] if found else after, is_end=is_end)

    async def wait(self, arn: str, shard_id: str, *, after: str, timeout_s: float) -> None:
        await self.log.wait(shard_id, after=int(after), timeout_s=timeout_s)


def _record(record: LogRecord) -> Record:
    data = json.loads(record.body)
    shown = {"seq": str(record.seq), "data": data, "partitionKey": record.partition_key}
    return Record(
        id=str(record.seq),
        encoded=json.dumps(shown).encode(),
        metadata={"partitionKey": record.partition_key},
        content_key="data",
        content=record.body.decode(),
        key=record.partition_key,
        arrived_ms=record.arrived_ms,
    )
