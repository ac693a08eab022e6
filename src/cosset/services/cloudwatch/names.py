"""How CloudWatch's resources are called, what IAM sees of an operation, and the tokens of pages."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cosset.identity.ports import Requirement, tag_request
from cosset.observe.metrics import sort_dimensions
from cosset.services.cloudwatch.errors import invalid_token
from cosset.services.operation import Context, Params, Requirements

Dimensions = tuple[tuple[str, str], ...]


def alarm_arn(account: str, region: str, name: str) -> str:
    return f"arn:aws:cloudwatch:{region}:{account}:alarm:{name}"


def stream_arn(ctx: Context, name: str) -> str:
    return f"arn:aws:cloudwatch:{ctx.region}:{ctx.account}:metric-stream/{name}"


def dashboard_arn(ctx: Context, name: str) -> str:
    """Dashboards are of no region."""
    return f"arn:aws:cloudwatch::{ctx.account}:dashboard/{name}"


def read_dimensions(given: Sequence[Mapping[str, str]] | None) -> Dimensions:
    return sort_dimensions((each["Name"], each["Value"]) for each in given or ())


def show_dimensions(dimensions: Dimensions) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in dimensions]


def read_tags(given: Sequence[Mapping[str, str]] | None) -> dict[str, str]:
    return {each["Key"]: each["Value"] for each in given or ()}


def anywhere(action: str) -> Requirements:
    """For what IAM knows no resource of."""

    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        return [Requirement(f"cloudwatch:{action}", "*")]

    return requirements


def on_metrics_put() -> Requirements:
    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        context = {"cloudwatch:namespace": str(params.get("Namespace", ""))}
        return [Requirement("cloudwatch:PutMetricData", "*", context)]

    return requirements


def on_alarm(action: str) -> Requirements:
    return _on(action, lambda ctx, params: [alarm_arn(ctx.account, ctx.region, str(params.get("AlarmName", "")))])


def on_alarms(action: str) -> Requirements:
    """Of several alarms each; of none that is named all."""

    def arns(ctx: Context, params: Params) -> list[str]:
        names = params.get("AlarmNames") or ["*"]
        return [alarm_arn(ctx.account, ctx.region, str(name)) for name in names]

    return _on(action, arns)


def on_dashboards(action: str) -> Requirements:
    def arns(ctx: Context, params: Params) -> list[str]:
        names = params.get("DashboardNames") or [params.get("DashboardName", "*")]
        return [dashboard_arn(ctx, str(name)) for name in names]

    return _on(action, arns)


def on_streams(action: str) -> Requirements:
    def arns(ctx: Context, params: Params) -> list[str]:
        return [stream_arn(ctx, str(name)) for name in params.get("Names") or [params.get("Name", "*")]]

    return _on(action, arns)


def on_arn(action: str) -> Requirements:
    return _on(action, lambda ctx, params: [str(params["ResourceARN"])])


def _on(action: str, arns: Callable[[Context, Params], list[str]]) -> Requirements:
    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        context = tag_request(read_tags(params.get("Tags")), params.get("TagKeys") or ())
        return [Requirement(f"cloudwatch:{action}", arn, context) for arn in arns(ctx, params)]

    return requirements


def write_token(place: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode("ascii").rstrip("=")


def read_token(token: str | None) -> int:
    """Where to go on: 0 without a token. Raises ServiceError InvalidNextToken."""
    if not token:
        return 0
    try:
        place = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, RecursionError):
        raise invalid_token() from None
    if not isinstance(place, int) or isinstance(place, bool) or place < 0:
        raise invalid_token()
    return place
