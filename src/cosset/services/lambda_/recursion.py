"""The operations on recursion configs."""

from cosset.functions.registry import Functions
from cosset.services.lambda_.references import key_of, on_function
from cosset.services.operation import Context, Params, Result, operation


class RecursionOperations:
    """Handlers; the requirements stand beside each."""

    def __init__(self, functions: Functions) -> None:
        self._recursion = functions.recursion

    @operation("PutFunctionRecursionConfig", on_function("PutFunctionRecursionConfig"))
    async def put_function_recursion_config(self, ctx: Context, params: Params) -> Result:
        await self._recursion.put(key_of(ctx, params), params["RecursiveLoop"])
        return {"RecursiveLoop": params["RecursiveLoop"]}

    @operation("GetFunctionRecursionConfig", on_function("GetFunctionRecursionConfig"))
    async def get_function_recursion_config(self, ctx: Context, params: Params) -> Result:
        return {"RecursiveLoop": await self._recursion.get(key_of(ctx, params))}
