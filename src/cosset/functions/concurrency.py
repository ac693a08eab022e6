"""Reserved concurrency: the share of the account's concurrency that one function has, and that it cannot exceed."""

from cosset.functions import errors, records
from cosset.functions.model import FunctionKey
from cosset.store.database import Store, Transaction

MIN_UNRESERVED = 100
"""What AWS keeps for the functions without a reserved share."""


class Concurrency:
    """`limit` is the account's concurrency."""

    def __init__(self, store: Store, limit: int) -> None:
        self._store = store
        self.limit = limit
        # An account with less than that to begin with keeps all of it.
        self._min_unreserved = min(MIN_UNRESERVED, limit)

    async def put(self, key: FunctionKey, reserved: int) -> None:
        """Raises:
        ServiceError: no such function, or too little would be left for the others
            (recorded: test_function_concurrency_limits).
        """

        def write(tx: Transaction) -> None:
            _require(tx, key)
            others = records.sum_reserved_concurrency(tx, key.account, key.region, but=key)
            if reserved and self.limit - others - reserved < self._min_unreserved:
                raise errors.invalid_parameter(
                    "Specified ReservedConcurrentExecutions for function decreases account's "
                    f"UnreservedConcurrentExecution below its minimum value of [{self._min_unreserved}].",
                    typed=False,
                )
            records.write_reserved_concurrency(tx, key, reserved)
            records.announce(tx, key)

        await self._store.write(write)

    async def get(self, key: FunctionKey) -> int | None:
        def read(tx: Transaction) -> int | None:
            settings = records.read_settings(tx, key)
            if settings is None:
                raise errors.function_not_found(key.arn)
            return settings.reserved_concurrency

        return await self._store.read(read)

    async def delete(self, key: FunctionKey) -> None:
        def write(tx: Transaction) -> None:
            _require(tx, key)
            records.write_reserved_concurrency(tx, key, None)
            records.announce(tx, key)

        await self._store.write(write)

    async def unreserved(self, account: str, region: str) -> int:
        return self.limit - await self._store.read(lambda tx: records.sum_reserved_concurrency(tx, account, region))


def _require(tx: Transaction, key: FunctionKey) -> None:
    if records.read_settings(tx, key) is None:
        raise errors.function_not_found(key.arn)
