"""What other rooms ask of identity, and what identity asks of whoever keeps the records (services/iam)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cosset.identity.principal import Credentials, Principal


@dataclass(frozen=True, slots=True)
class KnownKey:
    """An access key that the door may accept, and who it stands for."""

    credentials: Credentials
    principal: Principal


class KeyDirectory(Protocol):
    """Finds access keys. Answers from memory after the first look-up; dropped by the change feed."""

    async def find_key(self, access_key_id: str, session_token: str | None) -> KnownKey | None:
        """The key, or None when it is unknown or inactive.

        Raises:
            ServiceError: InvalidClientTokenId or ExpiredToken for session tokens that do not hold.
        """
        ...


@dataclass(frozen=True, slots=True)
class Requirement:
    """One thing an operation needs: this IAM action on this resource, with these condition keys (a sequence for those
    that have several values)."""

    action: str
    resource: str
    context: Mapping[str, str | Sequence[str]] = field(default_factory=dict)


class Authorizer(Protocol):
    """Decides every call."""

    async def authorize(self, principal: Principal, requirements: Sequence[Requirement]) -> None:
        """Returns when all requirements are allowed.

        Raises:
            ServiceError: AccessDeniedException in AWS's sentence, for the first that is not.
        """
        ...


class SessionIssuer(Protocol):
    """Makes temporary credentials of a role (what a function runs with)."""

    async def issue(self, role_arn: str, session_name: str, duration_s: int) -> Credentials:
        """Raises:
        ServiceError: when the role is unknown or does not trust Lambda.
        """
        ...
