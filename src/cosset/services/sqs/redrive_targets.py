"""Whether a redrive policy's dead-letter queue is there, and takes what comes from this queue."""

from collections.abc import Mapping

from cosset.services.sqs.book import QueueBook
from cosset.services.sqs.model import QueueKey
from cosset.services.sqs.redrive import read_redrive_policy, target_missing, target_refuses


async def check_target(book: QueueBook, source: QueueKey, attributes: Mapping[str, str]) -> None:
    """Raises ServiceError InvalidParameterValue. Attributes without a redrive policy are fine."""
    policy = attributes.get("RedrivePolicy")
    if not policy:
        return
    target = await book.read(read_redrive_policy(policy, source).target)
    if target is None:
        raise target_missing(policy)
    if not target.settings.allows.allows(source):
        raise target_refuses(policy)
