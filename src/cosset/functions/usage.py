"""How much of an account's room for code is used, and the refusal of what is one too many."""

from cosset.functions import errors, layer_records, records
from cosset.functions.model import Code, FunctionKey
from cosset.store.database import Transaction

MAX_CODE_BYTES = 80_530_636_800
"""All packages of an account in a region, versions counted each (AWS's own limit, 75 GB)."""


def count_usage(tx: Transaction, account: str, region: str) -> tuple[int, int]:
    """How many functions, and the bytes of all packages, layers included."""
    count, size = records.count_functions(tx, account, region)
    return count, size + layer_records.sum_sizes(tx, account, region)


def check_storage(tx: Transaction, key: FunctionKey, code: Code) -> None:
    """Raises CodeStorageExceededException when the package is one too many."""
    _, used = count_usage(tx, key.account, key.region)
    if used + code.size_bytes > MAX_CODE_BYTES:
        raise errors.code_storage_exceeded()
