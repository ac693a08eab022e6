"""The operations on the accounts of this server, for the administrators of the account that it started with."""

from collections.abc import Sequence
from typing import Protocol

from cosset.identity.ports import Requirement
from cosset.identity.principal import Credentials
from cosset.services.operation import Context, Params, Requirements, Result, operation
from cosset.wire.errors import ServiceError


class Accounts(Protocol):
    """Who keeps the accounts (services/iam)."""

    @property
    def own(self) -> str: ...

    async def add(self, account: str | None) -> tuple[str, Credentials]: ...

    async def list(self) -> list[tuple[str, str | None, int]]: ...


def _on_accounts(action: str) -> Requirements:
    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        return [Requirement(f"cosset:{action}", "*")]

    return requirements


class AccountOperations:
    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    @operation("CreateAccount", _on_accounts("CreateAccount"))
    async def create_account(self, ctx: Context, params: Params) -> Result:
        """An account of its own with an administrator, whose key is told once."""
        self._refuse_others(ctx, "CreateAccount")
        wanted = params.get("account")
        if not isinstance(wanted, str | None):
            raise ServiceError("ValidationError", "account must be a text of twelve digits.")
        account, key = await self._accounts.add(wanted)
        return {
            "account": account,
            "access_key_id": key.access_key_id,
            "secret_access_key": key.secret_access_key,
        }

    @operation("ListAccounts", _on_accounts("ListAccounts"))
    async def list_accounts(self, ctx: Context, params: Params) -> Result:
        self._refuse_others(ctx, "ListAccounts")
        own = self._accounts.own
        shown = [
            {"account": account, "alias": alias, "created_ms": created_ms, "own": account == own}
            for account, alias, created_ms in await self._accounts.list()
        ]
        return {"accounts": shown}

    def _refuse_others(self, ctx: Context, action: str) -> None:
        """An administrator is one of its own account: which others there are is not its to know."""
        if ctx.account != self._accounts.own:
            sentence = f"User: {ctx.principal.arn} is not authorized to perform: cosset:{action}"
            raise ServiceError("AccessDeniedException", f"{sentence} in account {ctx.account}", status=403)
