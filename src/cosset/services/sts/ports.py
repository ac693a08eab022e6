"""What STS asks of IAM. `services/iam/directory.py` and `identity/sessions.py` are behind it; node.py wires them."""

from typing import Protocol

from cosset.identity.principal import UNNARROWED, Credentials, Principal, PrincipalKind, SessionGrant
from cosset.identity.sessions import AssumableRole


class RoleDirectory(Protocol):
    async def role_for_principal(self, role_arn: str, principal: Principal) -> tuple[AssumableRole, int] | None:
        """The role, if it is there, and its longest session in seconds. Whether it trusts the caller is decided before."""
        ...

    async def account_of_key(self, access_key_id: str) -> str | None: ...

    async def session_secret(self) -> bytes: ...


class SessionMaker(Protocol):
    async def issue_for_role(
        self, role: AssumableRole, session_name: str, duration_s: int, grant: SessionGrant = UNNARROWED
    ) -> Credentials: ...

    async def issue_for_user(
        self, kind: PrincipalKind, account: str, user_name: str, user_id: str, duration_s: int
    ) -> Credentials: ...

    async def issue_for_federated(
        self, account: str, user_name: str, user_id: str, federated_name: str, duration_s: int, grant: SessionGrant
    ) -> Credentials: ...
