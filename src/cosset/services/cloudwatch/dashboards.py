"""Dashboards: kept as they were given, checked for what makes them one."""

import json
import re
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from cosset.clock import Clock
from cosset.services.cloudwatch.errors import invalid_value
from cosset.services.cloudwatch.names import anywhere, dashboard_arn, on_dashboards, read_token, write_token
from cosset.services.cloudwatch.tables import dashboards
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction
from cosset.wire.errors import ServiceError

_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}", re.ASCII)
_PAGE = 1_000
_MOST_BYTES = 1_048_576
_MOST_DASHBOARDS = 5_000


class Dashboards:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    @operation("PutDashboard", on_dashboards("PutDashboard"))
    async def put_dashboard(self, ctx: Context, params: Params) -> Result:
        name, body = params["DashboardName"], params["DashboardBody"]
        if not _NAME.fullmatch(name):
            # Recorded, with its line feed: test_invalid_dashboard_name.
            raise invalid_value(
                "The value for field DashboardName contains invalid characters. It can only contain alphanumerics, "
                "dash (-) and underscore (_).\n"
            )
        messages = check_body(body)
        written = {"body": body, "changed_ms": self._clock.now_ms()}

        def work(tx: Transaction) -> None:
            place = dashboards.c.account == ctx.account, dashboards.c.name == name
            if not tx.execute(update(dashboards).where(*place).values(**written)).rowcount:
                count = select(func.count()).where(dashboards.c.account == ctx.account)
                if tx.execute(count).scalar_one() >= _MOST_DASHBOARDS:
                    raise ServiceError("LimitExceeded", "The maximum number of dashboards has been reached.")
                tx.execute(insert(dashboards).values(account=ctx.account, name=name, **written))

        await self._store.write(work)
        return {"DashboardValidationMessages": messages}

    @operation("GetDashboard", on_dashboards("GetDashboard"))
    async def get_dashboard(self, ctx: Context, params: Params) -> Result:
        name = params["DashboardName"]
        query = select(dashboards).where(dashboards.c.account == ctx.account, dashboards.c.name == name)
        row = await self._store.read(lambda tx: tx.execute(query).one_or_none())
        if row is None:
            raise _no_dashboard(name)
        return {"DashboardName": name, "DashboardArn": dashboard_arn(ctx, name), "DashboardBody": row.body}

    @operation("ListDashboards", anywhere("ListDashboards"))
    async def list_dashboards(self, ctx: Context, params: Params) -> Result:
        query = select(dashboards).where(dashboards.c.account == ctx.account)
        rows = await self._store.read(lambda tx: list(tx.execute(query)))
        prefix, begin = params.get("DashboardNamePrefix", ""), read_token(params.get("NextToken"))
        found = sorted((row for row in rows if row.name.startswith(prefix)), key=lambda row: str(row.name))
        entries = [
            {
                "DashboardName": row.name,
                "DashboardArn": dashboard_arn(ctx, row.name),
                "LastModified": row.changed_ms / 1000,
                "Size": len(row.body.encode()),
            }
            for row in found[begin : begin + _PAGE]
        ]
        more = {"NextToken": write_token(begin + _PAGE)} if begin + _PAGE < len(found) else {}
        return {"DashboardEntries": entries, **more}

    @operation("DeleteDashboards", on_dashboards("DeleteDashboards"))
    async def delete_dashboards(self, ctx: Context, params: Params) -> Result:
        """All or none."""
        names = params["DashboardNames"]

        def work(tx: Transaction) -> None:
            for name in names:
                place = dashboards.c.account == ctx.account, dashboards.c.name == name
                if not tx.execute(delete(dashboards).where(*place)).rowcount:
                    raise _no_dashboard(name)

        await self._store.write(work)
        return {}


def _no_dashboard(name: str) -> ServiceError:
    return ServiceError("DashboardNotFoundError", f"Dashboard {name} does not exist", status=404)


def check_body(body: str) -> list[dict[str, str]]:
    """What is odd about it, for the answer. Raises ServiceError DashboardInvalidInputError for what is no dashboard."""
    if len(body.encode()) > _MOST_BYTES:
        raise _invalid([("", "The dashboard body is too large")])
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise _invalid([("", "The field DashboardBody must be a valid JSON object")]) from None
    if not isinstance(value, dict):
        raise _invalid([("", "The field DashboardBody must be a valid JSON object")])
    widgets = value.get("widgets")
    if not isinstance(widgets, list):
        raise _invalid([("/widgets", "Should have required property 'widgets'")])
    wrong = [fault for number, each in enumerate(widgets) for fault in _faults(each, f"/widgets/{number}")]
    if wrong:
        raise _invalid(wrong)
    return []


def _faults(widget: Any, at: str) -> list[tuple[str, str]]:
    if not isinstance(widget, dict):
        return [(at, "Should be object")]
    missing = [name for name in ("type", "properties") if name not in widget]
    return [(at, f"Should have required property '{name}'") for name in missing]


def _invalid(faults: list[tuple[str, str]]) -> ServiceError:
    shown = [{"DataPath": path, "Message": message} for path, message in faults]
    return ServiceError(
        "DashboardInvalidInputError",
        f"The field DashboardBody must be a valid JSON object: {len(faults)} validation error(s)",
        fields={"dashboardValidationMessages": shown},
    )
