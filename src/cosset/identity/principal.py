"""Who is calling. One frozen value that travels with every request, and the credentials that prove it."""

from dataclasses import dataclass, field
from enum import Enum


class PrincipalKind(Enum):
    ROOT = "root"
    USER = "user"
    ROLE = "role"
    FEDERATED = "federated"
    WEB_IDENTITY = "web identity"
    """Whoever an identity provider's token stands for, before a role is taken on. Its ARN is the provider's."""
    SERVICE = "service"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class SessionGrant:
    """What a session was made with. `policies` are documents and `policy_arns` managed policies that narrow it;
    `context` are condition keys that it carries from an identity provider; `multi_factor_ms` is when a second factor
    was shown for it."""

    policies: tuple[str, ...] | None = None
    policy_arns: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    transitive_tag_keys: tuple[str, ...] = ()
    source_identity: str | None = None
    context: tuple[tuple[str, str], ...] = ()
    multi_factor_ms: int | None = None

    @property
    def is_narrowed(self) -> bool:
        """Does only count what session policies allow too? No document, but an empty list of them, allows nothing."""
        return self.policies is not None or bool(self.policy_arns)


UNNARROWED = SessionGrant()


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller. `arn` is what GetCallerIdentity shows (for a role: the assumed-role session's ARN).

    `user_id` is AWS's unique id (`AIDA...`, or `AROA...:session`), `role_arn` the role behind a session, `lender_arn`
    the user behind a federated one. `is_temporary`: calls with a session's credentials, a role's or a user's own;
    `session` is what that session was made with, `issued_at_ms` when.
    """

    kind: PrincipalKind
    account: str
    arn: str
    user_id: str
    role_arn: str | None = None
    is_temporary: bool = False
    lender_arn: str | None = None
    session: SessionGrant = UNNARROWED
    issued_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Credentials:
    """Keys that sign requests. `session_token` and `expires_at_ms` (epoch) only for temporary ones."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    expires_at_ms: int | None = None


NOBODY = Principal(kind=PrincipalKind.ANONYMOUS, account="", arn="", user_id="")
"""Who did not sign. Compared by identity."""
