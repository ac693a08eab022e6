"""What the policy evaluator asks of buckets: whose one is, which its ARN does not say."""

from cosset.identity.policy_sources import ResourceFacts
from cosset.services.s3.bucket_book import find_bucket
from cosset.store.database import Store

_ARN = "arn:aws:s3:::"


class BucketResources:
    """Implements identity's `ResourceSource` for s3. Reads each time: decisions are kept."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def facts_of(self, action: str, resource: str) -> ResourceFacts | None:
        if not resource.startswith(_ARN):
            return None
        name = resource.removeprefix(_ARN).partition("/")[0]
        bucket = await self._store.read(lambda tx: find_bucket(tx, name))
        return None if bucket is None else ResourceFacts(account=bucket.account)
