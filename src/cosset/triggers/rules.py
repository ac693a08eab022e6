"""What AWS checks of an event source mapping by hand, in its own sentences where they are known. Pure functions.

Recorded: TestLambdaEventSourceMappings, TestSQSEventSourceMapping::test_event_source_mapping_default_batch_size,
::test_sqs_invalid_event_filter, test_esm_with_not_existing_sqs_queue and ..._kinesis_stream.
"""

from cosset.functions import errors
from cosset.triggers.filters import Criteria
from cosset.triggers.model import KINDS, Kind, MappingSettings
from cosset.triggers.patterns import InvalidPatternError
from cosset.wire.errors import ServiceError

MAX_FILTERS = 10
_SMALL_BATCH = 10
_OF_STREAMS = {
    "starting_timestamp": "StartingPositionTimestamp",
    "parallelization": "ParallelizationFactor",
    "max_record_age_s": "MaximumRecordAgeInSeconds",
    "max_retries": "MaximumRetryAttempts",
    "bisect": "BisectBatchOnFunctionError",
    "tumbling_window_s": "TumblingWindowInSeconds",
}


def kind_of(source_arn: str | None) -> Kind:
    """Raises: ServiceError, for what no function can be mapped to."""
    service = (source_arn or "").split(":")[2:3]
    kind = KINDS.get(service[0]) if service else None
    if kind is None:
        raise errors.invalid_parameter("Unrecognized event source.")
    return kind


def check_new(kind: Kind, source_arn: str, settings: MappingSettings) -> None:
    """What is asked of a mapping when it is made, besides what `check` asks of it always."""
    position = settings.starting_position
    if not kind.is_stream:
        if position is not None:
            raise errors.invalid_parameter(f"StartingPosition is not valid for {kind.title} event sources.")
    elif position is None:
        raise errors.invalid_parameter(
            "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: "
            "Member must not be null."
        )
    elif position == "AT_TIMESTAMP":
        if kind.service == "dynamodb":
            raise errors.invalid_parameter(f"Unsupported starting position for arn type: {source_arn}")
        if settings.starting_timestamp is None:
            raise errors.invalid_parameter("StartingPositionTimestamp is required for the position AT_TIMESTAMP.")
    elif settings.starting_timestamp is not None:
        raise errors.invalid_parameter("StartingPositionTimestamp is for the position AT_TIMESTAMP alone.")
    check(kind, source_arn, settings)


def check(kind: Kind, source_arn: str, settings: MappingSettings) -> None:
    """The settings that a mapping has, or is to have. Raises: ServiceError."""
    if settings.has_destinations and (not kind.is_stream or settings.on_success):
        raise unsupported("DestinationConfig")
    if kind.is_stream and settings.max_concurrency is not None:
        raise unsupported("ScalingConfig")
    if not kind.is_stream:
        for name, member in _OF_STREAMS.items():
            if getattr(settings, name) is not None:
                raise unsupported(member)
    if kind.service == "sqs":
        _check_queue_batch(source_arn, settings)
    if len(settings.filters or ()) > MAX_FILTERS:
        raise errors.invalid_parameter(f"An event source mapping has no more than {MAX_FILTERS} filters.")
    for pattern in settings.filters or ():
        check_filter(pattern)


def check_filter(pattern: str) -> None:
    """Raises: ServiceError, for what is no event pattern. AWS does not say what is wrong with it."""
    try:
        Criteria.compile((pattern,))
    except InvalidPatternError as error:
        raise errors.invalid_parameter("Invalid filter pattern definition.") from error


def missing(kind: Kind, source_arn: str) -> ServiceError:
    """There is no such queue or stream."""
    if kind.service == "sqs":
        return errors.invalid_parameter(
            "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. "
            "SQS Error Message: The specified queue does not exist."
        )
    return errors.invalid_parameter(f"Stream not found: {source_arn}")


def forbidden(kind: Kind, source_arn: str) -> ServiceError:
    """The function's role may not read the source."""
    if kind.is_stream:
        calls = "GetRecords, GetShardIterator, DescribeStream, ListShards, and ListStreams"
        return errors.invalid_parameter(
            f"Cannot access stream {source_arn}. Please ensure the role can perform the {calls} Actions on your stream "
            "in IAM."
        )
    return errors.invalid_parameter(
        f"The provided execution role does not have permissions to call ReceiveMessage on {kind.title}"
    )


def too_short(visibility_s: int, timeout_s: int) -> ServiceError:
    """A message would come again while the function still has it."""
    return errors.invalid_parameter(
        f"Queue visibility timeout: {visibility_s} seconds is less than Function timeout: {timeout_s} seconds"
    )


def taken(kind: Kind, source_arn: str, function: str, uuid: str) -> ServiceError:
    """Another mapping has the same source and the same function."""
    rest = f'and function (" {function} ")'
    again = f"already exists. Please update or delete the existing mapping with UUID {uuid}"
    if kind.service == "sqs":
        return errors.conflict(f'An event source mapping with SQS arn (" {source_arn} ") {rest} {again}')
    return errors.conflict(f'The event source arn (" {source_arn} ") {rest} provided mapping {again}')


def unsupported(member: str) -> ServiceError:
    return errors.invalid_parameter(f"Unsupported {member} parameter for given event source mapping type.")


def _check_queue_batch(source_arn: str, settings: MappingSettings) -> None:
    batch, window = settings.batch_size or _SMALL_BATCH, settings.window_s or 0
    if source_arn.endswith(".fifo") and window:
        raise errors.invalid_parameter("Batching window is not supported for FIFO queues")
    if batch > _SMALL_BATCH and not window:
        raise errors.invalid_parameter(
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
        )
