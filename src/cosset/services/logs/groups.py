"""The log group operations, retention among them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select, update

from cosset.clock import Clock
from cosset.services.logs.errors import group_exists, invalid_parameter, no_such_group
from cosset.services.logs.filter_book import SUBSCRIPTION_FILTERS
from cosset.services.logs.group_book import CHANGES, LogGroup, add_group, find_group, group_of, own
from cosset.services.logs.metric_filter_book import METRIC_FILTERS, count_by_group
from cosset.services.logs.names import group_name, name_of, on_all_groups, on_group
from cosset.services.logs.tables import log_groups
from cosset.services.logs.tokens import read_name, write_token
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction
from cosset.store.segments import SegmentStore
from cosset.wire.errors import OperationNotImplementedError, ServiceError, ValidationError

_DEFAULT_LIMIT = 50
_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922),
    *(3288, 3653),
)


class LogGroups:
    def __init__(self, store: Store, segments: SegmentStore, clock: Clock) -> None:
        self._store = store
        self._segments = segments
        self._clock = clock

    @operation("CreateLogGroup", on_group("CreateLogGroup"))
    async def create_log_group(self, ctx: Context, params: Params) -> None:
        if params.get("kmsKeyId"):
            raise OperationNotImplementedError("logs", "CreateLogGroup with kmsKeyId")
        if params["logGroupName"].lower().startswith("aws/"):
            raise invalid_parameter("Log groups starting with AWS/ are reserved for AWS.")
        now_ms = self._clock.now_ms()
        made = await self._store.write(
            lambda tx: add_group(
                tx,
                ctx.account,
                ctx.region,
                params["logGroupName"],
                now_ms,
                log_group_class=params.get("logGroupClass", "STANDARD"),
                deletion_protection=params.get("deletionProtectionEnabled", False),
                tags=params.get("tags"),
            )
        )
        if not made:
            raise group_exists()

    @operation("DeleteLogGroup", on_group("DeleteLogGroup"))
    async def delete_log_group(self, ctx: Context, params: Params) -> None:
        """The events go first: a crash in between leaves an empty group, which the client's retry deletes."""
        name = params["logGroupName"]
        await self._store.read(lambda tx: _need_deletable(tx, ctx, name))
        await self._segments.delete_group(ctx.account, ctx.region, name)

        def work(tx: Transaction) -> None:
            _need_deletable(tx, ctx, name)
            tx.execute(delete(log_groups).where(*own(ctx.account, ctx.region, name)))
            for filters in (SUBSCRIPTION_FILTERS, METRIC_FILTERS):
                filters.delete_all(tx, (ctx.account, ctx.region, name))
            tx.announce(CHANGES, name)

        await self._store.write(work)

    @operation("PutLogGroupDeletionProtection", on_group("PutLogGroupDeletionProtection"))
    async def put_log_group_deletion_protection(self, ctx: Context, params: Params) -> None:
        await self._change(ctx, group_name(params), deletion_protection=params["deletionProtectionEnabled"])

    @operation("PutRetentionPolicy", on_group("PutRetentionPolicy"))
    async def put_retention_policy(self, ctx: Context, params: Params) -> None:
        days = params["retentionInDays"]
        if days not in _RETENTION_DAYS:
            allowed = ", ".join(str(each) for each in _RETENTION_DAYS)
            constraint = f"Member must satisfy enum value set: [{allowed}]"
            violation = f"Value '{days}' at 'retentionInDays' failed to satisfy constraint: {constraint}"
            raise ValidationError([violation], "InvalidParameterException")
        await self._change(ctx, params["logGroupName"], retention_days=days)

    @operation("DeleteRetentionPolicy", on_group("DeleteRetentionPolicy"))
    async def delete_retention_policy(self, ctx: Context, params: Params) -> None:
        await self._change(ctx, params["logGroupName"], retention_days=None)

    @operation("DescribeLogGroups", on_all_groups("DescribeLogGroups"))
    async def describe_log_groups(self, ctx: Context, params: Params) -> Result:
        if params.get("logGroupNamePrefix") and params.get("logGroupNamePattern"):
            raise invalid_parameter("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
        for name in ("includeLinkedAccounts", "accountIdentifiers"):
            if params.get(name):
                raise OperationNotImplementedError("logs", f"DescribeLogGroups with {name}")
        after = read_name(params["nextToken"]) if "nextToken" in params else None
        limit = params.get("limit", _DEFAULT_LIMIT)
        found = await self._matching(ctx, params)
        rest = [group for group in found if after is None or group.name > after]
        shown = rest[:limit]
        # A pattern's answer is shorter than a prefix's (recorded: test_describe_log_groups_with_pattern).
        brief = bool(params.get("logGroupNamePattern"))
        sizes = {}
        if not brief:
            names = [group.name for group in shown]
            sizes = await self._segments.stored_bytes(ctx.account, ctx.region, names)
        counts = await self._store.read(lambda tx: count_by_group(tx, ctx.account, ctx.region))
        result: Result = {"logGroups": [_shown(group, sizes, counts) for group in shown]}
        if len(rest) > len(shown):
            result["nextToken"] = write_token(shown[-1].name)
        return result

    async def _matching(self, ctx: Context, params: Params) -> list[LogGroup]:
        prefix = params.get("logGroupNamePrefix", "")
        pattern = params.get("logGroupNamePattern", "")
        wanted_class = params.get("logGroupClass")
        names = {name_of(each) for each in params.get("logGroupIdentifiers", [])}
        query = (
            select(log_groups)
            .where(log_groups.c.account == ctx.account, log_groups.c.region == ctx.region)
            .order_by(log_groups.c.name)
        )
        found = await self._store.read(lambda tx: [group_of(row) for row in tx.execute(query)])
        return sorted(
            (
                group
                for group in found
                if group.name.startswith(prefix)
                and pattern in group.name
                and wanted_class in (None, group.log_group_class)
                and (not names or group.name in names)
            ),
            key=lambda group: group.name,
        )

    async def _change(self, ctx: Context, name: str, **values: Any) -> None:
        def work(tx: Transaction) -> None:
            need_group(tx, ctx, name)
            tx.execute(update(log_groups).where(*own(ctx.account, ctx.region, name)).values(**values))
            tx.announce(CHANGES, name)

        await self._store.write(work)


def need_group(tx: Transaction, ctx: Context, name: str) -> LogGroup:
    """The group. Raises ServiceError ResourceNotFoundException."""
    group = find_group(tx, ctx.account, ctx.region, name)
    if group is None:
        raise no_such_group()
    return group


def _need_deletable(tx: Transaction, ctx: Context, name: str) -> None:
    if need_group(tx, ctx, name).deletion_protection:
        raise ServiceError("ValidationException", "Cannot delete a log group that has deletion protection enabled.")


def _shown(group: LogGroup, sizes: Mapping[str, int], counts: Mapping[str, int]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "logGroupName": group.name,
        "creationTime": group.created_ms,
        "metricFilterCount": counts.get(group.name, 0),
        "arn": f"{group.arn}:*",
        "logGroupArn": group.arn,
        "logGroupClass": group.log_group_class,
    }
    if group.retention_days is not None:
        shown["retentionInDays"] = group.retention_days
    if group.name in sizes:
        shown["storedBytes"] = sizes[group.name]
        shown["deletionProtectionEnabled"] = group.deletion_protection
    return shown
