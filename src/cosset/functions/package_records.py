"""Which packages there are, and which of them nothing holds any more. Decides nothing; read next: code.py."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select, update

from cosset.functions.model import FunctionKey
from cosset.functions.records import of_function
from cosset.functions.tables import layer_uses, layer_versions, packages, versions
from cosset.store.database import Transaction


def want_package(tx: Transaction, digest: str, unzipped_bytes: int, now_ms: int) -> None:
    """Notes that somebody wants this package now, so that it is not collected before it is referred to."""
    result = tx.execute(update(packages).where(packages.c.digest == digest).values(wanted_at_ms=now_ms))
    if not result.rowcount:
        tx.execute(insert(packages).values(digest=digest, unzipped_bytes=unzipped_bytes, wanted_at_ms=now_ms))


def sum_unzipped(tx: Transaction, digests: Sequence[str]) -> int:
    """The bytes that these packages hold, unpacked."""
    sizes = select(packages.c.digest, packages.c.unzipped_bytes).where(packages.c.digest.in_(digests))
    by_digest = {row.digest: int(row.unzipped_bytes) for row in tx.execute(sizes)}
    return sum(by_digest.get(digest, 0) for digest in digests)


def touch_packages(tx: Transaction, key: FunctionKey, now_ms: int, version: str | None = None) -> None:
    """The clock of collection starts when the last reference goes: call before code is replaced or deleted."""
    for table in (versions, layer_uses):
        query = select(table.c.code_digest).where(of_function(table, key))
        if version is not None:
            query = query.where(table.c.version == version)
        tx.execute(update(packages).where(packages.c.digest.in_(query)).values(wanted_at_ms=now_ms))


def take_unwanted_packages(tx: Transaction, before_ms: int) -> list[str]:
    """Forgets the packages that nothing holds and nobody wanted since `before_ms`, and says which they were."""
    unwanted = select(packages.c.digest).where(packages.c.wanted_at_ms < before_ms)
    for table in (versions, layer_versions, layer_uses):
        unwanted = unwanted.where(packages.c.digest.not_in(select(table.c.code_digest)))
    digests = [row.digest for row in tx.execute(unwanted)]
    if digests:
        tx.execute(delete(packages).where(packages.c.digest.in_(digests)))
    return digests
