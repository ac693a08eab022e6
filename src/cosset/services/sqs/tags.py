"""Tags of queues. https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-queue-tags.html"""

import re
from collections.abc import Mapping

from cosset.services.operation import Context, Params, Result, operation
from cosset.services.sqs.book import QueueBook, QueueRecord
from cosset.services.sqs.errors import invalid_parameter, missing_parameter
from cosset.services.sqs.model import QueueKey
from cosset.services.sqs.requirements import on_queue, to_tag, to_untag
from cosset.services.sqs.urls import queue_of
from cosset.store.transaction import Transaction

MAX_TAGS = 50
_TEXT = re.compile(r"[\w\s.:/=+\-@]*")


class TagOperations:
    def __init__(self, book: QueueBook) -> None:
        self._book = book

    @operation("TagQueue", to_tag)
    async def tag_queue(self, ctx: Context, params: Params) -> None:
        tags = params.get("Tags")
        if not tags:
            raise missing_parameter("Tags")

        def tag(tx: Transaction, record: QueueRecord) -> dict[str, object]:
            merged = {**record.tags, **tags}
            check_tags(record.key, merged)
            return {"tags": merged}

        await self._book.change(queue_of(ctx, params), tag)

    @operation("UntagQueue", to_untag)
    async def untag_queue(self, ctx: Context, params: Params) -> None:
        keys = params.get("TagKeys")
        if not keys:
            raise missing_parameter("TagKeys")

        def untag(tx: Transaction, record: QueueRecord) -> dict[str, object]:
            return {"tags": {name: value for name, value in record.tags.items() if name not in keys}}

        await self._book.change(queue_of(ctx, params), untag)

    @operation("ListQueueTags", on_queue("ListQueueTags"))
    async def list_queue_tags(self, ctx: Context, params: Params) -> Result:
        record = await self._book.get(queue_of(ctx, params))
        return {"Tags": dict(record.tags)} if record.tags else {}


def check_tags(key: QueueKey, tags: Mapping[str, str]) -> None:
    """Raises ServiceError InvalidParameterValue."""
    if len(tags) > MAX_TAGS:
        raise invalid_parameter(f"Too many tags added for queue {key.name}.")
    for name, value in tags.items():
        if not 1 <= len(name) <= 128:
            raise invalid_parameter("Tag keys must be between 1 and 128 characters in length.")
        if value is None or len(value) > 256:
            raise invalid_parameter("Tag values must be between 0 and 256 characters in length.")
        if name.lower().startswith("aws:"):
            raise invalid_parameter("Tag keys cannot start with the reserved prefix 'aws:'.")
        if not _TEXT.fullmatch(name) or not _TEXT.fullmatch(value):
            raise invalid_parameter(
                "Tags can only contain Unicode letters, digits, white space and any of the following: _.:/=+@-"
            )
