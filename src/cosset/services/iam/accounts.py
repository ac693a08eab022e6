"""The accounts of this server: rows, each with an administrator and its key. Implements the port of `installation`."""

import secrets
from dataclasses import replace

from sqlalchemy import insert, select

from cosset.clock import Clock
from cosset.identity.key_material import RandomBytes
from cosset.identity.principal import Credentials
from cosset.services.iam.errors import already_exists, limit_exceeded, validation_error
from cosset.services.iam.first_start import DEVELOPMENT_ACCOUNT, draw_seed, plant_account
from cosset.services.iam.tables import account_aliases, accounts, added_accounts
from cosset.store.database import Store, Transaction

MAX_ACCOUNTS = 1_000


class AccountBook:
    """`own` is the account that this installation's owner works in."""

    def __init__(self, store: Store, clock: Clock, own: str, random_bytes: RandomBytes = secrets.token_bytes) -> None:
        self._store = store
        self._clock = clock
        self._random_bytes = random_bytes
        self.own = own

    async def add(self, account: str | None) -> tuple[str, Credentials]:
        """A new account, and its administrator's key, which is not told again.

        Raises:
            ServiceError: EntityAlreadyExists, ValidationError for no account's number, LimitExceeded.
        """
        seed = draw_seed(self._random_bytes, dev=False)
        if account is not None:
            if not (len(account) == 12 and account.isascii() and account.isdecimal()):
                raise validation_error("An account is twelve digits.")
            if account == DEVELOPMENT_ACCOUNT:
                raise validation_error(f"{DEVELOPMENT_ACCOUNT} is the account of cosset up --dev.")
            seed = replace(seed, account=account)
        now_ms = self._clock.now_ms()

        def work(tx: Transaction) -> None:
            there = set(tx.execute(select(accounts.c.account)).scalars())
            if seed.account in there:
                raise already_exists(f"The account {seed.account} already exists.")
            if len(there) >= MAX_ACCOUNTS:
                raise limit_exceeded(f"Cannot exceed quota for accounts: {MAX_ACCOUNTS}")
            tx.execute(insert(added_accounts).values(account=seed.account))
            plant_account(tx, seed, now_ms)

        await self._store.write(work)
        return seed.account, seed.credentials

    async def list(self) -> list[tuple[str, str | None, int]]:
        """Number, alias and time of creation, the oldest first."""
        query = select(accounts, account_aliases.c.alias).outerjoin(
            account_aliases, account_aliases.c.account == accounts.c.account
        )
        query = query.order_by(accounts.c.created_ms, accounts.c.account)
        rows = await self._store.read(lambda tx: list(tx.execute(query)))
        return [(str(row.account), row.alias, int(row.created_ms)) for row in rows]
