"""The role operations: make, show, change and delete roles, and the trust policy that says who may assume them."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import delete, insert, select, update

from cosset.clock import Clock
from cosset.identity.key_material import RandomBytes, new_unique_id
from cosset.identity.policy_document import MalformedPolicyError, PolicyDocument, parse_trust_policy
from cosset.services.iam.errors import (
    already_exists,
    delete_conflict,
    invalid_input,
    limit_exceeded,
    malformed_policy,
    not_attachable,
)
from cosset.services.iam.owners import SERVICE_LINKED, need_modifiable_role, need_role, refuse_while_it_carries_policies
from cosset.services.iam.paging import page
from cosset.services.iam.policy_book import PolicyBook
from cosset.services.iam.records import CHANGES, Role, find_role, role_of
from cosset.services.iam.requirements import on_everything, on_new, on_role
from cosset.services.iam.shapes import read_tags, role_as_created, role_in_full, role_in_list, tags_shown
from cosset.services.iam.tables import entity_uses, instance_profiles, roles
from cosset.services.iam.trusted_ids import forget_trusted_ids, keep_trusted_ids, resolve_trust, resolve_trusts
from cosset.services.iam.trusted_principals import refuse_unknown_principals
from cosset.services.iam.uses import Use, find_last_use
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction

_MAX_TRUST_CHARACTERS = 2_048


class Roles:
    def __init__(self, store: Store, policies: PolicyBook, clock: Clock, random_bytes: RandomBytes) -> None:
        self._store = store
        self._policies = policies
        self._clock = clock
        self._random_bytes = random_bytes

    @operation("CreateRole", on_new("CreateRole", "role", "RoleName"))
    async def create_role(self, ctx: Context, params: Params) -> Result:
        if params.get("Path", "/").startswith(SERVICE_LINKED):
            raise invalid_input(f"The path {SERVICE_LINKED} is for roles that CreateServiceLinkedRole makes.")
        trust = _read_trust(params["AssumeRolePolicyDocument"])
        role = Role(
            account=ctx.account,
            name=params["RoleName"],
            path=params.get("Path", "/"),
            unique_id=new_unique_id("AROA", self._random_bytes),
            trust_policy=params["AssumeRolePolicyDocument"],
            description=params.get("Description"),
            max_session_s=params.get("MaxSessionDuration", 3600),
            permissions_boundary=params.get("PermissionsBoundary"),
            tags=read_tags(params.get("Tags", [])),
            created_ms=self._clock.now_ms(),
        )

        def work(tx: Transaction) -> None:
            if role.permissions_boundary is not None:
                self._need_boundary(tx, role.account, role.permissions_boundary)
            refuse_unknown_principals(tx, role.account, trust)
            add_role(tx, role)
            keep_trusted_ids(tx, role.unique_id, trust)

        await self._store.write(work)
        return {"Role": role_as_created(role) | tags_shown(role.tags)}

    @operation("GetRole", on_role("GetRole"))
    async def get_role(self, ctx: Context, params: Params) -> Result:
        def work(tx: Transaction) -> tuple[Role, Use | None]:
            role = resolve_trust(tx, need_role(tx, ctx.account, params["RoleName"]))
            return role, find_last_use(tx, role.unique_id)

        role, use = await self._store.read(work)
        used = {} if use is None else {"LastUsedDate": use.used_ms // 1000, "Region": use.region}
        return {"Role": role_in_full(role, used)}

    @operation("ListRoles", on_everything("ListRoles", "role/"))
    async def list_roles(self, ctx: Context, params: Params) -> Result:
        prefix = params.get("PathPrefix", "/")
        query = select(roles).where(roles.c.account == ctx.account)
        found = await self._store.read(lambda tx: resolve_trusts(tx, [role_of(row) for row in tx.execute(query)]))
        matching = [role for role in found if role.path.startswith(prefix)]
        return page("Roles", matching, lambda role: role.name.lower(), role_in_list, params)

    @operation("UpdateRole", on_role("UpdateRole"))
    async def update_role(self, ctx: Context, params: Params) -> Result:
        changes: dict[str, Any] = {}
        if "Description" in params:
            changes["description"] = params["Description"]
        if "MaxSessionDuration" in params:
            changes["max_session_s"] = params["MaxSessionDuration"]
        await self._change(ctx, params, changes)
        return {}

    @operation("UpdateRoleDescription", on_role("UpdateRoleDescription"))
    async def update_role_description(self, ctx: Context, params: Params) -> Result:
        role = await self._change(ctx, params, {"description": params["Description"]})
        return {"Role": role_in_full(role)}

    @operation("UpdateAssumeRolePolicy", on_role("UpdateAssumeRolePolicy"))
    async def update_assume_role_policy(self, ctx: Context, params: Params) -> None:
        trust = _read_trust(params["PolicyDocument"])

        def meant(tx: Transaction, role: Role) -> None:
            refuse_unknown_principals(tx, ctx.account, trust)
            keep_trusted_ids(tx, role.unique_id, trust)

        await self._change(ctx, params, {"trust_policy": params["PolicyDocument"]}, meant)

    @operation("PutRolePermissionsBoundary", on_role("PutRolePermissionsBoundary"))
    async def put_role_permissions_boundary(self, ctx: Context, params: Params) -> None:
        arn = params["PermissionsBoundary"]
        await self._store.read(lambda tx: self._need_boundary(tx, ctx.account, arn))
        await self._change(ctx, params, {"permissions_boundary": arn})

    @operation("DeleteRolePermissionsBoundary", on_role("DeleteRolePermissionsBoundary"))
    async def delete_role_permissions_boundary(self, ctx: Context, params: Params) -> None:
        await self._change(ctx, params, {"permissions_boundary": None})

    @operation("DeleteRole", on_role("DeleteRole"))
    async def delete_role(self, ctx: Context, params: Params) -> None:
        def work(tx: Transaction) -> None:
            role = need_modifiable_role(tx, ctx.account, params["RoleName"])
            refuse_while_in_a_profile(tx, role)
            refuse_while_it_carries_policies(tx, ctx.account, "role", role.name)
            remove_role(tx, role)

        await self._store.write(work)

    def _need_boundary(self, tx: Transaction, account: str, arn: str) -> None:
        if self._policies.find(tx, account, arn) is None:
            raise not_attachable(arn)

    async def _change(
        self,
        ctx: Context,
        params: Params,
        changes: dict[str, Any],
        besides: Callable[[Transaction, Role], None] | None = None,
    ) -> Role:
        def work(tx: Transaction) -> Role:
            role = need_modifiable_role(tx, ctx.account, params["RoleName"])
            mine = (roles.c.account == ctx.account, roles.c.name_key == role.name.lower())
            if besides is not None:
                besides(tx, role)
            if changes:
                tx.execute(update(roles).where(*mine).values(**changes))
                tx.announce(CHANGES, ctx.account)
            changed = find_role(tx, ctx.account, role.name)
            assert changed is not None
            return changed

        return await self._store.write(work)


def add_role(tx: Transaction, role: Role) -> None:
    """Keeps a new role. Raises ServiceError EntityAlreadyExists."""
    query = select(roles.c.name).where(roles.c.account == role.account, roles.c.name_key == role.name.lower())
    if tx.execute(query).first() is not None:
        raise already_exists(f"Role with name {role.name} already exists.")
    tx.execute(
        insert(roles).values(
            account=role.account,
            name_key=role.name.lower(),
            name=role.name,
            path=role.path,
            role_id=role.unique_id,
            trust_policy=role.trust_policy,
            description=role.description,
            max_session_s=role.max_session_s,
            permissions_boundary=role.permissions_boundary,
            tags=dict(role.tags),
            created_ms=role.created_ms,
        )
    )
    tx.announce(CHANGES, role.account)


def remove_role(tx: Transaction, role: Role) -> None:
    forget_trusted_ids(tx, role.unique_id)
    tx.execute(delete(entity_uses).where(entity_uses.c.unique_id == role.unique_id))
    tx.execute(delete(roles).where(roles.c.account == role.account, roles.c.name_key == role.name.lower()))
    tx.announce(CHANGES, role.account)


def refuse_while_in_a_profile(tx: Transaction, role: Role) -> None:
    """Raises ServiceError DeleteConflict while an instance profile has the role."""
    mine = (instance_profiles.c.account == role.account, instance_profiles.c.role_key == role.name.lower())
    if tx.execute(select(instance_profiles.c.name).where(*mine)).first() is not None:
        raise delete_conflict("Cannot delete entity, must remove roles from instance profile first.")


def _read_trust(document: str) -> PolicyDocument:
    try:
        trust = parse_trust_policy(document)
    except MalformedPolicyError as error:
        raise malformed_policy(str(error)) from None
    if len("".join(document.split())) > _MAX_TRUST_CHARACTERS:
        raise limit_exceeded(f"Cannot exceed quota for ACLSizePerRole: {_MAX_TRUST_CHARACTERS}")
    return trust
