"""Recursion configs: whether a function may run again and again because of one event. Obeyed in invocation/."""

from cosset.functions import errors, option_records, records
from cosset.functions.model import FunctionKey
from cosset.store.database import Store, Transaction


class RecursionConfigs:
    """`Allow` or `Terminate`, which is what a function has that was told nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, key: FunctionKey) -> str:
        """Raises:
        ServiceError: ResourceNotFoundException.
        """

        def read(tx: Transaction) -> str:
            _require(tx, key)
            return option_records.read(tx, key).recursive_loop

        return await self._store.read(read)

    async def put(self, key: FunctionKey, recursive_loop: str) -> None:
        """In force for the next run on every node.

        Raises:
            ServiceError: ResourceNotFoundException.
        """

        def write(tx: Transaction) -> None:
            _require(tx, key)
            option_records.change(tx, key, recursive_loop=recursive_loop)
            records.announce(tx, key)

        await self._store.write(write)


def _require(tx: Transaction, key: FunctionKey) -> None:
    if records.read_settings(tx, key) is None:
        raise errors.function_not_found(key.arn)
