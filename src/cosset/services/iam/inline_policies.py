"""The operations on policies that are embedded in one user, group or role."""

from typing import Any

from sqlalchemy import delete, insert, select, update

from cosset.identity.policy_document import MalformedPolicyError, parse_identity_policy
from cosset.services.iam.errors import limit_exceeded, malformed_policy, no_such_entity
from cosset.services.iam.owners import PARAMETER, OwnerKind, need_modifiable_owner, need_owner
from cosset.services.iam.paging import page
from cosset.services.iam.records import CHANGES
from cosset.services.iam.requirements import on_group, on_role, on_user
from cosset.services.iam.shapes import document_text
from cosset.services.iam.tables import inline_policies
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction

_MAX_CHARACTERS: dict[OwnerKind, int] = {"role": 10_240, "group": 5_120, "user": 2_048}
"""All of one owner's inline policies together, white space not counted."""


class InlinePolicies:
    def __init__(self, store: Store) -> None:
        self._store = store

    @operation("PutRolePolicy", on_role("PutRolePolicy"))
    async def put_role_policy(self, ctx: Context, params: Params) -> None:
        await self._put(ctx, "role", params)

    @operation("GetRolePolicy", on_role("GetRolePolicy"))
    async def get_role_policy(self, ctx: Context, params: Params) -> Result:
        return await self._get(ctx, "role", params)

    @operation("DeleteRolePolicy", on_role("DeleteRolePolicy"))
    async def delete_role_policy(self, ctx: Context, params: Params) -> None:
        await self._delete(ctx, "role", params)

    @operation("ListRolePolicies", on_role("ListRolePolicies"))
    async def list_role_policies(self, ctx: Context, params: Params) -> Result:
        return await self._list(ctx, "role", params)

    @operation("PutUserPolicy", on_user("PutUserPolicy"))
    async def put_user_policy(self, ctx: Context, params: Params) -> None:
        await self._put(ctx, "user", params)

    @operation("GetUserPolicy", on_user("GetUserPolicy"))
    async def get_user_policy(self, ctx: Context, params: Params) -> Result:
        return await self._get(ctx, "user", params)

    @operation("DeleteUserPolicy", on_user("DeleteUserPolicy"))
    async def delete_user_policy(self, ctx: Context, params: Params) -> None:
        await self._delete(ctx, "user", params)

    @operation("ListUserPolicies", on_user("ListUserPolicies"))
    async def list_user_policies(self, ctx: Context, params: Params) -> Result:
        return await self._list(ctx, "user", params)

    @operation("PutGroupPolicy", on_group("PutGroupPolicy"))
    async def put_group_policy(self, ctx: Context, params: Params) -> None:
        await self._put(ctx, "group", params)

    @operation("GetGroupPolicy", on_group("GetGroupPolicy"))
    async def get_group_policy(self, ctx: Context, params: Params) -> Result:
        return await self._get(ctx, "group", params)

    @operation("DeleteGroupPolicy", on_group("DeleteGroupPolicy"))
    async def delete_group_policy(self, ctx: Context, params: Params) -> None:
        await self._delete(ctx, "group", params)

    @operation("ListGroupPolicies", on_group("ListGroupPolicies"))
    async def list_group_policies(self, ctx: Context, params: Params) -> Result:
        return await self._list(ctx, "group", params)

    async def _put(self, ctx: Context, kind: OwnerKind, params: Params) -> None:
        document, policy = params["PolicyDocument"], params["PolicyName"]
        try:
            parse_identity_policy(document)
        except MalformedPolicyError as error:
            raise malformed_policy(str(error)) from None

        def work(tx: Transaction) -> None:
            name = need_modifiable_owner(tx, ctx.account, kind, params)
            existing = embedded_documents(tx, ctx.account, kind, name)
            sizes = sum(_size(text) for each, text in existing.items() if each != policy) + _size(document)
            if sizes > _MAX_CHARACTERS[kind]:
                limit = _MAX_CHARACTERS[kind]
                raise limit_exceeded(f"Maximum policy size of {limit} bytes exceeded for {kind} {name}")
            if policy in existing:
                tx.execute(update(inline_policies).where(*_mine(ctx, kind, name, policy)).values(document=document))
            else:
                owner = {"account": ctx.account, "owner_kind": kind, "owner_key": name.lower()}
                tx.execute(insert(inline_policies).values(**owner, name=policy, document=document))
            tx.announce(CHANGES, ctx.account)

        await self._store.write(work)

    async def _get(self, ctx: Context, kind: OwnerKind, params: Params) -> Result:
        def work(tx: Transaction) -> tuple[str, str | None]:
            name = need_owner(tx, ctx.account, kind, params)
            return name, embedded_documents(tx, ctx.account, kind, name).get(params["PolicyName"])

        name, document = await self._store.read(work)
        if document is None:
            raise _no_such_inline_policy(kind, params)
        return {
            PARAMETER[kind]: name,
            "PolicyName": params["PolicyName"],
            "PolicyDocument": document_text(document),
        }

    async def _delete(self, ctx: Context, kind: OwnerKind, params: Params) -> None:
        def work(tx: Transaction) -> None:
            name = need_modifiable_owner(tx, ctx.account, kind, params)
            gone = tx.execute(delete(inline_policies).where(*_mine(ctx, kind, name, params["PolicyName"])))
            if not gone.rowcount:
                raise _no_such_inline_policy(kind, params)
            tx.announce(CHANGES, ctx.account)

        await self._store.write(work)

    async def _list(self, ctx: Context, kind: OwnerKind, params: Params) -> Result:
        def work(tx: Transaction) -> list[str]:
            return list(embedded_documents(tx, ctx.account, kind, need_owner(tx, ctx.account, kind, params)))

        names = await self._store.read(work)
        return page("PolicyNames", names, str, str, params)


def embedded_documents(tx: Transaction, account: str, kind: OwnerKind, name: str) -> dict[str, str]:
    """The inline policies of one owner, by name."""
    query = select(inline_policies.c.name, inline_policies.c.document).where(
        inline_policies.c.account == account,
        inline_policies.c.owner_kind == kind,
        inline_policies.c.owner_key == name.lower(),
    )
    return {str(row.name): str(row.document) for row in tx.execute(query)}


def _mine(ctx: Context, kind: OwnerKind, name: str, policy: str) -> tuple[Any, ...]:
    columns = inline_policies.c
    return (
        columns.account == ctx.account,
        columns.owner_kind == kind,
        columns.owner_key == name.lower(),
        columns.name == policy,
    )


def _size(document: str) -> int:
    return len("".join(document.split()))


def _no_such_inline_policy(kind: OwnerKind, params: Params) -> Exception:
    return no_such_entity(f"The {kind} policy with name {params['PolicyName']} cannot be found.")
