"""The operations on reserved concurrency."""

from cosset.functions.registry import Functions
from cosset.services.lambda_.references import key_of, on_function
from cosset.services.operation import Context, Params, Result, operation


class ConcurrencyOperations:
    """Handlers; the requirements stand beside each."""

    def __init__(self, functions: Functions) -> None:
        self._concurrency = functions.concurrency

    @operation("PutFunctionConcurrency", on_function("PutFunctionConcurrency"))
    async def put_function_concurrency(self, ctx: Context, params: Params) -> Result:
        reserved = params["ReservedConcurrentExecutions"]
        await self._concurrency.put(key_of(ctx, params, bare=True), reserved)
        return {"ReservedConcurrentExecutions": reserved}

    @operation("GetFunctionConcurrency", on_function("GetFunctionConcurrency"))
    async def get_function_concurrency(self, ctx: Context, params: Params) -> Result:
        reserved = await self._concurrency.get(key_of(ctx, params, bare=True))
        return {} if reserved is None else {"ReservedConcurrentExecutions": reserved}

    @operation("DeleteFunctionConcurrency", on_function("DeleteFunctionConcurrency"))
    async def delete_function_concurrency(self, ctx: Context, params: Params) -> None:
        await self._concurrency.delete(key_of(ctx, params, bare=True))
