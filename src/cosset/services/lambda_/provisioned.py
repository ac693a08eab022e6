"""The operations on provisioned concurrency."""

import time
from typing import Protocol

from cosset.functions.provisioned import Provisioned
from cosset.functions.registry import Functions
from cosset.invocation.provisioning import Progress, ProvisionStatus
from cosset.services.lambda_.paging import page_size, read_marker, write_marker
from cosset.services.lambda_.references import key_of, on_function, reference_of
from cosset.services.operation import Context, Params, Result, operation


class Provisions(Protocol):
    """How far what was asked for has come (invocation/provisioning.py implements it)."""

    def progress(self, owner: str, stamp: str) -> Progress: ...


class ProvisionedConcurrencyOperations:
    """Handlers; the requirements stand beside each."""

    def __init__(self, functions: Functions, provisions: Provisions) -> None:
        self._configs = functions.provisioned
        self._provisions = provisions

    @operation("PutProvisionedConcurrencyConfig", on_function("PutProvisionedConcurrencyConfig"))
    async def put_provisioned_concurrency_config(self, ctx: Context, params: Params) -> Result:
        reference = reference_of(ctx, params)
        return self._write(await self._configs.put(reference, params["ProvisionedConcurrentExecutions"]))

    @operation("GetProvisionedConcurrencyConfig", on_function("GetProvisionedConcurrencyConfig"))
    async def get_provisioned_concurrency_config(self, ctx: Context, params: Params) -> Result:
        return self._write(await self._configs.get(reference_of(ctx, params)))

    @operation("DeleteProvisionedConcurrencyConfig", on_function("DeleteProvisionedConcurrencyConfig"))
    async def delete_provisioned_concurrency_config(self, ctx: Context, params: Params) -> None:
        await self._configs.delete(reference_of(ctx, params))

    @operation("ListProvisionedConcurrencyConfigs", on_function("ListProvisionedConcurrencyConfigs"))
    async def list_provisioned_concurrency_configs(self, ctx: Context, params: Params) -> Result:
        key = key_of(ctx, params)
        size = page_size(params.get("MaxItems"))
        position = read_marker(params.get("Marker"), of=(str,))
        found = await self._configs.list(key, after=str(position[0]) if position else "", limit=size + 1)
        result: Result = {
            "ProvisionedConcurrencyConfigs": [
                {"FunctionArn": each.config.arn, **self._write(each)} for each in found[:size]
            ]
        }
        if len(found) > size:
            result["NextMarker"] = write_marker([found[size - 1].config.qualifier])
        return result

    def _write(self, provisioned: Provisioned) -> Result:
        config = provisioned.config
        progress = self._provisions.progress(config.arn, provisioned.stamp)
        result: Result = {
            "RequestedProvisionedConcurrentExecutions": config.requested,
            "AvailableProvisionedConcurrentExecutions": progress.available,
            "AllocatedProvisionedConcurrentExecutions": progress.allocated,
            "Status": progress.status.value,
            "LastModified": time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime(config.modified_ms / 1000)),
        }
        if progress.status is ProvisionStatus.FAILED:
            result["StatusReason"] = progress.reason
        return result
