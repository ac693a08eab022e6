"""The account's limits, and what of them is used."""

from cosset.functions.archive import MAX_UNZIPPED_BYTES, MAX_ZIPPED_BYTES
from cosset.functions.registry import Functions
from cosset.functions.usage import MAX_CODE_BYTES
from cosset.services.lambda_.references import on_everything
from cosset.services.operation import Context, Params, Result, operation


class AccountOperations:
    def __init__(self, functions: Functions) -> None:
        self._functions = functions

    @operation("GetAccountSettings", on_everything("GetAccountSettings"))
    async def get_account_settings(self, ctx: Context, params: Params) -> Result:
        count, size = await self._functions.totals(ctx.account, ctx.region)
        concurrency = self._functions.concurrency
        return {
            "AccountLimit": {
                "TotalCodeSize": MAX_CODE_BYTES,
                "CodeSizeUnzipped": MAX_UNZIPPED_BYTES,
                "CodeSizeZipped": MAX_ZIPPED_BYTES,
                "ConcurrentExecutions": concurrency.limit,
                "UnreservedConcurrentExecutions": await concurrency.unreserved(ctx.account, ctx.region),
            },
            "AccountUsage": {"TotalCodeSize": size, "FunctionCount": count},
        }
