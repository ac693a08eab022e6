"""Two nodes over one PostgreSQL: a stream is read by one of them, and by the other from the checkpoint when it ends."""

import asyncio
from pathlib import Path

from sqlalchemy import select

from cosset.store.database import Store
from cosset.triggers.tables import checkpoints
from support.clock import ManualClock
from support.log_source import STREAM, StoreLogSource
from support.postgres import PostgresServer
from support.triggers import Bench, mapping, trigger_bench


async def reached(bench: Bench, seq: int, step_s: float = 0.0) -> None:
    await bench.until_found(select(checkpoints.c.position), str(seq), step_s)


def test_a_stream_goes_on_where_the_other_node_stopped(tmp_path: Path, postgres: PostgresServer) -> None:
    async def main() -> None:
        clock, database, key_file = ManualClock(), postgres.new_database(), tmp_path / "root.key"
        stores = [
            await Store.open(data=tmp_path / name, database=database, clock=clock, min_free_mb=1, key_file=key_file)
            for name in "ab"
        ]
        try:
            async with trigger_bench(stores[0], clock) as one, trigger_bench(stores[1], clock) as two:
                source = StoreLogSource(stores[0], clock)
                await source.open()
                one.sources.serve("kinesis", source)
                two.sources.serve("kinesis", StoreLogSource(stores[1], clock))
                await source.put("a", "b")
                await one.put(mapping(STREAM, batch_size=1, starting_position="TRIM_HORIZON"))
                await reached(one, 2)
                done = one.function.got + two.function.got
                assert done == [["a"], ["b"]]
                has_it, other = (one, two) if one.function.got else (two, one)
                await has_it.engine.stop(10)
                await source.put("c")
                await reached(one, 3, step_s=0.1)
                assert other.function.got == [["c"]]
        finally:
            for store in stores:
                await store.close()

    asyncio.run(main())
