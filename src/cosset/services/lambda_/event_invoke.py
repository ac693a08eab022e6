"""The operations on event-invoke configs: how asynchronous events are retried, and where their records go."""

from cosset.functions.model import EventInvokeChange, EventInvokeConfig
from cosset.functions.registry import Functions
from cosset.services.lambda_.paging import page_size, read_marker, write_marker
from cosset.services.lambda_.references import key_of, on_function, reference_of
from cosset.services.operation import Context, Params, Result, operation


class EventInvokeOperations:
    """Handlers; the requirements stand beside each."""

    def __init__(self, functions: Functions) -> None:
        self._configs = functions.event_invoke

    @operation("PutFunctionEventInvokeConfig", on_function("PutFunctionEventInvokeConfig"))
    async def put(self, ctx: Context, params: Params) -> Result:
        return _write(await self._configs.put(reference_of(ctx, params), _read(params)))

    @operation("UpdateFunctionEventInvokeConfig", on_function("UpdateFunctionEventInvokeConfig"))
    async def update(self, ctx: Context, params: Params) -> Result:
        return _write(await self._configs.update(reference_of(ctx, params), _read(params)))

    @operation("GetFunctionEventInvokeConfig", on_function("GetFunctionEventInvokeConfig"))
    async def get(self, ctx: Context, params: Params) -> Result:
        return _write(await self._configs.get(reference_of(ctx, params)))

    @operation("DeleteFunctionEventInvokeConfig", on_function("DeleteFunctionEventInvokeConfig"))
    async def delete(self, ctx: Context, params: Params) -> None:
        await self._configs.delete(reference_of(ctx, params))

    @operation("ListFunctionEventInvokeConfigs", on_function("ListFunctionEventInvokeConfigs"))
    async def list(self, ctx: Context, params: Params) -> Result:
        size = page_size(params.get("MaxItems"))
        position = read_marker(params.get("Marker"), of=(str,))
        found = await self._configs.list(
            key_of(ctx, params), after="" if position is None else str(position[0]), limit=size + 1
        )
        result: Result = {"FunctionEventInvokeConfigs": [_write(config) for config in found[:size]]}
        if len(found) > size:
            result["NextMarker"] = write_marker([found[size - 1].qualifier])
        return result


def _read(params: Params) -> EventInvokeChange:
    destinations = params.get("DestinationConfig")
    given = destinations or {}
    return EventInvokeChange(
        max_retries=params.get("MaximumRetryAttempts"),
        max_age_s=params.get("MaximumEventAgeInSeconds"),
        has_destinations=destinations is not None,
        on_success=given.get("OnSuccess", {}).get("Destination") or None,
        on_failure=given.get("OnFailure", {}).get("Destination") or None,
    )


def _write(config: EventInvokeConfig) -> Result:
    result: Result = {
        "LastModified": config.modified_ms / 1000,
        "FunctionArn": config.arn,
        "DestinationConfig": {
            "OnSuccess": {"Destination": config.on_success} if config.on_success else {},
            "OnFailure": {"Destination": config.on_failure} if config.on_failure else {},
        },
    }
    if config.max_retries is not None:
        result["MaximumRetryAttempts"] = config.max_retries
    if config.max_age_s is not None:
        result["MaximumEventAgeInSeconds"] = config.max_age_s
    return result
