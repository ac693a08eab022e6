"""GetMetricData: many metrics and expressions over them in one answer, by pages."""

from collections.abc import Sequence
from typing import Any

from cosset.clock import Clock
from cosset.services.cloudwatch.errors import invalid
from cosset.services.cloudwatch.names import anywhere, read_token, write_token
from cosset.services.cloudwatch.queries import Found, Queries, Stretch
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.metrics import MetricStore
from cosset.wire.timestamps import as_datetime

_MOST_DATAPOINTS = 100_800


class MetricData:
    def __init__(self, metrics: MetricStore, clock: Clock) -> None:
        self._queries = Queries(metrics, clock)

    @operation("GetMetricData", anywhere("GetMetricData"))
    async def get_metric_data(self, ctx: Context, params: Params) -> Result:
        start_s, end_s = (int(as_datetime(params[name]).timestamp()) for name in ("StartTime", "EndTime"))
        if start_s >= end_s:
            raise invalid("The parameter EndTime must be greater than StartTime.")
        most = params.get("MaxDatapoints", _MOST_DATAPOINTS)
        if not 0 < most <= _MOST_DATAPOINTS:
            raise invalid(f"The parameter MaxDatapoints must be between 1 and {_MOST_DATAPOINTS}.")
        stretch = Stretch(ctx.account, ctx.region, start_s, end_s)
        found = await self._queries.run(stretch, params["MetricDataQueries"])
        newest_first = params.get("ScanBy", "TimestampDescending") == "TimestampDescending"
        return _page(found, read_token(params.get("NextToken")), most, newest_first)


def _page(found: Sequence[Found], begin: int, most: int, newest_first: bool) -> Result:
    """`most` values, taken from the results in order; each result is named on every page."""
    shown, passed, left = [], 0, most
    for each in found:
        ordered = sorted(each.series.points.items(), reverse=newest_first)
        skipped = min(len(ordered), max(0, begin - passed))
        taken = ordered[skipped : skipped + left]
        passed += len(ordered)
        left -= len(taken)
        is_whole = skipped + len(taken) == len(ordered)
        shown.append(_shown(each, taken, is_whole))
    result: Result = {"MetricDataResults": shown, "Messages": []}
    if begin + most < passed:
        result["NextToken"] = write_token(begin + most)
    return result


def _shown(found: Found, points: Sequence[tuple[int, float]], is_whole: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "Id": found.id,
        "Label": found.series.label,
        "Timestamps": [at for at, _ in points],
        "Values": [value for _, value in points],
        "StatusCode": "Complete" if is_whole else "PartialData",
    }
    if found.units:
        said = f"Multiple units returned: '[{', '.join(found.units)}]'"
        shown["Messages"] = [{"Code": "MultipleUnits", "Value": said}]
    return shown
