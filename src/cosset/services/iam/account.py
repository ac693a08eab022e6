"""The operations on the account itself that client tools make on their way to something else."""

from sqlalchemy import Table, func, select

from cosset.services.iam.requirements import on_everything
from cosset.services.iam.tables import policies, roles, users
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction


class Account:
    def __init__(self, store: Store) -> None:
        self._store = store

    @operation("GetAccountSummary", on_everything("GetAccountSummary"))
    async def get_account_summary(self, ctx: Context, params: Params) -> Result:
        """What there is of what Cosset keeps. Quotas are left out: few of AWS's are enforced here."""

        def work(tx: Transaction) -> dict[str, int]:
            return {
                "Users": _count(tx, users, ctx.account),
                "Roles": _count(tx, roles, ctx.account),
                "Policies": _count(tx, policies, ctx.account),
                "AccountAccessKeysPresent": 0,
                "AccountMFAEnabled": 0,
            }

        return {"SummaryMap": await self._store.read(work)}

    @operation("ListAccountAliases", on_everything("ListAccountAliases"))
    async def list_account_aliases(self, ctx: Context, params: Params) -> Result:
        """None ever, as long as an alias cannot be made. Terraform asks for them with every plan."""
        return {"AccountAliases": [], "IsTruncated": False}


def _count(tx: Transaction, table: Table, account: str) -> int:
    return int(tx.execute(select(func.count()).select_from(table).where(table.c.account == account)).scalar_one())
