"""The table of function URLs. Read next: url_records.py, the only module that reads and writes it."""

from sqlalchemy import Column, String, Table, Text

from cosset.store.schema import metadata

function_urls = Table(
    "lambda_function_urls",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("name", String(64), primary_key=True),
    # Empty for the unqualified function, else an alias: which may be gone, its URL stays.
    Column("qualifier", String(128), primary_key=True),
    Column("url_id", String(32), nullable=False, unique=True),
    Column("auth_type", String(16), nullable=False),
    # None while the caller has given none, which AWS shows in the answer to that call only.
    Column("invoke_mode", String(16)),
    Column("cors", Text),
    Column("created", String(32), nullable=False),
    Column("modified", String(32), nullable=False),
)
