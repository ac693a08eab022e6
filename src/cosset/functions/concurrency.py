"""Reserved concurrency: the share of the account's concurrency that one function has, and that it cannot exceed."""

from cosset.functions import concurrency_records, errors, records
from cosset.functions.model import FunctionKey
from cosset.store.database import Store, Transaction

MIN_UNRESERVED = 100
"""What AWS keeps for the functions without a reserved share."""


class Concurrency:
    """`limit` is the account's concurrency."""

    def __init__(self, store: Store, limit: int) -> None:
        self._store = store
        self.limit = limit

    async def put(self, key: FunctionKey, reserved: int) -> None:
        """Raises:
        ServiceError: no such function, or too little would be left for the others
            (recorded: test_function_concurrency_limits), or less than is provisioned
            (recorded: test_reserved_provisioned_overlap).
        """
        least = least_unreserved(self.limit)

        def write(tx: Transaction) -> None:
            _require(tx, key)
            provisioned = concurrency_records.sum_provisioned(tx, key)
            if reserved < provisioned:
                raise errors.invalid_parameter(
                    f" ReservedConcurrentExecutions  {reserved} should not be lower than function's total provisioned "
                    f"concurrency [{provisioned}].",
                    typed=False,
                )
            others = concurrency_records.sum_set_aside(tx, key.account, key.region, but=key)
            if reserved and self.limit - others - reserved < least:
                raise errors.invalid_parameter(
                    "Specified ReservedConcurrentExecutions for function decreases account's "
                    f"UnreservedConcurrentExecution below its minimum value of [{least}].",
                    typed=False,
                )
            records.write_reserved_concurrency(tx, key, reserved)
            records.announce_concurrency(tx, key)

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
            records.announce_concurrency(tx, key)

        await self._store.write(write)

    async def unreserved(self, account: str, region: str) -> int:
        return self.limit - await self._store.read(lambda tx: concurrency_records.sum_reserved(tx, account, region))


def least_unreserved(limit: int) -> int:
    """What stays for the functions without a share; an account with less to begin with keeps all of it."""
    return min(MIN_UNRESERVED, limit)


def _require(tx: Transaction, key: FunctionKey) -> None:
    if records.read_settings(tx, key) is None:
        raise errors.function_not_found(key.arn)
