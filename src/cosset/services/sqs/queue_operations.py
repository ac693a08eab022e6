"""The operations on queues themselves: make, find, list, purge, delete."""

import re
from collections.abc import Callable, Mapping
from uuid import uuid4

from cosset.clock import Clock
from cosset.services.operation import Context, Params, Result, operation
from cosset.services.sqs.attributes import check_new, shown
from cosset.services.sqs.book import REST_MS, QueueBook, QueueRecord, discard
from cosset.services.sqs.errors import invalid_parameter, invalid_value
from cosset.services.sqs.model import FIFO_SUFFIX, QueueKey
from cosset.services.sqs.pages import read_token, write_token
from cosset.services.sqs.redrive_targets import check_target
from cosset.services.sqs.requirements import on_any_queue, on_queue, required, to_create, to_get_url
from cosset.services.sqs.tags import check_tags
from cosset.services.sqs.urls import queue_of, queue_url
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError

MAX_LISTED = 1000
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)


class QueueOperations:
    def __init__(self, book: QueueBook, clock: Clock, new_uid: Callable[[], str] = lambda: uuid4().hex) -> None:
        self._book = book
        self._new_uid = new_uid
        self._clock = clock

    @operation("CreateQueue", to_create)
    async def create_queue(self, ctx: Context, params: Params) -> Result:
        """Again with the same attributes it answers the queue that is there."""
        given, tags = params.get("Attributes") or {}, params.get("tags") or {}
        key = QueueKey(ctx.account, ctx.region, required(params, "QueueName"))
        _check_name(key.name, is_fifo=given.get("FifoQueue") == "true")
        attributes = check_new(given, key)
        check_tags(key, tags)
        if (made := await self._book.read(key)) is None:
            await check_target(self._book, key, attributes)
            made = await self._book.create(key, attributes, tags) or await self._book.get(key)
        _refuse_difference(made, attributes, tags)
        return {"QueueUrl": queue_url(ctx, key)}

    @operation("DeleteQueue", on_queue("DeleteQueue"))
    async def delete_queue(self, ctx: Context, params: Params) -> None:
        await self._book.delete(queue_of(ctx, params))

    @operation("PurgeQueue", on_queue("PurgeQueue"))
    async def purge_queue(self, ctx: Context, params: Params) -> None:
        """At once: its messages stand under another name from here on, and are removed bit by bit."""
        now = self._clock.now_ms()

        def purge(tx: Transaction, record: QueueRecord) -> dict[str, object]:
            if now - record.purged_ms < REST_MS:
                raise ServiceError(
                    "PurgeQueueInProgress",
                    f"Only one PurgeQueue operation on {record.key.name} is allowed every 60 seconds.",
                    status=403,
                )
            discard(tx, record.uid)
            return {"uid": self._new_uid(), "purged_ms": now}

        await self._book.change(queue_of(ctx, params), purge)

    @operation("GetQueueUrl", to_get_url)
    async def get_queue_url(self, ctx: Context, params: Params) -> Result:
        account = params.get("QueueOwnerAWSAccountId") or ctx.account
        record = await self._book.get(QueueKey(account, ctx.region, required(params, "QueueName")))
        return {"QueueUrl": queue_url(ctx, record.key)}

    @operation("ListQueues", on_any_queue("ListQueues"))
    async def list_queues(self, ctx: Context, params: Params) -> Result:
        """A page is turned only where MaxResults asks for pages; else the first thousand are all."""
        limit, after = _page(params)
        names = await self._book.list_names(
            ctx.account, ctx.region, prefix=params.get("QueueNamePrefix") or "", after=after, limit=limit + 1
        )
        return _listed(ctx, params, names, limit, "QueueUrls")

    @operation("ListDeadLetterSourceQueues", on_queue("ListDeadLetterSourceQueues"))
    async def list_dead_letter_source_queues(self, ctx: Context, params: Params) -> Result:
        limit, after = _page(params)
        target = await self._book.get(queue_of(ctx, params))
        names = [name for name in await self._book.sources_of(target.key) if name > after]
        result = _listed(ctx, params, names[: limit + 1], limit, "queueUrls")
        return {"queueUrls": []} | result


def _page(params: Params) -> tuple[int, str]:
    """How many, and after which name. Raises ServiceError."""
    limit = params.get("MaxResults")
    if limit is not None and not 1 <= limit <= MAX_LISTED:
        raise invalid_value(limit, "MaxResults", f"MaxResults must be an integer between 1 and {MAX_LISTED}.")
    token = params.get("NextToken")
    return limit or MAX_LISTED, "" if not token else read_token(token)


def _listed(ctx: Context, params: Params, names: list[str], limit: int, member: str) -> Result:
    urls = [queue_url(ctx, QueueKey(ctx.account, ctx.region, name)) for name in names[:limit]]
    result: Result = {member: urls} if urls else {}
    if params.get("MaxResults") is not None and len(names) > limit:
        result["NextToken"] = write_token(names[limit - 1])
    return result


def _check_name(name: str, *, is_fifo: bool) -> None:
    if is_fifo:
        if not name.endswith(FIFO_SUFFIX) or len(name) > 80 or not _NAME.fullmatch(name.removesuffix(FIFO_SUFFIX)):
            raise invalid_parameter(
                "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, "
                "must end with .fifo suffix and be 1 to 80 in length."
            )
    elif not _NAME.fullmatch(name):
        raise invalid_parameter("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")


def _refuse_difference(record: QueueRecord, asked: dict[str, str], tags: Mapping[str, str]) -> None:
    """Only what the call names is compared; tags too, as clients have found out that name them."""
    is_fifo = record.settings.is_fifo
    there, wanted = shown(record.attributes, is_fifo=is_fifo), shown(asked, is_fifo=is_fifo)
    for name in asked:
        if there.get(name) != wanted.get(name):
            raise ServiceError(
                "QueueNameExists",
                f"A queue already exists with the same name and a different value for attribute {name}",
            )
    if any(record.tags.get(name) != value for name, value in tags.items()):
        raise ServiceError("QueueNameExists", "A queue already exists with the same name and different tags")
