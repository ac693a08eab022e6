"""The one set of tables. Every room declares its own, in its `tables.py`, on `metadata`; `server.py` imports them all
before the store is opened. Nothing here knows what the tables mean. Next: `migrations.py`, `database.py`.
"""

from sqlalchemy import BigInteger, Column, Integer, MetaData, Table

metadata = MetaData()

# An integer key that counts up by itself: SQLite does that for INTEGER alone, PostgreSQL needs 64 bits.
Serial = BigInteger().with_variant(Integer(), "sqlite")

SEALED = {"sealed": True}
"""`info` of a text or binary column that holds secrets: see sealing.py. Its table's primary key is texts, and stays."""

WHERE = "where"
"""In the `info` of an index: the rows that it is of, on every database. To say it to a dialect by name, in the index
itself, would import that dialect: PostgreSQL's costs every node on SQLite a twentieth of its start."""

schema_version = Table(
    "schema_version",
    metadata,
    Column("only", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
)
