"""What SNS keeps besides the messages on their way, which wait in durable queues (`deliveries.py`)."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, String, Table, Text

from cosset.store.schema import SEALED, metadata

sns_topics = Table(
    "sns_topics",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("name", String(256), primary_key=True),
    Column("attributes", JSON, nullable=False),
    Column("policy", Text, nullable=False),
    Column("data_protection_policy", Text),
    Column("tags", JSON, nullable=False),
    Column("subscriptions_deleted", Integer, nullable=False),
    # Of FIFO topics: the number that was given last.
    Column("sequence", BigInteger, nullable=False),
)

sns_subscriptions = Table(
    "sns_subscriptions",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("topic", String(256), primary_key=True),
    Column("id", String(36), primary_key=True),
    Column("owner", String(12), nullable=False),
    Column("principal", Text, nullable=False),
    Column("protocol", String(16), nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("attributes", JSON, nullable=False),
    # `pending` until it is confirmed; `removed` while the token in the last message still brings it back.
    Column("state", String(16), nullable=False),
    Column("token", String(256)),
    Column("token_until_ms", BigInteger, nullable=False),
    Column("authenticated", Boolean, nullable=False),
    Column("authenticates_unsubscribe", Boolean, nullable=False),
    Index("sns_subscriptions_token", "token"),
)

sns_deduplications = Table(
    "sns_deduplications",
    metadata,
    Column("topic_arn", String(512), primary_key=True),
    # Of the deduplication id, and of the group where that is the scope.
    Column("digest", String(64), primary_key=True),
    Column("message_id", String(36), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
)

sns_signing_keys = Table(
    "sns_signing_keys",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("certificate", Text, nullable=False),
    Column("private_key", Text, nullable=False, info=SEALED),
)

sns_platform_applications = Table(
    "sns_platform_applications",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("platform", String(32), primary_key=True),
    Column("name", String(256), primary_key=True),
    Column("attributes", JSON, nullable=False),
    # What the platform knows the application by: a JSON object, never shown again.
    Column("credentials", Text, nullable=False, info=SEALED),
)

sns_platform_endpoints = Table(
    "sns_platform_endpoints",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("platform", String(32), primary_key=True),
    Column("application", String(256), primary_key=True),
    Column("id", String(36), primary_key=True),
    Column("token", Text, nullable=False),
    Column("attributes", JSON, nullable=False),
)

sns_sms_attributes = Table(
    "sns_sms_attributes",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("attributes", JSON, nullable=False),
)
