"""Temporary credentials without a record: the session token carries its claims under a seal, the rest is derived.

The server keeps one secret. The token is the claims and their HMAC; the secret access key is another HMAC of the
same, so that nothing is written to issue a session, any node can check one, and none can be forged. The claims are
readable by whoever holds the token: they name the caller, nothing secret. Whose key it is: `services/iam/directory.py`.
"""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Protocol

from cosset.clock import Clock
from cosset.identity.key_material import RandomBytes, new_access_key_id, secret_text
from cosset.identity.principal import Credentials, PrincipalKind
from cosset.wire.errors import ServiceError

_SEAL_BYTES = 32
_MAX_TOKEN_CHARS = 4096


@dataclass(frozen=True, slots=True)
class SessionClaims:
    """What a session token says. `owner` is a role's ARN or a user's name, `owner_id` its unique id, which a
    successor of the same name does not share; `session_name` is empty for a user's own session."""

    access_key_id: str
    kind: PrincipalKind
    account: str
    owner: str
    owner_id: str
    session_name: str
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class AssumableRole:
    """As much of a role as a session needs."""

    account: str
    arn: str
    unique_id: str


class RoleBook(Protocol):
    """Where roles are looked up."""

    async def role_for_lambda(self, role_arn: str) -> AssumableRole | None:
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

    async def issue(self, role_arn: str, session_name: str, duration_s: int) -> Credentials:
        """Credentials of a role for Lambda.

        Raises:
            ServiceError: AccessDeniedException when the role is unknown or does not trust Lambda.
        """
        role = await self._roles.role_for_lambda(role_arn)
        if role is None:
            sentence = "The role defined for the function cannot be assumed by Lambda."
            raise ServiceError("AccessDeniedException", sentence, status=403)
        return await self.issue_for_role(role, session_name, duration_s)

    async def issue_for_role(self, role: AssumableRole, session_name: str, duration_s: int) -> Credentials:
        """Credentials of a role; whether the caller may have them has been decided."""
        return await self._issue(PrincipalKind.ROLE, role.account, role.arn, role.unique_id, session_name, duration_s)

    async def issue_for_user(
        self, kind: PrincipalKind, account: str, user_name: str, user_id: str, duration_s: int
    ) -> Credentials:
        """Credentials that stand for a user (or the account's root) itself."""
        return await self._issue(kind, account, user_name, user_id, "", duration_s)

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

    async def _issue(
        self, kind: PrincipalKind, account: str, owner: str, owner_id: str, session_name: str, duration_s: int
    ) -> Credentials:
        secret = await self._secrets.session_secret()
        # AWS's expiries are whole seconds.
        expires_at_ms = self._clock.now_ms() // 1000 * 1000 + duration_s * 1000
        key_id = new_access_key_id("ASIA", self._random_bytes)
        token = _seal(secret, SessionClaims(key_id, kind, account, owner, owner_id, session_name, expires_at_ms))
        return Credentials(key_id, _secret_access_key(secret, token), token, expires_at_ms)


def _mac(secret: bytes, label: bytes, data: bytes) -> bytes:
    return hmac.digest(secret, label + b"\0" + data, hashlib.sha256)


def _secret_access_key(secret: bytes, token: str) -> str:
    return secret_text(_mac(secret, b"secret access key", token.encode()))


def _seal(secret: bytes, claims: SessionClaims) -> str:
    fields = [claims.access_key_id, claims.kind.value, claims.account, claims.owner, claims.owner_id]
    body = json.dumps([*fields, claims.session_name, claims.expires_at_ms], separators=(",", ":")).encode()
    return base64.b64encode(_mac(secret, b"session token", body) + body).decode("ascii")


def _unseal(secret: bytes, token: str) -> SessionClaims:
    if len(token) > _MAX_TOKEN_CHARS:
        raise invalid_token()
    try:
        sealed = base64.b64decode(token.encode("ascii"), validate=True)
    except ValueError:
        raise invalid_token() from None
    seal, body = sealed[:_SEAL_BYTES], sealed[_SEAL_BYTES:]
    if not hmac.compare_digest(seal, _mac(secret, b"session token", body)):
        raise invalid_token()
    # Only what this server sealed comes this far, so the shape is known.
    key_id, kind, account, owner, owner_id, session_name, expires_at_ms = json.loads(body)
    return SessionClaims(key_id, PrincipalKind(kind), account, owner, owner_id, session_name, expires_at_ms)
