"""The one table of this room: how asynchronous invocations ended. The events themselves wait in the durable queue."""

import sqlalchemy as sa

from cosset.store.schema import metadata

async_ends = sa.Table(
    "async_ends",
    metadata,
    sa.Column("request_id", sa.String, primary_key=True),
    sa.Column("function_arn", sa.String, nullable=False),
    sa.Column("condition", sa.String, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("ended_ms", sa.BigInteger, nullable=False),
    sa.Index("async_ends_by_time", "ended_ms"),
)
