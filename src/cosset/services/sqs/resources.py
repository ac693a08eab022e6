"""What the policy evaluator asks of queues: the policy on one, and its tags."""

from cosset.identity.policy_sources import PolicyText, ResourceFacts, tag_context
from cosset.services.sqs.book import read_queue
from cosset.services.sqs.model import QueueKey
from cosset.store.database import Store


class QueueResources:
    """Implements identity's `ResourceSource` for sqs. Reads each time: decisions are kept."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def facts_of(self, action: str, resource: str) -> ResourceFacts | None:
        key = QueueKey.of_arn(resource)
        if key is None:
            return None
        record = await self._store.read(lambda tx: read_queue(tx, key))
        if record is None:
            return None
        policy = record.attributes.get("Policy")
        return ResourceFacts((PolicyText(resource, policy),) if policy else (), tag_context(record.tags))
