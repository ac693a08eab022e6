"""What other rooms ask of identity, and what identity asks of whoever keeps the records (services/iam)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cosset.identity.evaluation.context import CallContext, ContextValue
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
    """One thing an operation needs: this IAM action on this resource, with these condition keys of its own.

    What is known of the caller and of the call (`evaluation/context.py`) is not the operation's to say. A resource may
    be named shortly, without its path; `is_exact` means that it is not (it is still to be made, say). `called` is what
    a refusal calls it, where AWS does not say the ARN.
    """

    action: str
    resource: str
    context: Mapping[str, ContextValue] = field(default_factory=dict)
    is_exact: bool = False
    called: str = ""


def tag_request(tags: Mapping[str, str], keys: Sequence[str] = ()) -> dict[str, ContextValue]:
    """The condition keys of a call that gives these tags, or that takes the tags with these `keys` away."""
    named = [*tags, *keys]
    context: dict[str, ContextValue] = {f"aws:RequestTag/{name}": value for name, value in tags.items()}
    return context | ({"aws:TagKeys": named} if named else {})


class Authorizer(Protocol):
    """Decides every call."""

    async def authorize(
        self, principal: Principal, requirements: Sequence[Requirement], call: CallContext | None = None
    ) -> None:
        """Returns when all requirements are allowed. `call` None: nothing is known of how the call came.

        Raises:
            ServiceError: AccessDeniedException in AWS's sentence, for the first that is not.
        """
        ...

    def has_allowed(self, principal: Principal, requirement: Requirement, call: CallContext) -> bool:
        """Whether this was allowed before, and nothing that it rests on has changed since. False says nothing:
        `authorize` decides. For who is within a transaction and cannot wait; on any thread."""
        ...


class UseNotes(Protocol):
    """Hears of every call with a key that holds, whatever is decided of it."""

    def used(self, access_key_id: str, principal: Principal, service: str, region: str, now_ms: int) -> None: ...


class SessionIssuer(Protocol):
    """Makes temporary credentials of a role (what a function runs with)."""

    async def issue(
        self, role_arn: str, session_name: str, duration_s: int, function_arn: str | None = None
    ) -> Credentials:
        """`function_arn`: for whom; the role's trust policy may ask, and so may policies on what the function calls.

        Raises:
        ServiceError: when the role is unknown or does not trust Lambda.
        """
        ...
