"""Who a key stands for and what a role is: the look-ups that every other room makes of IAM.

Answers come from memory after the first time and are dropped by the change feed. It decides nothing: that is
`identity/authorizer.py`. Changing IAM is the handlers' (`roles.py`, `users.py` ...).
"""

import hashlib
import secrets

from cosset.clock import Clock
from cosset.identity.arn import Arn
from cosset.identity.evaluation.policy import PolicyCompiler
from cosset.identity.key_material import RandomBytes
from cosset.identity.ports import KnownKey
from cosset.identity.principal import Credentials, Principal, PrincipalKind
from cosset.identity.sessions import AssumableRole, SessionClaims, Sessions, expired_token, invalid_token
from cosset.identity.trust import trusts_service
from cosset.services.iam.first_start import (
    DEVELOPMENT_ACCOUNT,
    draw_seed,
    find_administrator_key,
    find_planted,
    is_here,
    plant,
    read_session_secret,
)
from cosset.services.iam.records import CHANGES, Role, find_access_key, find_role, find_user_by_id
from cosset.store.database import Store
from cosset.store.kept import Kept

LAMBDA = "lambda.amazonaws.com"


class IamDirectory:
    """Implements `KeyDirectory`, and for sessions `RoleBook` and `SecretSource`.

    In `dev` a role that is not known is taken to exist and to trust whoever asks, and the key `test` holds.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        dev: bool = False,
        random_bytes: RandomBytes = secrets.token_bytes,
        cache_limit: int = 4_000,
    ) -> None:
        self._store = store
        self._clock = clock
        self._dev = dev
        self._random_bytes = random_bytes
        self._account: str | None = None
        self._secret: bytes | None = None
        self._keys = Kept(self._read_key, cache_limit)
        self._roles = Kept(self._read_role, cache_limit)
        self._keys.follow(store, CHANGES)
        self._roles.follow(store, CHANGES)
        self._trust = PolicyCompiler(cache_limit)
        self.sessions = Sessions(self, self, clock, random_bytes)

    async def ensure_first_start(self) -> Credentials | None:
        """Makes the account, the administrator and the starter role where there are none yet.

        Gives the administrator's key when it was made just now. A crash before the answer leaves either nothing or
        everything; `administrator_key` tells it again.
        """
        seed = draw_seed(self._random_bytes, dev=self._dev)
        # Looked up first: every start but the first writes nothing, and so succeeds on a full disk.
        self._account = await self._store.read(lambda tx: find_planted(tx, seed))
        if self._account is not None:
            return None
        now_ms = self._clock.now_ms()
        self._account, made = await self._store.write(lambda tx: plant(tx, seed, now_ms))
        return seed.credentials if made else None

    async def administrator_key(self) -> Credentials | None:
        """The administrator's oldest active key; None when the owner of this installation has taken them all away."""
        account = self.account
        return await self._store.read(lambda tx: find_administrator_key(tx, account))

    @property
    def account(self) -> str:
        """The account that this installation's owner works in. Known once `ensure_first_start` has returned."""
        if self._account is None:
            raise RuntimeError("ensure_first_start has not run")
        return self._account

    async def find_key(self, access_key_id: str, session_token: str | None) -> KnownKey | None:
        known = await self._keys.get((access_key_id, session_token))
        expires_at_ms = None if known is None else known.credentials.expires_at_ms
        if expires_at_ms is not None and expires_at_ms <= self._clock.now_ms():
            raise expired_token()
        return known

    async def role(self, role_arn: str) -> Role | None:
        """The role with exactly this ARN."""
        return await self._roles.get(role_arn)

    async def is_passable(self, role_arn: str, account: str) -> bool:
        """In dev also a role of another account that is not here: copied examples name such accounts."""
        arn = Arn.parse(role_arn)
        if arn is None or arn.account == account:
            return arn is not None or self._dev
        named = arn.account
        return self._dev and not await self._store.read(lambda tx: is_here(tx, named))

    async def assumable_by_lambda(self, role_arn: str, function_arn: str | None = None) -> bool:
        """Does the role exist, and does its trust policy let Lambda in, for this function?"""
        return await self.role_for_lambda(role_arn, function_arn) is not None

    async def role_for_lambda(self, role_arn: str, function_arn: str | None = None) -> AssumableRole | None:
        role = await self.role(role_arn)
        if role is None:
            return await self._unknown_role(role_arn)
        context = {"aws:SourceAccount": role.account} | ({"aws:SourceArn": function_arn} if function_arn else {})
        now_ms, compiled = self._clock.now_ms(), self._trust.compile
        if not trusts_service(role.trust_policy, role.arn, LAMBDA, now_ms, context, compiled):
            return None
        return AssumableRole(role.account, role.arn, role.unique_id)

    async def role_for_principal(self, role_arn: str, principal: Principal) -> tuple[AssumableRole, int] | None:
        """The role, and its longest session in seconds. Whether it trusts the caller, the authorizer has asked."""
        role = await self.role(role_arn)
        if role is None:
            unknown = await self._unknown_role(role_arn)
            return None if unknown is None else (unknown, 3600)
        return AssumableRole(role.account, role.arn, role.unique_id), role.max_session_s

    async def account_of_key(self, access_key_id: str) -> str | None:
        """The account that a long-term key belongs to."""
        key = await self._store.read(lambda tx: find_access_key(tx, access_key_id))
        return None if key is None else key.owner.account

    async def session_secret(self) -> bytes:
        if self._secret is None:
            self._secret = await self._store.read(read_session_secret)
        return self._secret

    async def _read_key(self, named: tuple[str, str | None]) -> KnownKey | None:
        access_key_id, session_token = named
        if session_token is not None:
            claims, credentials = await self.sessions.open(access_key_id, session_token)
            return KnownKey(credentials, await self._session_principal(claims))
        key = await self._store.read(lambda tx: find_access_key(tx, access_key_id))
        if key is None or not key.active or self._is_closed(key.owner.account):
            return None
        owner = key.owner
        principal = Principal(PrincipalKind.USER, owner.account, owner.arn, owner.unique_id)
        return KnownKey(Credentials(key.access_key_id, key.secret), principal)

    async def _session_principal(self, claims: SessionClaims) -> Principal:
        """Who a session stands for now: it ends with the user or role that it was made for.

        Raises:
            ServiceError: InvalidClientTokenId when there is no such user or role any more.
        """
        if self._is_closed(claims.account):
            raise invalid_token()
        if claims.kind is PrincipalKind.ROLE:
            return await self._role_session(claims)
        user = await self._store.read(lambda tx: find_user_by_id(tx, claims.account, claims.owner_id))
        if user is None:
            raise invalid_token()
        if claims.kind is PrincipalKind.FEDERATED:
            return _federated(claims, user.arn)
        return Principal(
            PrincipalKind.USER,
            user.account,
            user.arn,
            user.unique_id,
            is_temporary=True,
            session=claims.grant,
            issued_at_ms=claims.issued_at_ms,
        )

    async def _role_session(self, claims: SessionClaims) -> Principal:
        role = await self.role(claims.owner)
        unique_id = role.unique_id if role is not None else self._unknown_id(claims.owner)
        if (role is None and not self._dev) or unique_id != claims.owner_id:
            raise invalid_token()
        name = claims.owner.rpartition("/")[2]
        return Principal(
            PrincipalKind.ROLE,
            claims.account,
            f"arn:aws:sts::{claims.account}:assumed-role/{name}/{claims.session_name}",
            f"{claims.owner_id}:{claims.session_name}",
            role_arn=claims.owner,
            is_temporary=True,
            session=claims.grant,
            issued_at_ms=claims.issued_at_ms,
        )

    async def _read_role(self, role_arn: str) -> Role | None:
        arn = Arn.parse(role_arn)
        if arn is None or arn.service != "iam" or not arn.resource.startswith("role/"):
            return None
        account, name = arn.account, arn.resource.rpartition("/")[2]
        role = await self._store.read(lambda tx: find_role(tx, account, name))
        return role if role is not None and role.arn == role_arn else None

    async def _unknown_role(self, role_arn: str) -> AssumableRole | None:
        """In dev, a session of a role that nobody made: in its own account where that is here, for copied examples in
        the development account."""
        arn = Arn.parse(role_arn)
        if not self._dev or arn is None or arn.service != "iam" or not arn.resource.startswith("role/"):
            return None
        named = arn.account
        account = named if await self._store.read(lambda tx: is_here(tx, named)) else self.account
        return AssumableRole(account, role_arn, self._unknown_id(role_arn))

    def _is_closed(self, account: str) -> bool:
        """Everyone knows the development account's key, so outside --dev nothing of that account holds."""
        return account == DEVELOPMENT_ACCOUNT and not self._dev

    @staticmethod
    def _unknown_id(role_arn: str) -> str:
        """As stable as a role that exists, and never equal to the id of one (a zero is not in base32)."""
        return "AROA" + hashlib.sha256(role_arn.encode()).hexdigest()[:16].upper() + "0"


def _federated(claims: SessionClaims, lender_arn: str) -> Principal:
    """Somebody to whom a user lends its rights, as far as the session's policies go."""
    return Principal(
        PrincipalKind.FEDERATED,
        claims.account,
        f"arn:aws:sts::{claims.account}:federated-user/{claims.session_name}",
        f"{claims.account}:{claims.session_name}",
        is_temporary=True,
        lender_arn=lender_arn,
        session=claims.grant,
        issued_at_ms=claims.issued_at_ms,
    )
