"""The operations on runtime management configs."""

from cosset.functions.model import FunctionVersion
from cosset.functions.registry import Functions
from cosset.services.lambda_.references import on_function, reference_of
from cosset.services.operation import Context, Params, Result, operation


class RuntimeManagementOperations:
    """Handlers; the requirements stand beside each."""

    def __init__(self, functions: Functions) -> None:
        self._runtimes = functions.runtime_management

    @operation("PutRuntimeManagementConfig", on_function("PutRuntimeManagementConfig"))
    async def put_runtime_management_config(self, ctx: Context, params: Params) -> Result:
        return _write(
            await self._runtimes.put(
                reference_of(ctx, params), params["UpdateRuntimeOn"], params.get("RuntimeVersionArn")
            )
        )

    @operation("GetRuntimeManagementConfig", on_function("GetRuntimeManagementConfig"))
    async def get_runtime_management_config(self, ctx: Context, params: Params) -> Result:
        return _write(await self._runtimes.get(reference_of(ctx, params)))


def _write(version: FunctionVersion) -> Result:
    result: Result = {"UpdateRuntimeOn": version.runtime_update_on, "FunctionArn": version.qualified_arn}
    if version.runtime_pin is not None:
        result["RuntimeVersionArn"] = version.runtime_pin
    return result
