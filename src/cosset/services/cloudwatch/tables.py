"""What CloudWatch keeps besides the values of metrics, which are `store/metrics.py`'s."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, String, Table, Text

from cosset.store.schema import Serial, metadata

alarms = Table(
    "cloudwatch_alarms",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("is_composite", Boolean, nullable=False),
    # What PutMetricAlarm or PutCompositeAlarm gave, under AWS's names.
    Column("settings", JSON, nullable=False),
    Column("state", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("reason_data", Text),
    Column("configured_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
)

alarm_history = Table(
    "cloudwatch_alarm_history",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("account", String(12), nullable=False),
    Column("region", String(32), nullable=False),
    Column("name", String(255), nullable=False),
    Column("is_composite", Boolean, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("summary", Text, nullable=False),
    Column("data", Text, nullable=False),
)
Index("cloudwatch_alarm_history_name", alarm_history.c.account, alarm_history.c.region, alarm_history.c.name)
Index("cloudwatch_alarm_history_age", alarm_history.c.at_ms)

dashboards = Table(
    "cloudwatch_dashboards",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("body", Text, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
)

metric_streams = Table(
    "cloudwatch_metric_streams",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("settings", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
)

tags = Table(
    "cloudwatch_tags",
    metadata,
    Column("arn", String(512), primary_key=True),
    Column("tags", JSON, nullable=False),
)
