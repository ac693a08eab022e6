"""What is measured of invocations: how many run at once, how each ended, what was refused; and who is told.

Wraps admission, so that what is counted is what was admitted. Counts this node's invocations, as admission does.
Read next: observe/function_metrics.py, the port.
"""

from collections import Counter

from cosset.clock import Clock, SystemClock
from cosset.invocation.admission import Admission, Key, Place, ThrottledError
from cosset.invocation.api import Invocation, Target
from cosset.observe.causes import CauseRecorder, Ran, Unrecorded
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
        self._of_function: Counter[Key] = Counter()
        self._of_account: Counter[Key] = Counter()
        self._unreserved: Counter[Key] = Counter()

    def admit(self, target: Target, invocation: Invocation) -> Place:
        """Admission's place, for the caller to leave when the invocation is over.

        Raises: ThrottledError.
        """
        call = call_of(target, invocation)
        try:
            place = self._admission.admit(target)
        except ThrottledError:
            self._meter.throttled(call)
            raise
        self._count(target, call, place)
        if target.provisioned_concurrency:
            self._meter.measure(call, _PROVISIONED if place.is_provisioned else _SPILLOVER)
            self._measure_provisioned(target, call)
        return place

    def _count(self, target: Target, call: MeteredCall, place: Place) -> None:
        account: Key = (call.account, call.region)
        of_function = place.hold(self._of_function, (*account, call.function_name))
        of_account = place.hold(self._of_account, account)
        if target.reserved_concurrency is None:
            place.hold(self._unreserved, account)
        self._meter.measure_all(
            call,
            (
                (FunctionMetric.CONCURRENT_EXECUTIONS, float(of_function)),
                (FunctionMetric.ACCOUNT_CONCURRENT_EXECUTIONS, float(of_account)),
                (FunctionMetric.UNRESERVED_CONCURRENT_EXECUTIONS, float(self._unreserved[account])),
            ),
        )

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
        if self._causes.keeps_runs:
            self._causes.ran(
                Ran(
                    invocation.request_id,
                    target.account,
                    target.region,
                    target.function_arn,
                    target.version,
                    invocation.source,
                    invocation.causes,
                    self._clock.now_ms(),
                    report.duration_ms,
                    "" if report.status == "success" else report.status,
                    invocation.trace_id,
                    target.function_name,
                    invocation.qualifier,
                    invocation.client_context,
                    invocation.payload if target.keeps_events else None,
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
