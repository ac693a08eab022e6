"""The bill: exact sums, tiers, the free tier; amounts worked out by hand from AWS's price list."""

from decimal import Decimal

import pytest

from cosset.observe.metrics import Usage, UsageKey
from cosset.services.installation.billing import write_bill
from cosset.services.installation.prices import bill, compute_cost, gb_seconds


def owner(name: str, architecture: str = "x86_64") -> UsageKey:
    return UsageKey("111111111111", "us-east-1", name, "2026-11", architecture)


def test_aws_own_example() -> None:
    """AWS's pricing page: 3 million requests of 120 ms at 1,536 MB: 140,000 GB-seconds beyond the free, $2.73."""
    requests = 3_000_000
    found = write_bill("2026-11", [(owner("f"), Usage(requests, requests * 120, requests * 120 * 1536, 0))])
    assert found["gb_seconds"] == "540000"
    assert Decimal(found["compute_usd"]) == Decimal("2.333338")
    assert Decimal(found["requests_usd"]) == Decimal("0.40")
    assert round(Decimal(found["total_usd"]), 2) == Decimal("2.73")
    assert (found["free_requests_left"], found["free_gb_seconds_left"]) == (0, "0")


def test_the_free_tier_is_shared_by_both_architectures() -> None:
    half = Decimal(300_000)
    found = bill(0, {"x86_64": half, "arm64": half}, Decimal(0))
    # All of x86 is free, and a third of arm.
    assert found.compute_usd == Decimal(200_000) * Decimal("0.0000133334")


@pytest.mark.parametrize(
    ("gb_s", "architecture", "expected"),
    [
        (Decimal(7_000_000_000), "x86_64", Decimal("100000.2") + Decimal("15000")),
        (Decimal(16_000_000_000), "x86_64", Decimal("100000.2") + Decimal("135000") + Decimal("13333.4")),
        (Decimal(8_000_000_000), "arm64", Decimal("100000.5") + Decimal("6000.05")),
    ],
)
def test_tiers(gb_s: Decimal, architecture: str, expected: Decimal) -> None:
    assert compute_cost(gb_s, architecture) == expected


def test_a_millisecond_is_not_lost() -> None:
    assert gb_seconds(1 * 1024) == Decimal("0.001")
    assert gb_seconds(1 * 128) * 8 == gb_seconds(1024)


def test_an_empty_month() -> None:
    found = write_bill("2026-01", [])
    assert (found["requests"], found["total_usd"], found["free_gb_seconds_left"]) == (0, "0", "400000")
