"""The way back for an owner who has lost the administrator's key, or locked the administrator out.

For the host's console only: no operation leads here (assembly/console.py, `cosset key recover`).
"""

from dataclasses import replace

from sqlalchemy import delete, select, update

from cosset.identity.principal import Credentials
from cosset.services.iam.first_start import (
    ADMINISTRATOR,
    Seed,
    give_administrator_a_key,
    is_here,
    own_account,
    plant_administrator,
)
from cosset.services.iam.owners import forget_owner
from cosset.services.iam.records import CHANGES
from cosset.services.iam.tables import access_keys, group_members, users
from cosset.store.database import Transaction
from cosset.store.errors import StoreError


def recover_administrator(tx: Transaction, account: str | None, seed: Seed, now_ms: int) -> tuple[str, Credentials]:
    """The account (None: the one that the server started with) and its administrator's new key; the old ones are gone.

    Whatever could stand in the administrator's way goes too: its boundary, its groups, its other policies. Raises
    StoreError: there is no such account.
    """
    account = account or own_account(tx, development=False)
    if account is None or not is_here(tx, account):
        raise StoreError(f"There is no account {account or 'yet'} in this server.")
    seed = replace(seed, account=account)
    mine = (users.c.account == account, users.c.name_key == ADMINISTRATOR)
    for table in (access_keys, group_members):
        tx.execute(delete(table).where(table.c.account == account, table.c.user_key == ADMINISTRATOR))
    forget_owner(tx, account, "user", ADMINISTRATOR)
    if tx.execute(select(users.c.name).where(*mine)).first() is None:
        plant_administrator(tx, seed, now_ms)
    else:
        tx.execute(update(users).where(*mine).values(permissions_boundary=None))
        give_administrator_a_key(tx, account, seed.credentials, now_ms)
    tx.announce(CHANGES, account)
    return account, seed.credentials
