"""GetQueueAttributes and SetQueueAttributes."""

from collections.abc import Sequence

from cosset.services.operation import Context, Params, Result, operation
from cosset.services.sqs.attributes import COUNTS, READABLE, changed, shown
from cosset.services.sqs.book import QueueRecord
from cosset.services.sqs.errors import missing_parameter, no_such_queue, unknown_attribute
from cosset.services.sqs.queues import Queues
from cosset.services.sqs.redrive_targets import check_target
from cosset.services.sqs.requirements import on_queue
from cosset.services.sqs.urls import queue_of
from cosset.store.transaction import Transaction


class AttributeOperations:
    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    @operation("GetQueueAttributes", on_queue("GetQueueAttributes"))
    async def get_queue_attributes(self, ctx: Context, params: Params) -> Result:
        """Nothing where no name is given, `All` for all."""
        names: Sequence[str] = params.get("AttributeNames") or ()
        for name in names:
            if name not in READABLE and name != "All":
                raise unknown_attribute(name)
        record = await self._queues.book.read(queue_of(ctx, params))
        if record is None:
            raise no_such_queue()
        wanted = set(READABLE if "All" in names else names)
        values = _texts(record)
        if wanted.intersection(COUNTS):
            depth = await self._queues.depth(record.key.arn)
            numbers = (depth.visible, depth.in_flight, depth.delayed)
            values |= {name: str(number) for name, number in zip(COUNTS, numbers, strict=True)}
        found = {name: value for name, value in values.items() if name in wanted}
        return {"Attributes": found} if found else {}

    @operation("SetQueueAttributes", on_queue("SetQueueAttributes"))
    async def set_queue_attributes(self, ctx: Context, params: Params) -> None:
        key, given = queue_of(ctx, params), params.get("Attributes")
        if not given:
            raise missing_parameter("Attributes")
        record = await self._queues.book.get(key)
        after = changed(record.attributes, given, key)
        if given.get("RedrivePolicy"):
            await check_target(self._queues.book, key, after)

        def change(tx: Transaction, record: QueueRecord) -> dict[str, object]:
            return {"attributes": changed(record.attributes, given, key)}

        await self._queues.book.change(key, change)


def _texts(record: QueueRecord) -> dict[str, str]:
    return {
        "QueueArn": record.key.arn,
        "CreatedTimestamp": str(record.created_ms // 1000),
        "LastModifiedTimestamp": str(record.modified_ms // 1000),
        **shown(record.attributes, is_fifo=record.settings.is_fifo),
    }
