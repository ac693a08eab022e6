"""Temporary credentials without a record: the session token carries its claims under a seal, the rest is derived.

The server keeps one secret. The token is the claims, encrypted and sealed under it; the secret access key is an HMAC of
the token, so that nothing is written to issue a session, any node can check one, none can be forged, and whoever holds
one learns nothing of what is in it. What that is: `session_claims.py`.
Whose key it is: `services/iam/directory.py`.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import Protocol

from cosset.clock import Clock
from cosset.identity.key_material import RandomBytes, new_access_key_id, secret_text
from cosset.identity.principal import UNNARROWED, Credentials, PrincipalKind, SessionGrant
from cosset.identity.sealing import NONCE_BYTES, open_sealed, seal
from cosset.identity.session_claims import SessionClaims, pack_claims, unpack_claims
from cosset.wire.errors import ServiceError

__all__ = ["AssumableRole", "RoleBook", "SecretSource", "SessionClaims", "Sessions"]

SOURCE_FUNCTION = "lambda:SourceFunctionArn"
"""The condition key that calls of a function carry."""
_CONTEXT = b"session token"
_MAX_TOKEN_CHARS = 8192


@dataclass(frozen=True, slots=True)
class AssumableRole:
    """As much of a role as a session needs."""

    account: str
    arn: str
    unique_id: str


class RoleBook(Protocol):
    """Where roles are looked up."""

    async def role_for_lambda(self, role_arn: str, function_arn: str | None = None) -> AssumableRole | None:
        """The role, if there is one and it trusts Lambda."""
        ...


class SecretSource(Protocol):
    """Where the server's secret is kept."""

    async def session_secret(self) -> bytes: ...


def invalid_token() -> ServiceError:
    return ServiceError("InvalidClientTokenId", "The security token included in the request is invalid.", status=403)


def expired_token() -> ServiceError:
    return ServiceError("ExpiredToken", "The security token included in the request is expired", status=403)


class Sessions:
    """Issues and checks temporary credentials; implements `ports.SessionIssuer` for what functions run with."""

    def __init__(self, secrets: SecretSource, roles: RoleBook, clock: Clock, random_bytes: RandomBytes) -> None:
        self._secrets = secrets
        self._roles = roles
        self._clock = clock
        self._random_bytes = random_bytes

    async def issue(
        self, role_arn: str, session_name: str, duration_s: int, function_arn: str | None = None
    ) -> Credentials:
        """Credentials of a role for Lambda.

        Raises:
            ServiceError: AccessDeniedException when the role is unknown or does not trust Lambda.
        """
        role = await self._roles.role_for_lambda(role_arn, function_arn)
        if role is None:
            sentence = "The role defined for the function cannot be assumed by Lambda."
            raise ServiceError("AccessDeniedException", sentence, status=403)
        said = ((SOURCE_FUNCTION, function_arn),) if function_arn is not None else ()
        return await self.issue_for_role(role, session_name, duration_s, SessionGrant(context=said))

    async def issue_for_role(
        self, role: AssumableRole, session_name: str, duration_s: int, grant: SessionGrant = UNNARROWED
    ) -> Credentials:
        """Credentials of a role; whether the caller may have them has been decided."""
        owner = _Owner(PrincipalKind.ROLE, role.account, role.arn, role.unique_id)
        return await self._issue(owner, session_name, duration_s, grant)

    async def issue_for_user(
        self,
        kind: PrincipalKind,
        account: str,
        user_name: str,
        user_id: str,
        duration_s: int,
        grant: SessionGrant = UNNARROWED,
    ) -> Credentials:
        """Credentials that stand for a user (or the account's root) itself."""
        return await self._issue(_Owner(kind, account, user_name, user_id), "", duration_s, grant)

    async def issue_for_federated(
        self, account: str, user_name: str, user_id: str, federated_name: str, duration_s: int, grant: SessionGrant
    ) -> Credentials:
        """Credentials that a user lends to somebody of this name: the user's rights, within `grant`."""
        owner = _Owner(PrincipalKind.FEDERATED, account, user_name, user_id)
        return await self._issue(owner, federated_name, duration_s, grant)

    async def open(self, access_key_id: str, token: str) -> tuple[SessionClaims, Credentials]:
        """What a token says, once its seal, its key and its time hold.

        Raises:
            ServiceError: InvalidClientTokenId, ExpiredToken. The door gives them the names that each protocol uses.
        """
        claims = _unseal(await self._secrets.session_secret(), token)
        if not hmac.compare_digest(claims.access_key_id.encode(), access_key_id.encode()):
            raise invalid_token()
        if claims.expires_at_ms <= self._clock.now_ms():
            raise expired_token()
        secret = _secret_access_key(await self._secrets.session_secret(), token)
        return claims, Credentials(access_key_id, secret, token, claims.expires_at_ms)

    async def _issue(self, owner: "_Owner", session_name: str, duration_s: int, grant: SessionGrant) -> Credentials:
        secret = await self._secrets.session_secret()
        # AWS's times are whole seconds.
        issued_at_ms = self._clock.now_ms() // 1000 * 1000
        claims = SessionClaims(
            new_access_key_id("ASIA", self._random_bytes),
            owner.kind,
            owner.account,
            owner.name,
            owner.unique_id,
            session_name,
            issued_at_ms + duration_s * 1000,
            issued_at_ms,
            grant,
        )
        token = _seal(secret, claims, self._random_bytes(NONCE_BYTES))
        return Credentials(claims.access_key_id, _secret_access_key(secret, token), token, claims.expires_at_ms)


@dataclass(frozen=True, slots=True)
class _Owner:
    kind: PrincipalKind
    account: str
    name: str
    unique_id: str


def _mac(secret: bytes, label: bytes, data: bytes) -> bytes:
    return hmac.digest(secret, label + b"\0" + data, hashlib.sha256)


def _secret_access_key(secret: bytes, token: str) -> str:
    return secret_text(_mac(secret, b"secret access key", token.encode()))


def _seal(secret: bytes, claims: SessionClaims, nonce: bytes) -> str:
    return base64.b64encode(seal(secret, _CONTEXT, pack_claims(claims), nonce)).decode("ascii")


def _unseal(secret: bytes, token: str) -> SessionClaims:
    if len(token) > _MAX_TOKEN_CHARS:
        raise invalid_token()
    try:
        sealed = base64.b64decode(token.encode("ascii"), validate=True)
    except ValueError:
        raise invalid_token() from None
    body = open_sealed(secret, _CONTEXT, sealed)
    if body is None:
        raise invalid_token()
    return unpack_claims(body)
