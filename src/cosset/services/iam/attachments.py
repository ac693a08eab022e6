"""The operations that attach managed policies to users, groups and roles, take them off, and list them."""

from sqlalchemy import delete, insert

from cosset.clock import Clock
from cosset.services.iam.errors import limit_exceeded, no_such_policy, not_attachable
from cosset.services.iam.owners import OwnerKind, need_modifiable_owner, need_owner
from cosset.services.iam.paging import page
from cosset.services.iam.policy_book import PolicyBook, attached_arns, attached_shown, name_of, path_of
from cosset.services.iam.records import CHANGES
from cosset.services.iam.requirements import on_group, on_role, on_user
from cosset.services.iam.tables import attachments
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction

_QUOTA = 10


class Attachments:
    def __init__(self, store: Store, book: PolicyBook, clock: Clock) -> None:
        self._store = store
        self._book = book
        self._clock = clock

    @operation("AttachRolePolicy", on_role("AttachRolePolicy"))
    async def attach_role_policy(self, ctx: Context, params: Params) -> None:
        await self._attach(ctx, "role", params)

    @operation("DetachRolePolicy", on_role("DetachRolePolicy"))
    async def detach_role_policy(self, ctx: Context, params: Params) -> None:
        await self._detach(ctx, "role", params)

    @operation("ListAttachedRolePolicies", on_role("ListAttachedRolePolicies"))
    async def list_attached_role_policies(self, ctx: Context, params: Params) -> Result:
        return await self._list(ctx, "role", params)

    @operation("AttachUserPolicy", on_user("AttachUserPolicy"))
    async def attach_user_policy(self, ctx: Context, params: Params) -> None:
        await self._attach(ctx, "user", params)

    @operation("DetachUserPolicy", on_user("DetachUserPolicy"))
    async def detach_user_policy(self, ctx: Context, params: Params) -> None:
        await self._detach(ctx, "user", params)

    @operation("ListAttachedUserPolicies", on_user("ListAttachedUserPolicies"))
    async def list_attached_user_policies(self, ctx: Context, params: Params) -> Result:
        return await self._list(ctx, "user", params)

    @operation("AttachGroupPolicy", on_group("AttachGroupPolicy"))
    async def attach_group_policy(self, ctx: Context, params: Params) -> None:
        await self._attach(ctx, "group", params)

    @operation("DetachGroupPolicy", on_group("DetachGroupPolicy"))
    async def detach_group_policy(self, ctx: Context, params: Params) -> None:
        await self._detach(ctx, "group", params)

    @operation("ListAttachedGroupPolicies", on_group("ListAttachedGroupPolicies"))
    async def list_attached_group_policies(self, ctx: Context, params: Params) -> Result:
        return await self._list(ctx, "group", params)

    async def _attach(self, ctx: Context, kind: OwnerKind, params: Params) -> None:
        now_ms = self._clock.now_ms()

        def work(tx: Transaction) -> None:
            policy = self._book.find(tx, ctx.account, params["PolicyArn"])
            name = need_modifiable_owner(tx, ctx.account, kind, params)
            if policy is None:
                raise not_attachable(params["PolicyArn"])
            attached = attached_arns(tx, ctx.account, kind, name)
            if policy.arn in attached:
                return
            if len(attached) >= _QUOTA:
                raise limit_exceeded(f"Cannot exceed quota for PoliciesPer{kind.capitalize()}: {_QUOTA}")
            values = {"account": ctx.account, "owner_kind": kind, "owner_key": name.lower(), "policy_arn": policy.arn}
            tx.execute(insert(attachments).values(**values, attached_ms=now_ms))
            tx.announce(CHANGES, ctx.account)

        await self._store.write(work)

    async def _detach(self, ctx: Context, kind: OwnerKind, params: Params) -> None:
        def work(tx: Transaction) -> None:
            self._book.find(tx, ctx.account, params["PolicyArn"])  # refuses what is no ARN
            name = need_modifiable_owner(tx, ctx.account, kind, params)
            gone = tx.execute(
                delete(attachments).where(
                    attachments.c.account == ctx.account,
                    attachments.c.owner_kind == kind,
                    attachments.c.owner_key == name.lower(),
                    attachments.c.policy_arn == params["PolicyArn"],
                )
            )
            if not gone.rowcount:
                raise no_such_policy(params["PolicyArn"])
            tx.announce(CHANGES, ctx.account)

        await self._store.write(work)

    async def _list(self, ctx: Context, kind: OwnerKind, params: Params) -> Result:
        prefix = params.get("PathPrefix", "/")

        def work(tx: Transaction) -> list[str]:
            name = need_owner(tx, ctx.account, kind, params)
            return [arn for arn in attached_arns(tx, ctx.account, kind, name) if path_of(arn).startswith(prefix)]

        arns = await self._store.read(work)
        return page("AttachedPolicies", arns, name_of, attached_shown, params)
