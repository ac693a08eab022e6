"""Tags of alarms and metric streams, by ARN. Tags of what is gone are none (recorded: test_tagging_metric_alarm)."""

from collections.abc import Mapping

from sqlalchemy import delete, insert, select, update

from cosset.services.cloudwatch.errors import invalid, no_such_resource
from cosset.services.cloudwatch.names import on_arn, read_tags
from cosset.services.cloudwatch.tables import alarms, metric_streams, tags
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction

_MOST = 50


def write_tags(tx: Transaction, arn: str, given: Mapping[str, str]) -> None:
    """In place of those that were there."""
    if len(given) > _MOST:
        raise invalid(f"A resource has up to {_MOST} tags.")
    if not tx.execute(update(tags).where(tags.c.arn == arn).values(tags=dict(given))).rowcount and given:
        tx.execute(insert(tags).values(arn=arn, tags=dict(given)))


def find_tags(tx: Transaction, arn: str) -> dict[str, str]:
    found = tx.execute(select(tags.c.tags).where(tags.c.arn == arn)).scalar_one_or_none()
    return dict(found or {})


def drop_tags(tx: Transaction, arn: str) -> None:
    tx.execute(delete(tags).where(tags.c.arn == arn))


class Tags:
    def __init__(self, store: Store) -> None:
        self._store = store

    @operation("TagResource", on_arn("TagResource"))
    async def tag_resource(self, ctx: Context, params: Params) -> Result:
        arn = params["ResourceARN"]

        def work(tx: Transaction) -> None:
            _need(tx, ctx, arn)
            write_tags(tx, arn, find_tags(tx, arn) | read_tags(params["Tags"]))

        await self._store.write(work)
        return {}

    @operation("UntagResource", on_arn("UntagResource"))
    async def untag_resource(self, ctx: Context, params: Params) -> Result:
        arn, gone = params["ResourceARN"], set(params["TagKeys"])

        def work(tx: Transaction) -> None:
            _need(tx, ctx, arn)
            write_tags(tx, arn, {key: value for key, value in find_tags(tx, arn).items() if key not in gone})

        await self._store.write(work)
        return {}

    @operation("ListTagsForResource", on_arn("ListTagsForResource"))
    async def list_tags_for_resource(self, ctx: Context, params: Params) -> Result:
        found = await self._store.read(lambda tx: find_tags(tx, params["ResourceARN"]))
        return {"Tags": [{"Key": key, "Value": value} for key, value in sorted(found.items())]}


def _need(tx: Transaction, ctx: Context, arn: str) -> None:
    """Raises ServiceError ResourceNotFound for the ARN of nothing that is here."""
    head = f"arn:aws:cloudwatch:{ctx.region}:{ctx.account}:"
    rest = arn.removeprefix(head)
    for kind, table in (("alarm:", alarms), ("metric-stream/", metric_streams)):
        if rest != arn and rest.startswith(kind):
            place = table.c.account == ctx.account, table.c.region == ctx.region
            name = rest.removeprefix(kind)
            if tx.execute(select(table.c.name).where(*place, table.c.name == name)).first() is not None:
                return
    raise no_such_resource(f"The resource {arn} does not exist.")
