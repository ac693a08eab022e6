"""What was asked of IAM, by whom, for what. Read next: access_log.py, the only module that reads and writes it."""

from sqlalchemy import BigInteger, Column, String, Table, Text

from cosset.store.schema import metadata

access = Table(
    "installation_access",
    metadata,
    # Of account, subject, action and resource: resources are longer than an index may be.
    Column("digest", String(64), primary_key=True),
    Column("account", String(12), nullable=False, index=True),
    Column("subject", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("resource", Text, nullable=False),
    Column("denied", BigInteger, nullable=False),
    Column("reason", Text),
    Column("first_ms", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
)
