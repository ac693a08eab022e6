"""The tables of this room. Read next: records.py, progress.py, checkpoints.py, leases.py, each of which has one."""

from sqlalchemy import BigInteger, Boolean, Column, Index, String, Table, Text

from cosset.store.schema import metadata

TOPIC = "event-source-mappings"
"""What the change feed calls a change of a mapping; the key is its UUID."""

event_source_mappings = Table(
    "lambda_event_source_mappings",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("uuid", String(36), primary_key=True),
    Column("source_arn", Text, nullable=False),
    Column("function_arn", String(256), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("transition", String(16), nullable=False),
    Column("settles_at_ms", BigInteger, nullable=False),
    Column("modified_ms", BigInteger, nullable=False),
    Column("settings", Text, nullable=False),
    Column("tags", Text, nullable=False),
)
Index("lambda_event_source_mappings_by_function", event_source_mappings.c.function_arn)

# What a mapping has come to last, where it has come to anything.
progress = Table(
    "lambda_event_source_progress",
    metadata,
    Column("uuid", String(36), primary_key=True),
    Column("result", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

# How far a shard has been read, durably done: `position` is the source's own word. `window`: an open tumbling window.
checkpoints = Table(
    "lambda_event_source_checkpoints",
    metadata,
    Column("uuid", String(36), primary_key=True),
    Column("shard", String(128), primary_key=True),
    Column("position", Text, nullable=False),
    Column("ended", Boolean, nullable=False),
    Column("window", Text, nullable=False),
)

# Who works on a mapping, or on one of its shards, where several nodes share the database.
leases = Table(
    "lambda_event_source_leases",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("owner", String(36), nullable=False),
    Column("until_ms", BigInteger, nullable=False),
)
