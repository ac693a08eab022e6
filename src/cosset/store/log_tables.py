"""The tables of the durable log, and what is asked of them. Read next: log.py."""

from sqlalchemy import BigInteger, Boolean, Column, Index, LargeBinary, String, Table, Text

from cosset.store.schema import metadata

# A shard of a log. `next_seq` is what its next record is called; `parents` a JSON list of the shards before it.
shards = Table(
    "log_shards",
    metadata,
    Column("log", String(512), primary_key=True),
    Column("shard", String(128), primary_key=True),
    Column("next_seq", BigInteger, nullable=False),
    Column("is_closed", Boolean, nullable=False),
    Column("parents", Text, nullable=False),
)

records = Table(
    "log_records",
    metadata,
    Column("log", String(512), primary_key=True),
    Column("shard", String(128), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("partition_key", Text, nullable=False),
    Column("arrived_ms", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
Index("log_records_by_time", records.c.log, records.c.shard, records.c.arrived_ms)
