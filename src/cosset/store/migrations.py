"""Brings the tables of an older Cosset forward. Refuses those of a newer one by name.

A new table needs nothing here: it is made when it is missing. A changed table needs a function at the end of
MIGRATIONS. What stands there is never changed, moved or removed: somebody's data is between any two of them.
"""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, MetaData, insert, inspect, select, text, update

from cosset.store.errors import StoreError
from cosset.store.schema import WHERE, metadata, schema_version

Migration = Callable[[Connection], None]


def _widen_owners_of_policies(connection: Connection) -> None:
    """Groups carry policies too, and their names are longer than users'. SQLite keeps to no width."""
    if connection.dialect.name == "postgresql":
        for table in ("iam_attachments", "iam_inline_policies"):
            connection.execute(text(f"ALTER TABLE {table} ALTER COLUMN owner_key TYPE VARCHAR(128)"))


def _widen_secrets(connection: Connection) -> None:
    """What is sealed is longer than what it seals."""
    if connection.dialect.name == "postgresql" and inspect(connection).has_table("lambda_secrets"):
        connection.execute(text("ALTER TABLE lambda_secrets ALTER COLUMN value TYPE TEXT"))


def _let_queues_hold_groups(connection: Connection) -> None:
    """Messages have numbers that are never given twice, their first receipt, and on SQLite the body behind the rest."""
    connection.execute(text("ALTER TABLE queue_deduplications ADD COLUMN seq BIGINT"))
    if connection.dialect.name == "postgresql":
        connection.execute(text("ALTER TABLE queue_messages ADD COLUMN first_received_at_ms BIGINT"))
        connection.execute(
            text("CREATE INDEX queue_messages_group_due ON queue_messages (queue, group_id, due_ms)"),
        )
        return
    columns = "seq, queue, id, group_id, sent_at_ms, visible_at_ms, expires_at_ms, due_ms, attempts, lease, body"
    for statement in (
        "DROP INDEX queue_messages_due",
        "DROP INDEX queue_messages_group",
        "ALTER TABLE queue_messages RENAME TO queue_messages_before",
        "CREATE TABLE queue_messages (seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, queue VARCHAR NOT NULL, "
        "id VARCHAR NOT NULL, group_id VARCHAR, sent_at_ms BIGINT NOT NULL, visible_at_ms BIGINT NOT NULL, "
        "expires_at_ms BIGINT, due_ms BIGINT, attempts INTEGER NOT NULL, lease VARCHAR, first_received_at_ms BIGINT, "
        "body BLOB NOT NULL)",
        f"INSERT INTO queue_messages ({columns}) SELECT {columns} FROM queue_messages_before ORDER BY seq",
        "DROP TABLE queue_messages_before",
        "CREATE INDEX queue_messages_due ON queue_messages (queue, due_ms, seq)",
        "CREATE INDEX queue_messages_group ON queue_messages (queue, group_id, seq) WHERE group_id IS NOT NULL",
        "CREATE INDEX queue_messages_group_due ON queue_messages (queue, group_id, due_ms) WHERE group_id IS NOT NULL",
    ):
        connection.execute(text(statement))


# The function at index n takes version n + 1 to version n + 2.
MIGRATIONS: tuple[Migration, ...] = (_widen_owners_of_policies, _widen_secrets, _let_queues_hold_groups)


def migrate(connection: Connection, migrations: Sequence[Migration] = MIGRATIONS, tables: MetaData = metadata) -> None:
    """Leaves every table at the newest version, within the caller's transaction."""
    newest = len(migrations) + 1
    _say_where(tables, connection.dialect.name)
    found = _version(connection)
    if found is None:
        tables.create_all(connection)
        connection.execute(insert(schema_version).values(only=1, version=newest))
        return
    if found > newest:
        raise StoreError(
            f"The data was written by a newer Cosset (schema {found}; this one knows up to {newest}). "
            "Start it with the Cosset that wrote it, or a later one."
        )
    for migration in migrations[found - 1 :]:
        migration(connection)
    if found < newest:
        connection.execute(update(schema_version).values(version=newest))
    tables.create_all(connection)


def _say_where(tables: MetaData, dialect: str) -> None:
    for table in tables.tables.values():
        for index in table.indexes:
            if WHERE in index.info:
                index.dialect_options[dialect]["where"] = index.info[WHERE]


def _version(connection: Connection) -> int | None:
    if not inspect(connection).has_table(schema_version.name):
        return None
    version: int | None = connection.execute(select(schema_version.c.version)).scalar()
    return version
