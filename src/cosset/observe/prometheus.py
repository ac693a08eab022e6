"""Prometheus' text format: what functions did since the node started, and how the process is.

Pure. The counters are those that CloudWatch's metrics are made of, added up as they are written. Source:
https://prometheus.io/docs/instrumenting/exposition_formats/. Read next: gateway/metrics_page.py, which serves it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from cosset.observe.function_metrics import FunctionMetric, MeteredCall, Scope

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# Those whose sum means nothing: how long, how old, how many at once.
_GAUGES = frozenset(
    {
        FunctionMetric.CONCURRENT_EXECUTIONS,
        FunctionMetric.ACCOUNT_CONCURRENT_EXECUTIONS,
        FunctionMetric.UNRESERVED_CONCURRENT_EXECUTIONS,
        FunctionMetric.PROVISIONED_CONCURRENT_EXECUTIONS,
        FunctionMetric.PROVISIONED_CONCURRENCY_UTILIZATION,
    }
)


@dataclass(slots=True)
class Total:
    """Of one call's measurements of one metric. `last` is the highest of the last minute that had any."""

    count: float = 0.0
    total: float = 0.0
    last: float = 0.0


Totals = Mapping[tuple[MeteredCall, FunctionMetric], Total]


def write_text(totals: Totals, gauges: Mapping[str, float]) -> str:
    """`gauges` by their whole names; a name may carry labels of its own."""
    lines = [*_function_lines(totals)]
    for name, value in gauges.items():
        lines += [f"# TYPE {name.partition('{')[0]} gauge", f"{name} {_number(value)}"]
    return "\n".join(_once(lines)) + "\n"


def _function_lines(totals: Totals) -> Iterator[str]:
    for metric in FunctionMetric:
        found = {call: total for (call, each), total in totals.items() if each is metric}
        if not found:
            continue
        name = _name(metric)
        if metric in _GAUGES:
            yield f"# TYPE {name} gauge"
            for call, total in found.items():
                yield f"{name}{_labels(call, metric)} {_number(total.last)}"
        elif metric.unit == "Milliseconds":
            yield f"# TYPE {name} summary"
            for call, total in found.items():
                yield f"{name}_sum{_labels(call, metric)} {_number(total.total / 1000)}"
                yield f"{name}_count{_labels(call, metric)} {_number(total.count)}"
        else:
            yield f"# TYPE {name} counter"
            for call, total in found.items():
                yield f"{name}{_labels(call, metric)} {_number(total.total)}"


def _name(metric: FunctionMetric) -> str:
    """`cosset_lambda_invocations_total`, `cosset_lambda_duration_seconds`."""
    stem = "cosset_lambda_" + _WORDS.sub("_", metric.label).lower()
    if metric is FunctionMetric.ACCOUNT_CONCURRENT_EXECUTIONS:
        stem = stem.replace("lambda_", "lambda_account_")
    if metric in _GAUGES:
        return stem
    return f"{stem}_seconds" if metric.unit == "Milliseconds" else f"{stem}_total"


def _labels(call: MeteredCall, metric: FunctionMetric) -> str:
    labels = {"account": call.account, "region": call.region}
    if metric.scope is not Scope.ACCOUNT:
        labels |= {"function": call.function_name, "resource": call.resource}
        if call.version is not None:
            labels["version"] = call.version
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items()) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _once(lines: Iterable[str]) -> Iterator[str]:
    """Each line of a kind: a metric's type is said once."""
    said = set()
    for line in lines:
        if line.startswith("#"):
            if line in said:
                continue
            said.add(line)
        yield line
