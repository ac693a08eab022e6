"""The operation behind `cosset bill`: what functions used in a month, and what it would have cost on AWS.

Counted as Lambda counts: each request, and the billed duration (rounded up to a millisecond, Init within) times the
memory. What invocations are under way is counted when they end.
"""

import re
import time
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Protocol

from cosset.clock import Clock
from cosset.identity.ports import Requirement
from cosset.observe.metrics import Usage, UsageKey
from cosset.services.installation import prices
from cosset.services.operation import Context, Params, Result, operation
from cosset.wire.errors import ServiceError

_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])", re.ASCII)


class UsageBook(Protocol):
    """Who keeps what was used (store/metrics.py)."""

    async def usage(self, account: str | None, month: str) -> list[tuple[UsageKey, Usage]]: ...


class Counting(Protocol):
    """What has been counted and not written yet (observe/metric_buffer.py)."""

    async def flush(self) -> None: ...


def _reading(ctx: Context, params: Params) -> Sequence[Requirement]:
    return [Requirement("cosset:GetBill", "*")]


class BillOperations:
    def __init__(self, book: UsageBook, counting: Counting, clock: Clock) -> None:
        self._book = book
        self._counting = counting
        self._clock = clock

    @operation("GetBill", _reading)
    async def get_bill(self, ctx: Context, params: Params) -> Result:
        """Of the caller's account, in all its regions."""
        month = params.get("month") or time.strftime("%Y-%m", time.gmtime(self._clock.now_ms() / 1000))
        if not isinstance(month, str) or not _MONTH.fullmatch(month):
            raise ServiceError("ValidationException", "month must be a year and a month: 2026-11.")
        await self._counting.flush()
        return write_bill(month, await self._book.usage(ctx.account, month))


def write_bill(month: str, used: Iterable[tuple[UsageKey, Usage]]) -> dict[str, Any]:
    """Amounts are texts: they are exact, and JSON's numbers are not."""
    functions, requests, storage = [], 0, Decimal(0)
    compute: dict[str, Decimal] = {}
    for owner, each in used:
        gb_s, storage_gb_s = prices.gb_seconds(each.memory_mb_ms), prices.gb_seconds(each.storage_mb_ms)
        requests += each.requests
        compute[owner.architecture] = compute.get(owner.architecture, Decimal(0)) + gb_s
        storage += storage_gb_s
        alone = prices.requests_cost(each.requests) + prices.compute_cost(gb_s, owner.architecture)
        functions.append(
            {
                "function": owner.function_name,
                "region": owner.region,
                "architecture": owner.architecture,
                "requests": each.requests,
                "billed_ms": each.billed_ms,
                "gb_seconds": _text(gb_s),
                "storage_gb_seconds": _text(storage_gb_s),
                "without_free_tier_usd": _text(alone + storage_gb_s * prices.A_STORAGE_GB_S),
            }
        )
    bill = prices.bill(requests, compute, storage)
    return {
        "month": month,
        "functions": functions,
        "requests": requests,
        "gb_seconds": _text(sum(compute.values(), Decimal(0))),
        "free_requests_left": max(0, prices.FREE_REQUESTS - requests),
        "free_gb_seconds_left": _text(max(Decimal(0), prices.FREE_GB_S - sum(compute.values(), Decimal(0)))),
        "requests_usd": _text(bill.requests_usd),
        "compute_usd": _text(bill.compute_usd),
        "storage_usd": _text(bill.storage_usd),
        "total_usd": _text(bill.total_usd),
        "prices": {"region": prices.REGION, "as_of": prices.AS_OF},
    }


def _text(amount: Decimal) -> str:
    """Never in powers of ten, without zeros at the end."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
