"""What CloudWatch Logs keeps besides the events and their streams, which are the segment store's."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Integer, String, Table, Text

from cosset.store.schema import metadata

log_groups = Table(
    "log_groups",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("name", String(512), primary_key=True),
    Column("log_group_class", String(32), nullable=False),
    Column("retention_days", Integer),
    Column("deletion_protection", Boolean, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

log_subscription_filters = Table(
    "log_subscription_filters",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("log_group", String(512), primary_key=True),
    Column("name", String(512), primary_key=True),
    Column("pattern", Text, nullable=False),
    Column("destination_arn", Text, nullable=False),
    Column("distribution", String(16), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)
