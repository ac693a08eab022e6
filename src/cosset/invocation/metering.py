"""What is measured of invocations: how many run at once, how each ended, what was refused; and who is told.

Wraps admission, so that what is counted is what was admitted. Counts this node's invocations, as admission does.
Read next: observe/function_metrics.py, the port.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from cosset.clock import Clock, SystemClock
from cosset.invocation.admission import Admission, ThrottledError
from cosset.invocation.api import Invocation, Target
from cosset.observe.causes import MAX_CAUSES, CauseRecorder, RecordedEvent, Step, StepKind, Unrecorded, root_in
from cosset.observe.function_metrics import FunctionMeter, FunctionMetric, MeteredCall, Run
from cosset.observe.log_lines import Report
from cosset.wire.errors import ServiceError


class Metering:
    """What the dispatcher and the execution say to the meter."""

    def __init__(
        self,
        meter: FunctionMeter,
        admission: Admission,
        causes: CauseRecorder | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._meter = meter
        self._causes = causes or Unrecorded()
        self._clock = clock or SystemClock()
        self._admission = admission
        self._of_function: Counter[tuple[str, ...]] = Counter()
        self._of_account: Counter[tuple[str, ...]] = Counter()
        self._unreserved: Counter[tuple[str, ...]] = Counter()

    @contextmanager
    def admit(self, target: Target, invocation: Invocation) -> Iterator[None]:
        """Admission's place for as long as the block runs.

        Raises: ThrottledError.
        """
        call = call_of(target, invocation)
        try:
            with self._admission.admit(target) as is_provisioned, self._counted(target, call):
                if target.provisioned_concurrency:
                    self._meter.measure(call, _PROVISIONED if is_provisioned else _SPILLOVER)
                    self._measure_provisioned(target, call)
                yield
        except ThrottledError:
            self._meter.throttled(call)
            raise

    @contextmanager
    def _counted(self, target: Target, call: MeteredCall) -> Iterator[None]:
        account: tuple[str, ...] = (call.account, call.region)
        function = (*account, call.function_name)
        counters = [(self._of_function, function), (self._of_account, account)]
        if target.reserved_concurrency is None:
            counters.append((self._unreserved, account))
        for counter, key in counters:
            counter[key] += 1
        measure = self._meter.measure
        measure(call, FunctionMetric.CONCURRENT_EXECUTIONS, float(self._of_function[function]))
        measure(call, FunctionMetric.ACCOUNT_CONCURRENT_EXECUTIONS, float(self._of_account[account]))
        measure(call, FunctionMetric.UNRESERVED_CONCURRENT_EXECUTIONS, float(self._unreserved[account]))
        try:
            yield
        finally:
            for counter, key in counters:
                counter[key] -= 1
                if not counter[key]:
                    del counter[key]

    def _measure_provisioned(self, target: Target, call: MeteredCall) -> None:
        busy, allocated = self._admission.provisioned(target)
        self._meter.measure(call, FunctionMetric.PROVISIONED_CONCURRENT_EXECUTIONS, float(busy))
        if allocated:
            self._meter.measure(call, FunctionMetric.PROVISIONED_CONCURRENCY_UTILIZATION, busy / allocated)

    def ran(self, target: Target, invocation: Invocation, report: Report) -> None:
        """An invocation is over, as its REPORT says."""
        self._meter.ran(
            call_of(target, invocation),
            Run(
                duration_ms=report.duration_ms,
                billed_ms=report.billed_duration_ms,
                is_error=report.status != "success",
                memory_mb=target.memory_mb,
                storage_mb=target.ephemeral_storage_mb,
                architecture=target.architecture,
            ),
        )
        self._record(target, invocation, report)

    def _record(self, target: Target, invocation: Invocation, report: Report) -> None:
        began_ms = self._clock.now_ms() - int(report.duration_ms)
        self._causes.happened(
            Step(
                kind=StepKind.INVOCATION,
                id=invocation.request_id,
                account=target.account,
                region=target.region,
                resource=target.function_arn,
                at_ms=began_ms,
                name=target.version,
                source=invocation.source,
                causes=invocation.causes[:MAX_CAUSES],
                duration_ms=round(report.duration_ms, 2),
                error="" if report.status == "success" else report.status,
                root=root_in(invocation.trace_id),
            )
        )
        if target.keeps_events:
            self._causes.ran_with(
                RecordedEvent(
                    request_id=invocation.request_id,
                    account=target.account,
                    region=target.region,
                    function_name=target.function_name,
                    qualifier=invocation.qualifier,
                    at_ms=began_ms,
                    client_context=invocation.client_context,
                    payload=invocation.payload,
                )
            )

    def extensions_ran(self, target: Target, invocation: Invocation, duration_ms: float) -> None:
        """They went on for so long after the runtime had answered."""
        self._meter.measure(
            call_of(target, invocation), FunctionMetric.POST_RUNTIME_EXTENSIONS_DURATION, max(0.0, duration_ms)
        )

    def refused(self, target: Target, invocation: Invocation, error: ServiceError) -> None:
        """Stopped before it was admitted: a recursive loop."""
        if error.code == "RecursiveInvocationException":
            self._meter.measure(call_of(target, invocation), FunctionMetric.RECURSIVE_INVOCATIONS_DROPPED)


_PROVISIONED = FunctionMetric.PROVISIONED_CONCURRENCY_INVOCATIONS
_SPILLOVER = FunctionMetric.PROVISIONED_SPILLOVER_INVOCATIONS


def call_of(target: Target, invocation: Invocation) -> MeteredCall:
    return MeteredCall(target.account, target.region, target.function_name, invocation.qualifier, target.version)


def call_of_arn(function_arn: str) -> MeteredCall:
    """Of arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]; `$LATEST` is as none."""
    parts = [*function_arn.split(":"), ""]
    qualifier = parts[7] if parts[7] not in ("", "$LATEST") else None
    return MeteredCall(parts[4], parts[3], parts[6], qualifier)
