"""What CloudWatch Logs keeps besides the events and their streams, which are the segment store's."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Index, Integer, String, Table, Text

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

log_export_tasks = Table(
    "log_export_tasks",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("account", String(12), nullable=False),
    Column("region", String(32), nullable=False),
    Column("name", String(512)),
    Column("log_group", String(512), nullable=False),
    Column("stream_prefix", String(512), nullable=False),
    Column("from_ms", BigInteger, nullable=False),
    Column("to_ms", BigInteger, nullable=False),
    Column("bucket", String(512), nullable=False),
    Column("prefix", Text, nullable=False),
    # PENDING, RUNNING, PENDING_CANCEL, then CANCELLED, COMPLETED or FAILED.
    Column("status", String(16), nullable=False),
    Column("message", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("completed_ms", BigInteger),
    Index("log_export_tasks_of_account", "account", "region", "created_ms", "id"),
)

log_metric_filters = Table(
    "log_metric_filters",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("log_group", String(512), primary_key=True),
    Column("name", String(512), primary_key=True),
    Column("pattern", Text, nullable=False),
    Column("metric", String(255), nullable=False),
    Column("namespace", String(255), nullable=False),
    Column("value", String(100), nullable=False),
    Column("default_value", Float),
    Column("unit", String(32)),
    Column("dimensions", JSON, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

log_resource_policies = Table(
    "log_resource_policies",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("name", String(512), primary_key=True),
    Column("document", Text, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
)
