"""The table of this room. Read next: records.py, the only module that reads and writes it."""

from sqlalchemy import BigInteger, Boolean, Column, Index, String, Table, Text

from cosset.store.schema import metadata

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
