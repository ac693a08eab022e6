"""What functions ask of other rooms."""

from typing import Protocol


class RoleDirectory(Protocol):
    """Knows the roles (services/iam implements it; with `--dev` also those that nobody made)."""

    async def is_passable(self, role_arn: str, account: str) -> bool:
        """Whether functions of this account may be given the role: one of its own."""
        ...

    async def assumable_by_lambda(self, role_arn: str, function_arn: str | None = None) -> bool:
        """Whether the role exists and trusts lambda.amazonaws.com."""
        ...


class RuntimeCatalogue(Protocol):
    """Knows which runtime names may be used here."""

    async def refusal(self, runtime: str) -> str | None:
        """Why a function may not be created with (or moved to) this runtime, in AWS's words; None when it may."""
        ...
