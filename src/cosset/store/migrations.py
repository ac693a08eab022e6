"""Brings the tables of an older Cosset forward. Refuses those of a newer one by name.

A new table needs nothing here: it is made when it is missing. A changed table needs a function at the end of
MIGRATIONS. What stands there is never changed, moved or removed: somebody's data is between any two of them.
"""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, MetaData, insert, inspect, select, text, update

from cosset.store.errors import StoreError
from cosset.store.schema import metadata, schema_version

Migration = Callable[[Connection], None]


def _widen_owners_of_policies(connection: Connection) -> None:
    """Groups carry policies too, and their names are longer than users'. SQLite keeps to no width."""
    if connection.dialect.name == "postgresql":
        for table in ("iam_attachments", "iam_inline_policies"):
            connection.execute(text(f"ALTER TABLE {table} ALTER COLUMN owner_key TYPE VARCHAR(128)"))


# The function at index n takes version n + 1 to version n + 2.
MIGRATIONS: tuple[Migration, ...] = (_widen_owners_of_policies,)


def migrate(connection: Connection, migrations: Sequence[Migration] = MIGRATIONS, tables: MetaData = metadata) -> None:
    """Leaves every table at the newest version, within the caller's transaction."""
    newest = len(migrations) + 1
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


def _version(connection: Connection) -> int | None:
    if not inspect(connection).has_table(schema_version.name):
        return None
    version: int | None = connection.execute(select(schema_version.c.version)).scalar()
    return version
