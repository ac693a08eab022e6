"""Resource policies of CloudWatch Logs, as rows: of an account in a region, for all its log groups; and what the
evaluator is told of them. Next: policies.py, the operations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select

from cosset.identity.arn import Arn
from cosset.identity.policy_sources import PolicyText, ResourceFacts
from cosset.services.logs.places import POLICY_CHANGES
from cosset.services.logs.tables import log_resource_policies as rows
from cosset.store.database import Store, Transaction


@dataclass(frozen=True, slots=True)
class ResourcePolicy:
    name: str
    document: str
    updated_ms: int


def policies_of(tx: Transaction, account: str, region: str) -> list[ResourcePolicy]:
    """In the order of their names."""
    found = tx.execute(select(rows).where(rows.c.account == account, rows.c.region == region))
    kept = [ResourcePolicy(row.name, row.document, row.updated_ms) for row in found]
    return sorted(kept, key=lambda each: each.name)


def put_policy(tx: Transaction, account: str, region: str, policy: ResourcePolicy) -> None:
    """In the place of the one with its name, if there is one."""
    delete_policy(tx, account, region, policy.name)
    values: dict[str, Any] = {"document": policy.document, "updated_ms": policy.updated_ms}
    tx.execute(insert(rows).values(account=account, region=region, name=policy.name, **values))


def delete_policy(tx: Transaction, account: str, region: str, name: str) -> bool:
    """False: there was none."""
    tx.announce(POLICY_CHANGES, account)
    own = (rows.c.account == account, rows.c.region == region, rows.c.name == name)
    return tx.execute(delete(rows).where(*own)).rowcount > 0


class LogResources:
    """Implements identity's `ResourceSource` for logs. Reads each time: decisions are kept."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def facts_of(self, action: str, resource: str) -> ResourceFacts | None:
        arn = Arn.parse(resource)
        if arn is None or arn.service != "logs":
            return None
        found: Sequence[ResourcePolicy] = await self._store.read(lambda tx: policies_of(tx, arn.account, arn.region))
        if not found:
            return None
        return ResourceFacts(tuple(PolicyText(resource, each.document) for each in found), {})
