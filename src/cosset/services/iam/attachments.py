"""The operations that attach managed policies to users and roles, take them off, and list them."""

from sqlalchemy import Select, delete, insert, select

from cosset.clock import Clock
from cosset.services.iam.errors import limit_exceeded, no_such_policy, not_attachable
from cosset.services.iam.owners import OwnerKind, need_owner
from cosset.services.iam.paging import page
from cosset.services.iam.policy_book import Policy, PolicyBook, attached_arns
from cosset.services.iam.records import CHANGES, Role, User, role_of, user_of
from cosset.services.iam.requirements import on_policy, on_role, on_user
from cosset.services.iam.tables import attachments, roles, users
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

    @operation("ListEntitiesForPolicy", on_policy("ListEntitiesForPolicy"))
    async def list_entities_for_policy(self, ctx: Context, params: Params) -> Result:
        """Everyone in one page: an installation has few. Groups cannot be made yet."""
        arn = params["PolicyArn"]

        def work(tx: Transaction) -> tuple[list[Role], list[User]]:
            if self._book.find(tx, ctx.account, arn) is None:
                raise no_such_policy(arn)
            return _roles_with(tx, ctx.account, arn), _users_with(tx, ctx.account, arn)

        found_roles, found_users = await self._store.read(work)
        wanted = params.get("EntityFilter")
        return {
            "PolicyRoles": [
                {"RoleName": role.name, "RoleId": role.unique_id} for role in found_roles if wanted in (None, "Role")
            ],
            "PolicyUsers": [
                {"UserName": user.name, "UserId": user.unique_id} for user in found_users if wanted in (None, "User")
            ],
            "PolicyGroups": [],
            "IsTruncated": False,
        }

    async def _attach(self, ctx: Context, kind: OwnerKind, params: Params) -> None:
        now_ms = self._clock.now_ms()

        def work(tx: Transaction) -> None:
            policy = self._book.find(tx, ctx.account, params["PolicyArn"])
            name = need_owner(tx, ctx.account, kind, params)
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
            name = need_owner(tx, ctx.account, kind, params)
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

        def work(tx: Transaction) -> list[Policy]:
            name = need_owner(tx, ctx.account, kind, params)
            arns = attached_arns(tx, ctx.account, kind, name)
            found = [self._book.find(tx, ctx.account, arn) for arn in arns]
            return [policy for policy in found if policy is not None and policy.path.startswith(prefix)]

        policies = await self._store.read(work)
        return page(
            "AttachedPolicies",
            policies,
            lambda policy: policy.name,
            lambda policy: {"PolicyName": policy.name, "PolicyArn": policy.arn},
            params,
        )


def _roles_with(tx: Transaction, account: str, arn: str) -> list[Role]:
    query = select(roles).where(roles.c.account == account, roles.c.name_key.in_(_owners_of(account, "role", arn)))
    return [role_of(row) for row in tx.execute(query.order_by(roles.c.name_key))]


def _users_with(tx: Transaction, account: str, arn: str) -> list[User]:
    query = select(users).where(users.c.account == account, users.c.name_key.in_(_owners_of(account, "user", arn)))
    return [user_of(row) for row in tx.execute(query.order_by(users.c.name_key))]


def _owners_of(account: str, kind: OwnerKind, arn: str) -> Select[tuple[str]]:
    return select(attachments.c.owner_key).where(
        attachments.c.account == account, attachments.c.owner_kind == kind, attachments.c.policy_arn == arn
    )
