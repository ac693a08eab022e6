"""Which files rows name: what is in the folder and not in this book is an orphan. Runs in the caller's transactions."""

from collections.abc import Collection, Sequence

from sqlalchemy import bindparam, delete, insert, select

from cosset.services.s3.object_files import Stored
from cosset.services.s3.tables import s3_files
from cosset.store.prepared import Prepared
from cosset.store.transaction import Transaction

_AT_ONCE = 500
"""Names in one statement."""
# Most objects have one file.
_NAME = Prepared(insert(s3_files))
_FORGET = Prepared(delete(s3_files).where(s3_files.c.name == bindparam("of_name")))


def name_files(tx: Transaction, names: Sequence[str]) -> None:
    if len(names) == 1:
        tx.run(_NAME, {"name": names[0]})
        return
    for start in range(0, len(names), _AT_ONCE):
        tx.execute(insert(s3_files).values([{"name": name} for name in names[start : start + _AT_ONCE]]))


def forget_files(tx: Transaction, stored: Stored) -> tuple[str, ...]:
    """The names that nothing names any more: of files to be removed once this is committed."""
    names = tuple(name for name, _ in stored.files)
    if len(names) == 1:
        tx.run(_FORGET, {"of_name": names[0]})
        return names
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
