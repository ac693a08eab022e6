"""The operations on event source mappings."""

from collections.abc import Sequence
from typing import Any

from cosset.functions import errors
from cosset.functions.names import FunctionReference, parse_reference, resource_arn
from cosset.identity.evaluation.context import ContextValue
from cosset.identity.ports import Requirement, tag_request
from cosset.invocation.destinations import service_of
from cosset.services.lambda_.paging import page_size, read_marker, write_marker
from cosset.services.lambda_.references import on_everything, own
from cosset.services.operation import Context, Params, Requirements, Result, operation
from cosset.triggers import rules
from cosset.triggers.mappings import EventSourceMappings
from cosset.triggers.model import EventSourceMapping, MappingSettings

_MAX_ITEMS = 100

# Members for other kinds of sources than queues and streams.
_FOREIGN = (
    "Topics",
    "Queues",
    "SourceAccessConfigurations",
    "AmazonManagedKafkaEventSourceConfig",
    "SelfManagedKafkaEventSourceConfig",
    "DocumentDBEventSourceConfig",
)
_OWN_KINDS = frozenset({"sqs", "kinesis", "dynamodb"})
_MEMBERS = {
    "batch_size": "BatchSize",
    "window_s": "MaximumBatchingWindowInSeconds",
    "parallelization": "ParallelizationFactor",
    "max_record_age_s": "MaximumRecordAgeInSeconds",
    "max_retries": "MaximumRetryAttempts",
    "bisect": "BisectBatchOnFunctionError",
    "tumbling_window_s": "TumblingWindowInSeconds",
    "starting_position": "StartingPosition",
}


def _on_mapping(action: str) -> Requirements:
    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        return (Requirement(f"lambda:{action}", _arn(ctx, params["UUID"]), _function_key(ctx, params)),)

    return requirements


def _on_new(ctx: Context, params: Params) -> Sequence[Requirement]:
    tags = params.get("Tags") or {}
    context = tag_request(tags) | _function_key(ctx, params)
    needed = [Requirement("lambda:CreateEventSourceMapping", "*", context)]
    if tags:
        needed.append(Requirement("lambda:TagResource", _arn(ctx, "*"), context))
    return needed


def _function_key(ctx: Context, params: Params) -> dict[str, ContextValue]:
    """The function that the mapping is to have, for policies that allow some functions only."""
    name = params.get("FunctionName")
    if not name:
        return {}
    return {"lambda:FunctionArn": resource_arn(name, None, account=ctx.account, region=ctx.region)}


def _arn(ctx: Context, uuid: str) -> str:
    return f"arn:aws:lambda:{ctx.region}:{ctx.account}:event-source-mapping:{uuid}"


class EventSourceMappingOperations:
    """Handlers; the requirements stand beside each."""

    def __init__(self, mappings: EventSourceMappings) -> None:
        self._mappings = mappings

    @operation("CreateEventSourceMapping", _on_new)
    async def create_event_source_mapping(self, ctx: Context, params: Params) -> Result:
        if params.get("SelfManagedEventSource"):
            raise errors.not_here("Apache Kafka of one's own (SelfManagedEventSource)")
        if service_of(params.get("EventSourceArn", "")) in _OWN_KINDS:
            _refuse_foreign(params)
        mapping = await self._mappings.create(
            _function_of(ctx, params),
            params.get("EventSourceArn"),
            _read(params),
            enabled=params.get("Enabled", True),
            tags=params.get("Tags") or {},
        )
        return self._write(mapping)

    @operation("GetEventSourceMapping", _on_mapping("GetEventSourceMapping"))
    async def get_event_source_mapping(self, ctx: Context, params: Params) -> Result:
        return self._write(await self._mappings.get(ctx.account, ctx.region, params["UUID"]))

    @operation("ListEventSourceMappings", on_everything("ListEventSourceMappings"))
    async def list_event_source_mappings(self, ctx: Context, params: Params) -> Result:
        size = page_size(params.get("MaxItems"), at_most=_MAX_ITEMS)
        position = read_marker(params.get("Marker"), of=(str,))
        found = await self._mappings.list(
            ctx.account,
            ctx.region,
            source_arn=params.get("EventSourceArn"),
            function_arn=_function_of(ctx, params).arn if params.get("FunctionName") else None,
            after="" if position is None else str(position[0]),
            limit=size + 1,
        )
        result: Result = {"EventSourceMappings": [self._write(mapping) for mapping in found[:size]]}
        if len(found) > size:
            result["NextMarker"] = write_marker([found[size - 1].uuid])
        return result

    @operation("UpdateEventSourceMapping", _on_mapping("UpdateEventSourceMapping"))
    async def update_event_source_mapping(self, ctx: Context, params: Params) -> Result:
        _refuse_foreign(params)
        mapping = await self._mappings.update(
            ctx.account,
            ctx.region,
            params["UUID"],
            _read(params),
            function=_function_of(ctx, params) if params.get("FunctionName") else None,
            enabled=params.get("Enabled"),
        )
        return self._write(mapping)

    @operation("DeleteEventSourceMapping", _on_mapping("DeleteEventSourceMapping"))
    async def delete_event_source_mapping(self, ctx: Context, params: Params) -> Result:
        return self._write(await self._mappings.delete(ctx.account, ctx.region, params["UUID"]))

    def _write(self, mapping: EventSourceMapping) -> Result:
        return write_mapping(mapping, self._mappings.now_ms())


def write_mapping(mapping: EventSourceMapping, now_ms: int) -> Result:
    """As AWS shows it: queues have fewer members than streams, and another word for who changed it."""
    settings, is_stream = mapping.settings, mapping.kind.is_stream
    result: dict[str, Any] = {
        "UUID": mapping.uuid,
        "EventSourceMappingArn": mapping.arn,
        "EventSourceArn": mapping.source_arn,
        "FunctionArn": mapping.function.arn,
        "LastModified": mapping.modified_ms / 1000,
        "State": mapping.state(now_ms),
        "StateTransitionReason": "User action" if is_stream else "USER_INITIATED",
        "FunctionResponseTypes": list(settings.response_types or ()),
        "StartingPositionTimestamp": settings.starting_timestamp,
        "KMSKeyArn": settings.kms_key,
        **{member: getattr(settings, name) for name, member in _MEMBERS.items()},
    }
    if is_stream:
        result["DestinationConfig"] = {"OnFailure": {"Destination": settings.on_failure} if settings.on_failure else {}}
        result["LastProcessingResult"] = mapping.last_result or "No records processed"
    elif mapping.last_result.startswith("PROBLEM"):
        result["LastProcessingResult"] = mapping.last_result
    if settings.filters:
        result["FilterCriteria"] = {"Filters": [{"Pattern": pattern} for pattern in settings.filters]}
    if settings.max_concurrency:
        result["ScalingConfig"] = {"MaximumConcurrency": settings.max_concurrency}
    if settings.metrics:
        result["MetricsConfig"] = {"Metrics": list(settings.metrics)}
    return {name: value for name, value in result.items() if value is not None}


def _refuse_foreign(params: Params) -> None:
    for member in _FOREIGN:
        if params.get(member):
            raise rules.unsupported(member)


def _read(params: Params) -> MappingSettings:
    for member in ("ProvisionedPollerConfig", "LoggingConfig"):
        if params.get(member):
            raise errors.not_here(f"{member} of event source mappings")
    destinations = params.get("DestinationConfig") or {}
    timestamp = params.get("StartingPositionTimestamp")
    scaling = params.get("ScalingConfig")
    return MappingSettings(
        **{name: params.get(member) for name, member in _MEMBERS.items()},
        starting_timestamp=None if timestamp is None else timestamp.timestamp(),
        has_destinations=params.get("DestinationConfig") is not None,
        on_success=destinations.get("OnSuccess", {}).get("Destination") or None,
        on_failure=destinations.get("OnFailure", {}).get("Destination") or None,
        filters=_filters(params.get("FilterCriteria")),
        response_types=_tuple(params.get("FunctionResponseTypes")),
        max_concurrency=None if scaling is None else scaling.get("MaximumConcurrency", 0),
        kms_key=params.get("KMSKeyArn") or None,
        metrics=_tuple(params.get("MetricsConfig", {}).get("Metrics")),
    )


def _filters(criteria: Params | None) -> tuple[str, ...] | None:
    if criteria is None:
        return None
    return tuple(each.get("Pattern", "") for each in criteria.get("Filters") or ())


def _tuple(given: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if given is None else tuple(given)


def _function_of(ctx: Context, params: Params) -> FunctionReference:
    return own(ctx, parse_reference(params["FunctionName"], None, account=ctx.account, region=ctx.region))
