"""What is measured around admission: concurrency of function and account, throttles, provisioned places, loops."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

import pytest

from cosset.invocation.admission import Admission, ThrottledError
from cosset.invocation.metering import Metering, call_of_arn
from cosset.observe.function_metrics import FunctionMetric, MeteredCall, Run
from cosset.wire.errors import ServiceError
from support.invocations import CALL, TARGET


class Meter:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.measured: list[tuple[FunctionMetric, float]] = []
        self.runs: list[Run] = []

    def measure(self, call: MeteredCall, metric: FunctionMetric, value: float = 1.0) -> None:
        self.measured.append((metric, value))

    def measure_all(self, call: MeteredCall, measured: Sequence[tuple[FunctionMetric, float]]) -> None:
        self.measured.extend(measured)

    def ran(self, call: MeteredCall, run: Run) -> None:
        self.runs.append(run)

    def throttled(self, call: MeteredCall) -> None:
        self.measured.append((FunctionMetric.THROTTLES, 1.0))

    async def flush(self) -> None: ...

    def of(self, metric: FunctionMetric) -> list[float]:
        return [value for each, value in self.measured if each is metric]


class Warm:
    """One environment of every version is provisioned."""

    def allocated(self, function_arn: str, version: str) -> int:
        return 1


def test_concurrency_is_measured_when_an_invocation_is_let_in() -> None:
    meter = Meter()
    metering = Metering(meter, Admission(2))
    reserved = replace(TARGET, function_name="other", reserved_concurrency=5)
    with ExitStack() as running:
        for target in (TARGET, reserved, TARGET):
            running.enter_context(metering.admit(target, CALL))
        with pytest.raises(ThrottledError):
            running.enter_context(metering.admit(TARGET, CALL))
    with metering.admit(TARGET, CALL):
        pass
    assert meter.of(FunctionMetric.CONCURRENT_EXECUTIONS) == [1.0, 1.0, 2.0, 1.0]
    assert meter.of(FunctionMetric.ACCOUNT_CONCURRENT_EXECUTIONS) == [1.0, 2.0, 3.0, 1.0]
    assert meter.of(FunctionMetric.UNRESERVED_CONCURRENT_EXECUTIONS) == [1.0, 1.0, 2.0, 1.0]
    assert meter.of(FunctionMetric.THROTTLES) == [1.0]


def test_provisioned_places_and_what_spills_over() -> None:
    meter = Meter()
    metering = Metering(meter, Admission(5, Warm()))
    target = replace(TARGET, provisioned_concurrency=1)
    with metering.admit(target, CALL), metering.admit(target, CALL):
        pass
    assert meter.of(FunctionMetric.PROVISIONED_CONCURRENCY_INVOCATIONS) == [1.0]
    assert meter.of(FunctionMetric.PROVISIONED_SPILLOVER_INVOCATIONS) == [1.0]
    assert meter.of(FunctionMetric.PROVISIONED_CONCURRENT_EXECUTIONS) == [1.0, 1.0]
    assert meter.of(FunctionMetric.PROVISIONED_CONCURRENCY_UTILIZATION) == [1.0, 1.0]


def test_a_stopped_loop_is_counted_and_other_refusals_are_not() -> None:
    meter = Meter()
    metering = Metering(meter, Admission(1))
    metering.refused(TARGET, CALL, ServiceError("ResourceNotFoundException", ""))
    metering.refused(TARGET, CALL, ServiceError("RecursiveInvocationException", ""))
    assert meter.of(FunctionMetric.RECURSIVE_INVOCATIONS_DROPPED) == [1.0]


@pytest.mark.parametrize(("arn", "qualifier"), [("f", None), ("f:$LATEST", None), ("f:live", "live"), ("f:3", "3")])
def test_a_function_by_its_arn(arn: str, qualifier: str | None) -> None:
    found = call_of_arn(f"arn:aws:lambda:us-east-1:111111111111:function:{arn}")
    assert found == MeteredCall("111111111111", "us-east-1", "f", qualifier)
