"""The tag operations of log groups, in both generations: by name, and by ARN."""

from collections.abc import Iterable, Mapping

from sqlalchemy import update

from cosset.services.logs.errors import invalid_parameter
from cosset.services.logs.group_book import own
from cosset.services.logs.groups import need_group
from cosset.services.logs.names import name_of, on_arn, on_group
from cosset.services.logs.tables import log_groups
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction
from cosset.wire.errors import ServiceError

_LIMIT = 50


class LogTags:
    def __init__(self, store: Store) -> None:
        self._store = store

    @operation("TagLogGroup", on_group("TagLogGroup"))
    async def tag_log_group(self, ctx: Context, params: Params) -> None:
        await self._tag(ctx, params["logGroupName"], params["tags"])

    @operation("UntagLogGroup", on_group("UntagLogGroup"))
    async def untag_log_group(self, ctx: Context, params: Params) -> None:
        await self._untag(ctx, params["logGroupName"], params["tags"])

    @operation("ListTagsLogGroup", on_group("ListTagsLogGroup"))
    async def list_tags_log_group(self, ctx: Context, params: Params) -> Result:
        return await self._list(ctx, params["logGroupName"])

    @operation("TagResource", on_arn("TagResource"))
    async def tag_resource(self, ctx: Context, params: Params) -> None:
        await self._tag(ctx, _named(params["resourceArn"]), params["tags"])

    @operation("UntagResource", on_arn("UntagResource"))
    async def untag_resource(self, ctx: Context, params: Params) -> None:
        await self._untag(ctx, _named(params["resourceArn"]), params["tagKeys"])

    @operation("ListTagsForResource", on_arn("ListTagsForResource"))
    async def list_tags_for_resource(self, ctx: Context, params: Params) -> Result:
        return await self._list(ctx, _named(params["resourceArn"]))

    async def _tag(self, ctx: Context, name: str, tags: Mapping[str, str]) -> None:
        def work(tx: Transaction) -> None:
            merged = {**need_group(tx, ctx, name).tags, **tags}
            if len(merged) > _LIMIT:
                raise ServiceError("TooManyTagsException", "The resource has too many tags.")
            _keep(tx, ctx, name, merged)

        await self._store.write(work)

    async def _untag(self, ctx: Context, name: str, keys: Iterable[str]) -> None:
        def work(tx: Transaction) -> None:
            gone = set(keys)
            _keep(tx, ctx, name, {k: v for k, v in need_group(tx, ctx, name).tags.items() if k not in gone})

        await self._store.write(work)

    async def _list(self, ctx: Context, name: str) -> Result:
        group = await self._store.read(lambda tx: need_group(tx, ctx, name))
        return {"tags": dict(group.tags)}


def _named(resource_arn: str) -> str:
    if not resource_arn.startswith("arn:"):
        raise invalid_parameter("Invalid ARN")
    return name_of(resource_arn)


def _keep(tx: Transaction, ctx: Context, name: str, tags: dict[str, str]) -> None:
    tx.execute(update(log_groups).where(*own(ctx.account, ctx.region, name)).values(tags=tags))
