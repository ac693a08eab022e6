"""What is measured of functions, and the port through which the rooms say it.

Lambda publishes each measurement in several places: for the account, the function, the resource that was called
(`name` or `name:alias`) and, behind an alias, the version that ran. Rooms name the call once (`MeteredCall`); where it
counts is worked out when it is written. Taking a measurement never waits, never fails and writes nothing.
Source: AWS Lambda developer guide, "Types of metrics for Lambda functions". Read next: metric_buffer.py.
"""

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple, Protocol

from cosset.observe.metrics import MetricKey, UsageKey

NAMESPACE = "AWS/Lambda"
FREE_STORAGE_MB = 512


class Scope(Enum):
    """Where a measurement counts: in all of them, the account alone, function and resource, or the resource alone."""

    EVERYWHERE = "everywhere"
    ACCOUNT = "account"
    FUNCTION = "function"
    RESOURCE = "resource"


class FunctionMetric(Enum):
    """AWS's names, with their units. Those of the account's concurrency are told apart from the function's here, since
    their values differ; AWS calls both the same."""

    INVOCATIONS = ("Invocations", "Count", Scope.EVERYWHERE)
    ERRORS = ("Errors", "Count", Scope.EVERYWHERE)
    THROTTLES = ("Throttles", "Count", Scope.EVERYWHERE)
    DURATION = ("Duration", "Milliseconds", Scope.EVERYWHERE)
    POST_RUNTIME_EXTENSIONS_DURATION = ("PostRuntimeExtensionsDuration", "Milliseconds", Scope.EVERYWHERE)
    CONCURRENT_EXECUTIONS = ("ConcurrentExecutions", "Count", Scope.FUNCTION)
    ACCOUNT_CONCURRENT_EXECUTIONS = ("ConcurrentExecutions", "Count", Scope.ACCOUNT)
    UNRESERVED_CONCURRENT_EXECUTIONS = ("UnreservedConcurrentExecutions", "Count", Scope.ACCOUNT)
    PROVISIONED_CONCURRENCY_INVOCATIONS = ("ProvisionedConcurrencyInvocations", "Count", Scope.EVERYWHERE)
    PROVISIONED_SPILLOVER_INVOCATIONS = (
        "ProvisionedConcurrencySpilloverInvocations",
        "Count",
        Scope.EVERYWHERE,
    )
    PROVISIONED_CONCURRENT_EXECUTIONS = ("ProvisionedConcurrentExecutions", "Count", Scope.RESOURCE)
    PROVISIONED_CONCURRENCY_UTILIZATION = ("ProvisionedConcurrencyUtilization", "Count", Scope.RESOURCE)
    ASYNC_EVENTS_RECEIVED = ("AsyncEventsReceived", "Count", Scope.EVERYWHERE)
    ASYNC_EVENT_AGE = ("AsyncEventAge", "Milliseconds", Scope.EVERYWHERE)
    ASYNC_EVENTS_DROPPED = ("AsyncEventsDropped", "Count", Scope.EVERYWHERE)
    DESTINATION_DELIVERY_FAILURES = ("DestinationDeliveryFailures", "Count", Scope.EVERYWHERE)
    DEAD_LETTER_ERRORS = ("DeadLetterErrors", "Count", Scope.EVERYWHERE)
    ITERATOR_AGE = ("IteratorAge", "Milliseconds", Scope.EVERYWHERE)
    RECURSIVE_INVOCATIONS_DROPPED = ("RecursiveInvocationsDropped", "Count", Scope.EVERYWHERE)
    SIGNATURE_VALIDATION_ERRORS = ("SignatureValidationErrors", "Count", Scope.EVERYWHERE)
    URL_REQUEST_COUNT = ("UrlRequestCount", "Count", Scope.FUNCTION)
    URL_REQUEST_LATENCY = ("UrlRequestLatency", "Milliseconds", Scope.FUNCTION)
    URL_4XX_COUNT = ("Url4xxCount", "Count", Scope.FUNCTION)
    URL_5XX_COUNT = ("Url5xxCount", "Count", Scope.FUNCTION)

    # There is one of each: by identity, which is quicker than by name, and this is asked at every measurement.
    __hash__ = object.__hash__

    def __init__(self, label: str, unit: str, scope: Scope) -> None:
        self.label = label
        self.unit = unit
        self.scope = scope


class MeteredCall(NamedTuple):
    """A function as it was called. `qualifier` is None where the caller named none; `version` is the one that ran,
    None where none did."""

    account: str
    region: str
    function_name: str
    qualifier: str | None = None
    version: str | None = None

    @property
    def resource(self) -> str:
        return self.function_name if self.qualifier is None else f"{self.function_name}:{self.qualifier}"


class Run(NamedTuple):
    """One run of a function that is over, for Errors, Duration and the bill. `billed_ms` is rounded up, Init within."""

    duration_ms: float
    billed_ms: int
    is_error: bool
    memory_mb: int
    storage_mb: int
    architecture: str


class FunctionMeter(Protocol):
    """The port. `metric_buffer.MetricBuffer` is behind it on a node."""

    def measure(self, call: MeteredCall, metric: FunctionMetric, value: float = 1.0) -> None:
        """One measurement, taken now."""
        ...

    def measure_all(self, call: MeteredCall, measured: Sequence[tuple[FunctionMetric, float]]) -> None:
        """Several of one call at once."""
        ...

    def ran(self, call: MeteredCall, run: Run) -> None:
        """Invocations, Errors, Throttles (none), Duration, and what is billed."""
        ...

    def throttled(self, call: MeteredCall) -> None:
        """Throttles. An invocation that is refused counts neither as invocation nor as error."""
        ...

    async def flush(self) -> None:
        """Returns when everything measured so far is durable. An asynchronous event ends after this (G1)."""
        ...


class Unmetered:
    """A FunctionMeter that takes nothing down, for tools and tests that measure nothing."""

    def measure(self, call: MeteredCall, metric: FunctionMetric, value: float = 1.0) -> None: ...

    def measure_all(self, call: MeteredCall, measured: Sequence[tuple[FunctionMetric, float]]) -> None: ...

    def ran(self, call: MeteredCall, run: Run) -> None: ...

    def throttled(self, call: MeteredCall) -> None: ...

    async def flush(self) -> None: ...


def keys_of(call: MeteredCall, metric: FunctionMetric) -> Iterator[MetricKey]:
    """Every metric that a measurement of this call counts in."""
    name = ("FunctionName", call.function_name)
    resource = ("Resource", call.resource)
    scope = metric.scope
    if scope in (Scope.EVERYWHERE, Scope.ACCOUNT):
        yield MetricKey(call.account, call.region, NAMESPACE, metric.label)
    if scope is Scope.ACCOUNT:
        return
    if scope is not Scope.RESOURCE:
        yield MetricKey(call.account, call.region, NAMESPACE, metric.label, (name,))
    yield MetricKey(call.account, call.region, NAMESPACE, metric.label, (name, resource))
    if call.version is not None and call.qualifier not in (None, call.version):
        executed = ("ExecutedVersion", call.version)
        yield MetricKey(call.account, call.region, NAMESPACE, metric.label, (executed, name, resource))


def usage_key(call: MeteredCall, month: str, architecture: str) -> UsageKey:
    return UsageKey(call.account, call.region, call.function_name, month, architecture)
