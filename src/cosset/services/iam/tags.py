"""The tag operations of users, roles and customer managed policies."""

from typing import Any

from sqlalchemy import Table, update

from cosset.services.iam.errors import no_such_policy
from cosset.services.iam.owners import need_role, need_user
from cosset.services.iam.paging import page
from cosset.services.iam.policy_book import Policy, PolicyBook
from cosset.services.iam.records import Role, User
from cosset.services.iam.requirements import on_policy, on_role, on_user
from cosset.services.iam.shapes import read_tags, tag_list, without_tags
from cosset.services.iam.tables import policies, roles, users
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction

Tagged = Role | User | Policy


class Tags:
    def __init__(self, store: Store, book: PolicyBook) -> None:
        self._store = store
        self._book = book

    @operation("TagRole", on_role("TagRole"))
    async def tag_role(self, ctx: Context, params: Params) -> None:
        await self._tag(ctx, roles, params)

    @operation("UntagRole", on_role("UntagRole"))
    async def untag_role(self, ctx: Context, params: Params) -> None:
        await self._untag(ctx, roles, params)

    @operation("ListRoleTags", on_role("ListRoleTags"))
    async def list_role_tags(self, ctx: Context, params: Params) -> Result:
        return await self._list(ctx, roles, params)

    @operation("TagUser", on_user("TagUser"))
    async def tag_user(self, ctx: Context, params: Params) -> None:
        await self._tag(ctx, users, params)

    @operation("UntagUser", on_user("UntagUser"))
    async def untag_user(self, ctx: Context, params: Params) -> None:
        await self._untag(ctx, users, params)

    @operation("ListUserTags", on_user("ListUserTags"))
    async def list_user_tags(self, ctx: Context, params: Params) -> Result:
        return await self._list(ctx, users, params)

    @operation("TagPolicy", on_policy("TagPolicy"))
    async def tag_policy(self, ctx: Context, params: Params) -> None:
        await self._tag(ctx, policies, params)

    @operation("UntagPolicy", on_policy("UntagPolicy"))
    async def untag_policy(self, ctx: Context, params: Params) -> None:
        await self._untag(ctx, policies, params)

    @operation("ListPolicyTags", on_policy("ListPolicyTags"))
    async def list_policy_tags(self, ctx: Context, params: Params) -> Result:
        return await self._list(ctx, policies, params)

    async def _tag(self, ctx: Context, table: Table, params: Params) -> None:
        def work(tx: Transaction) -> None:
            tagged = self._need(tx, ctx.account, table, params)
            _keep(tx, ctx.account, table, tagged, read_tags(params["Tags"], tagged.tags))

        await self._store.write(work)

    async def _untag(self, ctx: Context, table: Table, params: Params) -> None:
        def work(tx: Transaction) -> None:
            tagged = self._need(tx, ctx.account, table, params)
            _keep(tx, ctx.account, table, tagged, without_tags(tagged.tags, params["TagKeys"]))

        await self._store.write(work)

    async def _list(self, ctx: Context, table: Table, params: Params) -> Result:
        tagged = await self._store.read(lambda tx: self._need(tx, ctx.account, table, params))
        return page("Tags", tag_list(tagged.tags), lambda tag: tag["Key"], lambda tag: tag, params)

    def _need(self, tx: Transaction, account: str, table: Table, params: Params) -> Tagged:
        if table is roles:
            return need_role(tx, account, params["RoleName"])
        if table is users:
            return need_user(tx, account, params["UserName"])
        policy = self._book.find(tx, account, params["PolicyArn"])
        if policy is None or policy.aws:
            raise no_such_policy(params["PolicyArn"])
        return policy


def _keep(tx: Transaction, account: str, table: Table, tagged: Tagged, tags: dict[str, Any]) -> None:
    mine = (table.c.account == account, table.c.name_key == tagged.name.lower())
    tx.execute(update(table).where(*mine).values(tags=tags))
