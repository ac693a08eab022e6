"""What IAM holds before anyone has asked for anything: an account, an administrator and its key, the starter role.

Made once, in one transaction; a second node that starts at the same moment finds it made.
"""

import json
from dataclasses import dataclass, field

from sqlalchemy import delete, insert, select

from cosset.identity.key_material import RandomBytes, new_access_key_id, new_account_id, new_unique_id, secret_text
from cosset.identity.principal import Credentials
from cosset.services.iam.records import ADMINISTRATOR_ACCESS, CHANGES
from cosset.services.iam.tables import access_keys, accounts, added_accounts, attachments, roles, server_secrets, users
from cosset.store.changes import EVERYTHING
from cosset.store.database import Transaction

ADMINISTRATOR = "administrator"
STARTER_ROLE = "cosset-basic"
BASIC_EXECUTION = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
DEVELOPMENT_ACCOUNT = "000000000000"
SESSION_SECRET = "session"

_LAMBDA_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}


@dataclass(frozen=True, slots=True)
class Seed:
    """All that is random about a first start, drawn before the transaction so that it may run again."""

    account: str
    credentials: Credentials
    user_id: str
    role_id: str
    session_secret: bytes = field(repr=False)
    development: bool


def draw_seed(random_bytes: RandomBytes, *, dev: bool) -> Seed:
    key_id, secret = new_access_key_id("AKIA", random_bytes), secret_text(random_bytes(30))
    return Seed(
        account=DEVELOPMENT_ACCOUNT if dev else new_account_id(random_bytes),
        credentials=Credentials("test", "test") if dev else Credentials(key_id, secret),
        user_id=new_unique_id("AIDA", random_bytes),
        role_id=new_unique_id("AROA", random_bytes),
        session_secret=random_bytes(32),
        development=dev,
    )


def plant(tx: Transaction, seed: Seed, now_ms: int) -> tuple[str, bool]:
    """Makes what is missing. Gives the account that this node's owner works in, and whether it was made just now."""
    _keep_session_secret(tx, seed.session_secret)
    existing = own_account(tx, development=seed.development)
    if existing is not None:
        return existing, False
    plant_account(tx, seed, now_ms)
    return seed.account, True


def plant_account(tx: Transaction, seed: Seed, now_ms: int) -> None:
    """An account with its administrator and the starter role, which is not there yet."""
    tx.execute(insert(accounts).values(account=seed.account, created_ms=now_ms))
    plant_administrator(tx, seed, now_ms)
    _plant_starter_role(tx, seed, now_ms)
    tx.announce(CHANGES, seed.account)


def is_here(tx: Transaction, account: str) -> bool:
    """Is it an account of this server?"""
    return tx.execute(select(accounts.c.account).where(accounts.c.account == account)).first() is not None


def find_planted(tx: Transaction, seed: Seed) -> str | None:
    """The account that `plant` would give, when it would change nothing."""
    has_secret = tx.execute(select(server_secrets.c.name).where(server_secrets.c.name == SESSION_SECRET)).first()
    return None if has_secret is None else own_account(tx, development=seed.development)


def own_account(tx: Transaction, *, development: bool) -> str | None:
    """The development account and the real one may both live in a data folder; each is used in its own mode."""
    query = select(accounts.c.account).where(accounts.c.account.not_in(select(added_accounts.c.account)))
    query = query.order_by(accounts.c.created_ms, accounts.c.account)
    for account in tx.execute(query).scalars():
        if (account == DEVELOPMENT_ACCOUNT) == development:
            return str(account)
    return None


def _keep_session_secret(tx: Transaction, secret: bytes) -> None:
    if tx.execute(select(server_secrets.c.name).where(server_secrets.c.name == SESSION_SECRET)).first() is None:
        sealed = tx.seal(server_secrets.c.value, (SESSION_SECRET,), secret)
        tx.execute(insert(server_secrets).values(name=SESSION_SECRET, value=sealed.encode()))


def forget_session_secret(tx: Transaction) -> None:
    """Every session ends: the next start draws another secret."""
    tx.execute(delete(server_secrets).where(server_secrets.c.name == SESSION_SECRET))
    tx.announce(CHANGES, EVERYTHING)


def read_session_secret(tx: Transaction) -> bytes:
    query = select(server_secrets.c.value).where(server_secrets.c.name == SESSION_SECRET)
    kept = bytes(tx.execute(query).scalar_one()).decode("ascii")
    return tx.unseal_bytes(server_secrets.c.value, (SESSION_SECRET,), kept)


def plant_administrator(tx: Transaction, seed: Seed, now_ms: int) -> None:
    """The user, what it may do, and its key."""
    tx.execute(
        insert(users).values(
            account=seed.account,
            name_key=ADMINISTRATOR,
            name=ADMINISTRATOR,
            path="/",
            user_id=seed.user_id,
            tags={},
            created_ms=now_ms,
        )
    )
    give_administrator_a_key(tx, seed.account, seed.credentials, now_ms)


def give_administrator_a_key(tx: Transaction, account: str, key: Credentials, now_ms: int) -> None:
    """And the policy that makes it the administrator."""
    _attach(tx, account, "user", ADMINISTRATOR, ADMINISTRATOR_ACCESS, now_ms)
    tx.execute(
        insert(access_keys).values(
            access_key_id=key.access_key_id,
            account=account,
            user_key=ADMINISTRATOR,
            status="Active",
            secret=tx.seal(access_keys.c.secret, (key.access_key_id,), key.secret_access_key),
            created_ms=now_ms,
        )
    )


def find_administrator_key(tx: Transaction, account: str) -> Credentials | None:
    """The administrator's oldest active access key."""
    row = tx.execute(
        select(access_keys.c.access_key_id, access_keys.c.secret)
        .where(
            access_keys.c.account == account,
            access_keys.c.user_key == ADMINISTRATOR,
            access_keys.c.status == "Active",
        )
        .order_by(access_keys.c.created_ms, access_keys.c.access_key_id)
    ).first()
    if row is None:
        return None
    return Credentials(row.access_key_id, tx.unseal(access_keys.c.secret, (row.access_key_id,), row.secret))


def _plant_starter_role(tx: Transaction, seed: Seed, now_ms: int) -> None:
    tx.execute(
        insert(roles).values(
            account=seed.account,
            name_key=STARTER_ROLE,
            name=STARTER_ROLE,
            path="/",
            role_id=seed.role_id,
            trust_policy=json.dumps(_LAMBDA_TRUST),
            description="Lets a function write its logs, and nothing else. Made by Cosset on first start.",
            max_session_s=3600,
            tags={},
            created_ms=now_ms,
        )
    )
    _attach(tx, seed.account, "role", STARTER_ROLE, BASIC_EXECUTION, now_ms)


def _attach(tx: Transaction, account: str, owner_kind: str, owner_key: str, policy_arn: str, now_ms: int) -> None:
    tx.execute(
        insert(attachments).values(
            account=account, owner_kind=owner_kind, owner_key=owner_key, policy_arn=policy_arn, attached_ms=now_ms
        )
    )
