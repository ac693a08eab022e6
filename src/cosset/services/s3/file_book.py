"""Which files rows name: what is in the folder and not in this book is an orphan. Runs in the caller's transactions."""

from collections.abc import Collection, Sequence

from sqlalchemy import delete, insert, select

from cosset.services.s3.object_files import Stored
from cosset.services.s3.tables import s3_files
from cosset.store.transaction import Transaction

_AT_ONCE = 500
"""Names in one statement."""


def name_files(tx: Transaction, names: Sequence[str]) -> None:
    for start in range(0, len(names), _AT_ONCE):
        tx.execute(insert(s3_files).values([{"name": name} for name in names[start : start + _AT_ONCE]]))


def forget_files(tx: Transaction, stored: Stored) -> tuple[str, ...]:
    """The names that nothing names any more: of files to be removed once this is committed."""
    names = tuple(name for name, _ in stored.files)
    for start in range(0, len(names), _AT_ONCE):
        tx.execute(delete(s3_files).where(s3_files.c.name.in_(names[start : start + _AT_ONCE])))
    return names


def find_named(tx: Transaction, names: Sequence[str]) -> Collection[str]:
    """Those of the names that rows name."""
    found: set[str] = set()
    for start in range(0, len(names), _AT_ONCE):
        query = select(s3_files.c.name).where(s3_files.c.name.in_(names[start : start + _AT_ONCE]))
        found.update(tx.execute(query).scalars())
    return found
