"""Who is calling. One frozen value that travels with every request, and the credentials that prove it."""

from dataclasses import dataclass
from enum import Enum


class PrincipalKind(Enum):
    ROOT = "root"
    USER = "user"
    ROLE = "role"
    SERVICE = "service"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller. `arn` is what GetCallerIdentity shows (for a role: the assumed-role session's ARN).

    `user_id` is AWS's unique id (`AIDA...`, or `AROA...:session`), `role_arn` the role behind a session.
    `is_temporary`: calls with a session's credentials, a role's or a user's own.
    """

    kind: PrincipalKind
    account: str
    arn: str
    user_id: str
    is_administrator: bool = False
    role_arn: str | None = None
    is_temporary: bool = False


@dataclass(frozen=True, slots=True)
class Credentials:
    """Keys that sign requests. `session_token` and `expires_at_ms` (epoch) only for temporary ones."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None
    expires_at_ms: int | None = None
