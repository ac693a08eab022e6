"""The operations on subscription filters. Functions are the only destinations yet; the others say so by name.

Sources: the API reference of PutSubscriptionFilter; sentences as recorded (logs) where they are.
"""

from typing import Any, Protocol

from cosset.clock import Clock
from cosset.identity.arn import Arn
from cosset.observe.pattern import compile_pattern
from cosset.observe.pattern_errors import InvalidPatternError, UnsupportedPatternError
from cosset.services.logs.errors import invalid_parameter
from cosset.services.logs.filter_book import SUBSCRIPTION_FILTERS, SubscriptionFilter, filters_of
from cosset.services.logs.groups import need_group
from cosset.services.logs.names import on_group
from cosset.services.logs.tokens import read_name, write_token
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction
from cosset.wire.errors import OperationNotImplementedError, ServiceError

MAX_FILTERS = 2
_DEFAULT_LIMIT = 50
_NOT_HERE = ("fieldSelectionCriteria", "emitSystemFields", "applyOnTransformedLogs")
_OTHER_VENDORS = ("kinesis", "firehose", "logs")


class FunctionGate(Protocol):
    """Whether a function lets CloudWatch Logs in (following.py)."""

    async def lets_in(self, asked: SubscriptionFilter) -> bool: ...


class LogFilters:
    def __init__(self, store: Store, gate: FunctionGate, clock: Clock) -> None:
        self._store = store
        self._gate = gate
        self._clock = clock

    @operation("PutSubscriptionFilter", on_group("PutSubscriptionFilter"))
    async def put_subscription_filter(self, ctx: Context, params: Params) -> None:
        for member in _NOT_HERE:
            if params.get(member):
                raise OperationNotImplementedError("logs", f"PutSubscriptionFilter with {member}")
        _check_pattern(params["filterPattern"])
        group = params["logGroupName"]
        await self._store.read(lambda tx: need_group(tx, ctx, group))
        put = SubscriptionFilter(
            ctx.account,
            ctx.region,
            group,
            params["filterName"],
            params["filterPattern"],
            params["destinationArn"],
            params.get("distribution", "ByLogStream"),
            self._clock.now_ms(),
        )
        _check_destination(put, params)
        if not await self._gate.lets_in(put):
            raise invalid_parameter(
                "Could not execute the lambda function. Make sure you have given CloudWatch Logs permission to execute "
                "your function."
            )
        await self._store.write(lambda tx: _put(tx, ctx, put))

    @operation("DescribeSubscriptionFilters", on_group("DescribeSubscriptionFilters"))
    async def describe_subscription_filters(self, ctx: Context, params: Params) -> Result:
        place = (ctx.account, ctx.region, params["logGroupName"])
        prefix, after = params.get("filterNamePrefix", ""), ""
        if "nextToken" in params:
            after = read_name(params["nextToken"])

        def work(tx: Transaction) -> list[SubscriptionFilter]:
            need_group(tx, ctx, place[2])
            return [each for each in filters_of(tx, place) if each.name.startswith(prefix) and each.name > after]

        found = await self._store.read(work)
        shown = found[: params.get("limit", _DEFAULT_LIMIT)]
        result: Result = {"subscriptionFilters": [_shown(each) for each in shown]}
        if len(found) > len(shown):
            result["nextToken"] = write_token(shown[-1].name)
        return result

    @operation("DeleteSubscriptionFilter", on_group("DeleteSubscriptionFilter"))
    async def delete_subscription_filter(self, ctx: Context, params: Params) -> None:
        place = (ctx.account, ctx.region, params["logGroupName"])

        def work(tx: Transaction) -> None:
            need_group(tx, ctx, place[2])
            if not SUBSCRIPTION_FILTERS.delete(tx, place, params["filterName"]):
                raise ServiceError("ResourceNotFoundException", "The specified subscription filter does not exist.")

        await self._store.write(work)


def _put(tx: Transaction, ctx: Context, put: SubscriptionFilter) -> None:
    need_group(tx, ctx, put.group)
    others = [each for each in filters_of(tx, put.place) if each.name != put.name]
    if len(others) >= MAX_FILTERS:
        raise ServiceError("LimitExceededException", "Resource limit exceeded.")
    SUBSCRIPTION_FILTERS.put(tx, put)


def _check_pattern(pattern: str) -> None:
    """Raises: ServiceError InvalidParameterException; by name for a kind that is not there."""
    try:
        compile_pattern(pattern)
    except InvalidPatternError as error:
        raise invalid_parameter(str(error)) from None
    except UnsupportedPatternError as error:
        raise OperationNotImplementedError("logs", f"PutSubscriptionFilter with {error}") from None


def _check_destination(put: SubscriptionFilter, params: Params) -> None:
    """Raises: ServiceError InvalidParameterException; by name for what is not there."""
    arn = Arn.parse(put.destination_arn)
    if arn is None:
        raise invalid_parameter("destinationArn is not a valid ARN")
    if arn.service in _OTHER_VENDORS:
        raise OperationNotImplementedError("logs", f"PutSubscriptionFilter to {arn.service}")
    if arn.service != "lambda":
        raise invalid_parameter(
            f"PutSubscriptionFilter operation cannot work with destinationArn for vendor {arn.service}"
        )
    if params.get("roleArn"):
        raise invalid_parameter("destinationArn for vendor lambda cannot be used with roleArn")


def _shown(kept: SubscriptionFilter) -> dict[str, Any]:
    return {
        "filterName": kept.name,
        "logGroupName": kept.group,
        "filterPattern": kept.pattern,
        "destinationArn": kept.destination_arn,
        "distribution": kept.distribution,
        "applyOnTransformedLogs": False,
        "creationTime": kept.created_ms,
    }
