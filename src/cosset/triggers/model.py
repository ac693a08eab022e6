"""What an event source mapping is, as a frozen value. AWS's names in snake case, units last; None means unset."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cosset.functions.names import FunctionReference


@dataclass(frozen=True, slots=True)
class Kind:
    """What AWS does differently for one kind of source. `is_stream`: it has shards, positions and retries."""

    service: str
    title: str
    is_stream: bool
    default_batch_size: int


KINDS: Mapping[str, Kind] = {
    kind.service: kind
    for kind in (
        Kind("sqs", "SQS", False, 10),
        Kind("kinesis", "Kinesis", True, 100),
        Kind("dynamodb", "DynamoDB Streams", True, 100),
        Kind("kafka", "Amazon MSK", True, 100),
        Kind("mq", "Amazon MQ", False, 100),
        Kind("rds", "DocumentDB", True, 100),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingSettings:
    """What a caller may set. None was not given."""

    batch_size: int | None = None
    window_s: int | None = None
    starting_position: str | None = None
    starting_timestamp: float | None = None
    parallelization: int | None = None
    max_record_age_s: int | None = None
    max_retries: int | None = None
    bisect: bool | None = None
    tumbling_window_s: int | None = None
    on_failure: str | None = None
    on_success: str | None = None
    has_destinations: bool = False
    filters: tuple[str, ...] | None = None
    response_types: tuple[str, ...] | None = None
    max_concurrency: int | None = None
    """0: none, given to take one away."""
    kms_key: str | None = None
    metrics: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSourceMapping:
    """One mapping. `transition` is the state it shows until `settles_at_ms` (Creating, Updating, Deleting ...); then
    it is Enabled or Disabled, or gone. `last_result` is what its work has come to last, empty where to nothing."""

    account: str
    region: str
    uuid: str
    source_arn: str
    function: FunctionReference
    settings: MappingSettings
    enabled: bool
    transition: str
    settles_at_ms: int
    modified_ms: int
    tags: Mapping[str, str] = field(default_factory=dict)
    last_result: str = ""

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:{self.region}:{self.account}:event-source-mapping:{self.uuid}"

    @property
    def kind(self) -> Kind:
        return KINDS[self.source_arn.split(":")[2]]

    def is_settled(self, now_ms: int) -> bool:
        return now_ms >= self.settles_at_ms

    def state(self, now_ms: int) -> str:
        if not self.is_settled(now_ms):
            return self.transition
        return "Enabled" if self.enabled else "Disabled"
