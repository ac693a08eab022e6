"""What STS asks of IAM. `services/iam/directory.py` and `identity/sessions.py` are behind it; node.py wires them."""

from typing import Protocol

from cosset.identity.principal import UNNARROWED, Credentials, Principal, PrincipalKind, SessionGrant
from cosset.identity.sessions import AssumableRole


class Provider(Protocol):
    """An OpenID Connect provider. `url` is without its scheme, which is https."""

    @property
    def arn(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def client_ids(self) -> tuple[str, ...]: ...
    @property
    def thumbprints(self) -> tuple[str, ...]: ...


class ProviderBook(Protocol):
    """Knows whose web identities an account accepts."""

    async def find_provider(self, account: str, url: str) -> Provider | None: ...


class SecondFactors(Protocol):
    """Knows users' MFA devices."""

    async def verify(self, account: str, user_name: str, serial: str, code: str) -> bool:
        """Whether this is a code of that user's device that was not taken before; it is taken now."""
        ...


class TrustingRole(Protocol):
    """As much of a role as says who may take it on."""

    @property
    def account(self) -> str: ...
    @property
    def arn(self) -> str: ...
    @property
    def unique_id(self) -> str: ...
    @property
    def trust_policy(self) -> str: ...
    @property
    def max_session_s(self) -> int: ...


class RoleDirectory(Protocol):
    async def role(self, role_arn: str) -> TrustingRole | None:
        """The role with exactly this ARN."""
        ...

    async def role_for_principal(self, role_arn: str, principal: Principal) -> tuple[AssumableRole, int] | None:
        """The role, and its longest session in seconds. Whether it trusts the caller is decided by now."""
        ...

    async def account_of_key(self, access_key_id: str) -> str | None: ...

    async def session_secret(self) -> bytes: ...


class SessionMaker(Protocol):
    async def issue_for_role(
        self, role: AssumableRole, session_name: str, duration_s: int, grant: SessionGrant = UNNARROWED
    ) -> Credentials: ...

    async def issue_for_user(
        self,
        kind: PrincipalKind,
        account: str,
        user_name: str,
        user_id: str,
        duration_s: int,
        grant: SessionGrant = UNNARROWED,
    ) -> Credentials: ...

    async def issue_for_federated(
        self, account: str, user_name: str, user_id: str, federated_name: str, duration_s: int, grant: SessionGrant
    ) -> Credentials: ...
