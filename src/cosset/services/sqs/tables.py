"""The tables of queues. Messages are rows of the durable queue (store/queue_tables.py), under a queue's `uid`.

Read next: book.py, the only module that reads and writes the first two; move_tasks.py for the last.
"""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Table, Text

from cosset.store.schema import metadata

CHANGES = "sqs-queues"
"""Topic of the change feed: a queue has changed; the key is its ARN."""

DISCARDED = "sqs-discarded"
"""Messages belong to no queue any more; the key is their uid."""

MOVES = "sqs-move-tasks"
"""A task has begun; the key is its id."""

# `uid` names the messages: a queue that is purged, or deleted and made again, gets another, and what stands under the
# old one is discarded bit by bit. `revision` counts changes: whoever knows a revision knows the row.
queues = Table(
    "sqs_queues",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("name", String(80), primary_key=True),
    Column("uid", String(32), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("modified_ms", BigInteger, nullable=False),
    Column("purged_ms", BigInteger, nullable=False),
    Column("attributes", Text, nullable=False),
    Column("tags", Text, nullable=False),
)

deleted_queues = Table(
    "sqs_deleted_queues",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("name", String(80), primary_key=True),
    Column("deleted_ms", BigInteger, nullable=False),
)

# What a receive with a ReceiveRequestAttemptId got, so that the same one gets it again.
receive_attempts = Table(
    "sqs_receive_attempts",
    metadata,
    Column("uid", String(32), primary_key=True),
    Column("attempt", String(128), primary_key=True),
    Column("until_ms", BigInteger, nullable=False),
    Column("leases", Text, nullable=False),
)

discarded = Table(
    "sqs_discarded",
    metadata,
    Column("uid", String(32), primary_key=True),
)

move_tasks = Table(
    "sqs_move_tasks",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("source_arn", Text, nullable=False, index=True),
    Column("destination_arn", Text),
    Column("status", String(16), nullable=False, index=True),
    Column("started_ms", BigInteger, nullable=False),
    Column("per_second", Integer),
    Column("moved", BigInteger, nullable=False),
    Column("to_move", BigInteger, nullable=False),
    Column("failure", Text),
    Column("next_ms", BigInteger, nullable=False),
    Column("owner", String(36)),
    Column("owned_until_ms", BigInteger, nullable=False),
)
