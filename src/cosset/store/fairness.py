"""Whose messages come first where one tenant of a queue keeps its receivers busy: those of the others.

A tenant is noisy with more than a tenth of what is under lease and at least thirty messages of its own. Source: SQS
developer guide, "How Amazon SQS fair queues work". Its other measure, the share of processing time, is not taken.
What is looked at is bounded, so a receive stays short however long the backlog is: with very many tenants a quiet one
may have to wait for its turn, and a message without a tenant waits behind a noisy one's. Next: `queue_receipt.py`.
"""

from collections.abc import Sequence
from typing import Any

from cosset.store import queue_tables as statements
from cosset.store.transaction import Transaction

NOISY_SHARE = 0.1
NOISY_LEAST = 30
LOOK_MS = 1_000
"""For how long it is believed who is noisy."""
COUNTED = 20_000
"""Messages under lease that are counted for it."""
TENANTS = 20
"""Tenants that one receive looks at, beyond those of the messages that come first anyway."""


class Fairness:
    """Of one queue, on one node. What it remembers is a guess that is made anew all the time, and no truth.

    Used within transactions, by one thread or by several: they come to about the same.
    """

    def __init__(self) -> None:
        self._noisy: frozenset[str] = frozenset()
        self._looked_ms: int | None = None
        self._after = ""

    def ordered(self, tx: Transaction, queue: str, rows: Sequence[Any], now_ms: int) -> list[Any]:
        """Messages that are due, the quiet tenants' first. `rows` are those due longest; a noisy tenant's among them
        make it look for others behind them. Each message without a tenant is one of its own."""
        if all(row.group_id is None for row in rows):
            return list(rows)
        noisy = self._find_noisy(tx, queue, now_ms)
        late = [row for row in rows if row.group_id in noisy]
        quiet = [row for row in rows if row.group_id not in noisy]
        if late:
            quiet += self._further(tx, queue, now_ms, noisy, quiet, len(late))
        return quiet + late

    def _find_noisy(self, tx: Transaction, queue: str, now_ms: int) -> frozenset[str]:
        if self._looked_ms is None or not 0 <= now_ms - self._looked_ms < LOOK_MS:
            bounds = {"the_queue": queue, "now": now_ms, "at_most": COUNTED}
            counted = {row.group_id: row.number for row in tx.run(statements.IN_FLIGHT_OF_TENANTS, bounds).rows}
            share = NOISY_SHARE * sum(counted.values())
            self._noisy = frozenset(
                tenant
                for tenant, number in counted.items()
                if tenant is not None and number >= NOISY_LEAST and number > share
            )
            self._looked_ms = now_ms
        return self._noisy

    def _further(
        self, tx: Transaction, queue: str, now_ms: int, noisy: frozenset[str], known: Sequence[Any], wanted: int
    ) -> list[Any]:
        """Up to `wanted` messages of quiet tenants that stand behind a noisy one's."""
        found: list[Any] = []
        seen = {row.seq for row in known}
        first: str | None = None
        for _ in range(TENANTS):
            if len(found) >= wanted:
                break
            tenant = self._next_tenant(tx, queue)
            if tenant is None or tenant == first:
                break
            first = first or tenant
            if tenant in noisy:
                continue
            due = {"the_queue": queue, "tenant": tenant, "now": now_ms, "at_most": wanted + len(known)}
            found += [row for row in tx.run(statements.DUE_OF_TENANT, due).rows if row.seq not in seen]
        return found[:wanted]

    def _next_tenant(self, tx: Transaction, queue: str) -> str | None:
        """By turns. None: the queue has none."""
        tenant = tx.run(statements.NEXT_TENANT, {"the_queue": queue, "after": self._after}).scalar()
        if tenant is None and self._after:
            tenant = tx.run(statements.NEXT_TENANT, {"the_queue": queue, "after": ""}).scalar()
        self._after = "" if tenant is None else str(tenant)
        return None if tenant is None else str(tenant)
