"""What the policy evaluator asks of functions: the policy on one, on its version or alias, and its tags.

Layers of other accounts cannot be used yet, so the policies on layers open nothing and are not asked for.
"""

import json

from cosset.functions import policy_records, records
from cosset.functions.model import LATEST, FunctionKey
from cosset.identity.arn import Arn
from cosset.identity.policy_sources import PolicyText, ResourceFacts, tag_context
from cosset.store.database import Store, Transaction

_KIND = "function"


class FunctionResources:
    """Implements identity's `ResourceSource` for lambda. Reads each time: decisions are kept."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def facts_of(self, action: str, resource: str) -> ResourceFacts | None:
        arn = Arn.parse(resource)
        if arn is None or arn.service != "lambda":
            return None
        kind, _, rest = arn.resource.partition(":")
        name, _, qualifier = rest.partition(":")
        if kind != _KIND:
            return None
        key = FunctionKey(arn.account, arn.region, name)
        # A policy on $LATEST is the policy on the function without a qualifier.
        at = "" if qualifier == LATEST else qualifier

        def read(tx: Transaction) -> ResourceFacts | None:
            settings = records.read_settings(tx, key)
            if settings is None:
                return None
            document = policy_records.read_document(tx, key, at)
            policies = (PolicyText(resource, json.dumps(document)),) if document else ()
            return ResourceFacts(policies, tag_context(settings.tags))

        return await self._store.read(read)
