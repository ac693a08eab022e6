"""What AWS asks for Lambda, as a dated table, and what a month's use would have cost there.

Amounts are exact decimals, in US dollars. The free tier is the account's, whatever the architecture: it is taken off
the dearer one first. Source: https://aws.amazon.com/lambda/pricing/, US East (N. Virginia).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

AS_OF = "2025-08-01"
REGION = "us-east-1"
FREE_REQUESTS = 1_000_000
FREE_GB_S = Decimal(400_000)
A_REQUEST = Decimal("0.20") / 1_000_000
A_STORAGE_GB_S = Decimal("0.0000000309")
_BILLION = 10**9


@dataclass(frozen=True, slots=True)
class Tier:
    """`upto_gb_s`: where it ends in a month, None for the last."""

    upto_gb_s: Decimal | None
    a_gb_s: Decimal


# The dearer architecture first.
TIERS: Mapping[str, Sequence[Tier]] = {
    "x86_64": (
        Tier(Decimal(6 * _BILLION), Decimal("0.0000166667")),
        Tier(Decimal(15 * _BILLION), Decimal("0.0000150000")),
        Tier(None, Decimal("0.0000133334")),
    ),
    "arm64": (
        Tier(Decimal("7.5") * _BILLION, Decimal("0.0000133334")),
        Tier(Decimal("18.75") * _BILLION, Decimal("0.0000120001")),
        Tier(None, Decimal("0.0000106667")),
    ),
}


def gb_seconds(mb_ms: int) -> Decimal:
    """From megabytes times milliseconds, exactly. A gigabyte has 1,024 megabytes."""
    return Decimal(mb_ms) / (1024 * 1000)


def requests_cost(requests: int) -> Decimal:
    return requests * A_REQUEST


def compute_cost(gb_s: Decimal, architecture: str) -> Decimal:
    """Tier by tier, from the first GB-second of the month on."""
    cost, begin = Decimal(0), Decimal(0)
    for tier in TIERS[architecture]:
        end = gb_s if tier.upto_gb_s is None else min(gb_s, tier.upto_gb_s)
        if end > begin:
            cost += (end - begin) * tier.a_gb_s
            begin = end
    return cost


@dataclass(frozen=True, slots=True)
class Bill:
    """Of one account and month, beyond the free tier."""

    requests_usd: Decimal
    compute_usd: Decimal
    storage_usd: Decimal

    @property
    def total_usd(self) -> Decimal:
        return self.requests_usd + self.compute_usd + self.storage_usd


def bill(requests: int, gb_s: Mapping[str, Decimal], storage_gb_s: Decimal) -> Bill:
    """`gb_s` by architecture."""
    free, compute = FREE_GB_S, Decimal(0)
    for architecture in TIERS:
        used = gb_s.get(architecture, Decimal(0))
        taken = min(used, free)
        free -= taken
        compute += compute_cost(used - taken, architecture)
    billed = max(0, requests - FREE_REQUESTS)
    return Bill(requests_cost(billed), compute, storage_gb_s * A_STORAGE_GB_S)
