"""The instance profile operations: names under which a machine may be given one role."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update

from cosset.clock import Clock
from cosset.identity.key_material import RandomBytes, new_unique_id
from cosset.services.iam.errors import (
    already_exists,
    delete_conflict,
    limit_exceeded,
    no_such_entity,
    no_such_role,
)
from cosset.services.iam.owners import need_modifiable_role, need_role
from cosset.services.iam.paging import page
from cosset.services.iam.records import CHANGES, Role, role_of
from cosset.services.iam.requirements import and_passing_the_role, on_everything, on_instance_profile, on_new, on_role
from cosset.services.iam.shapes import read_tags, role_as_created, tag_list
from cosset.services.iam.tables import instance_profiles, roles
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction


@dataclass(frozen=True, slots=True)
class InstanceProfile:
    account: str
    name: str
    path: str
    unique_id: str
    role: Role | None
    tags: Mapping[str, str]
    created_ms: int

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:instance-profile{self.path}{self.name}"


class InstanceProfiles:
    def __init__(self, store: Store, clock: Clock, random_bytes: RandomBytes) -> None:
        self._store = store
        self._clock = clock
        self._random_bytes = random_bytes

    @operation("CreateInstanceProfile", on_new("CreateInstanceProfile", "instance-profile", "InstanceProfileName"))
    async def create_instance_profile(self, ctx: Context, params: Params) -> Result:
        name, tags = params["InstanceProfileName"], read_tags(params.get("Tags", []))
        profile = InstanceProfile(
            ctx.account,
            name,
            params.get("Path", "/"),
            new_unique_id("AIPA", self._random_bytes),
            None,
            tags,
            self._clock.now_ms(),
        )
        await self._store.write(lambda tx: _add(tx, profile))
        return {"InstanceProfile": profile_shown(profile) | {"Tags": tag_list(tags)}}

    @operation("GetInstanceProfile", on_instance_profile("GetInstanceProfile"))
    async def get_instance_profile(self, ctx: Context, params: Params) -> Result:
        name = params["InstanceProfileName"]
        profile = await self._store.read(lambda tx: need_instance_profile(tx, ctx.account, name))
        return {"InstanceProfile": profile_shown(profile) | {"Tags": tag_list(profile.tags)}}

    @operation("ListInstanceProfiles", on_everything("ListInstanceProfiles", "instance-profile/"))
    async def list_instance_profiles(self, ctx: Context, params: Params) -> Result:
        prefix = params.get("PathPrefix", "/")
        found = await self._store.read(lambda tx: find_profiles(tx, ctx.account))
        matching = [profile for profile in found if profile.path.startswith(prefix)]
        return page("InstanceProfiles", matching, lambda profile: profile.name.lower(), profile_shown, params)

    @operation("ListInstanceProfilesForRole", on_role("ListInstanceProfilesForRole"))
    async def list_instance_profiles_for_role(self, ctx: Context, params: Params) -> Result:
        def work(tx: Transaction) -> list[InstanceProfile]:
            role = need_role(tx, ctx.account, params["RoleName"])
            return [each for each in find_profiles(tx, ctx.account) if each.role == role]

        found = await self._store.read(work)
        return page("InstanceProfiles", found, lambda profile: profile.name.lower(), profile_shown, params)

    @operation("AddRoleToInstanceProfile", and_passing_the_role(on_instance_profile("AddRoleToInstanceProfile")))
    async def add_role_to_instance_profile(self, ctx: Context, params: Params) -> None:
        def work(tx: Transaction) -> None:
            profile = need_instance_profile(tx, ctx.account, params["InstanceProfileName"])
            role = need_modifiable_role(tx, ctx.account, params["RoleName"])
            if profile.role is not None:
                raise limit_exceeded("Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")
            tx.execute(update(instance_profiles).where(*_row_of(profile)).values(role_key=role.name.lower()))

        await self._store.write(work)

    @operation("RemoveRoleFromInstanceProfile", on_instance_profile("RemoveRoleFromInstanceProfile"))
    async def remove_role_from_instance_profile(self, ctx: Context, params: Params) -> None:
        def work(tx: Transaction) -> None:
            profile = need_instance_profile(tx, ctx.account, params["InstanceProfileName"])
            if profile.role is None or profile.role.name != params["RoleName"]:
                raise no_such_role(params["RoleName"])
            tx.execute(update(instance_profiles).where(*_row_of(profile)).values(role_key=None))

        await self._store.write(work)

    @operation("DeleteInstanceProfile", on_instance_profile("DeleteInstanceProfile"))
    async def delete_instance_profile(self, ctx: Context, params: Params) -> None:
        def work(tx: Transaction) -> None:
            profile = need_instance_profile(tx, ctx.account, params["InstanceProfileName"])
            if profile.role is not None:
                raise delete_conflict("Cannot delete entity, must remove roles from instance profile first.")
            tx.execute(delete(instance_profiles).where(*_row_of(profile)))
            tx.announce(CHANGES, ctx.account)

        await self._store.write(work)


def profile_shown(profile: InstanceProfile) -> dict[str, Any]:
    """What lists show: no tags."""
    return {
        "Path": profile.path,
        "InstanceProfileName": profile.name,
        "InstanceProfileId": profile.unique_id,
        "Arn": profile.arn,
        "CreateDate": profile.created_ms // 1000,
        "Roles": [] if profile.role is None else [role_as_created(profile.role)],
    }


def find_profiles(tx: Transaction, account: str) -> list[InstanceProfile]:
    rows = tx.execute(select(instance_profiles).where(instance_profiles.c.account == account)).all()
    keys = [row.role_key for row in rows if row.role_key is not None]
    query = select(roles).where(roles.c.account == account, roles.c.name_key.in_(keys))
    known = {row.name_key: role_of(row) for row in tx.execute(query)}
    return [_profile_of(row, known.get(row.role_key)) for row in rows]


def need_instance_profile(tx: Transaction, account: str, name: str) -> InstanceProfile:
    """The instance profile. Raises ServiceError NoSuchEntity."""
    profile = find_instance_profile(tx, account, name)
    if profile is None:
        raise no_such_entity(f"Instance Profile {name} cannot be found.")
    return profile


def find_instance_profile(tx: Transaction, account: str, name: str) -> InstanceProfile | None:
    columns = instance_profiles.c
    query = select(instance_profiles).where(columns.account == account, columns.name_key == name.lower())
    row = tx.execute(query).one_or_none()
    if row is None or row.name != name:
        return None
    role = tx.execute(select(roles).where(roles.c.account == account, roles.c.name_key == row.role_key)).one_or_none()
    return _profile_of(row, None if role is None else role_of(role))


def _profile_of(row: Any, role: Role | None) -> InstanceProfile:
    return InstanceProfile(row.account, row.name, row.path, row.profile_id, role, dict(row.tags), row.created_ms)


def _row_of(profile: InstanceProfile) -> tuple[Any, ...]:
    return instance_profiles.c.account == profile.account, instance_profiles.c.name_key == profile.name.lower()


def _add(tx: Transaction, profile: InstanceProfile) -> None:
    if tx.execute(select(instance_profiles.c.name).where(*_row_of(profile))).first() is not None:
        raise already_exists(f"Instance Profile {profile.name} already exists.")
    tx.execute(
        insert(instance_profiles).values(
            account=profile.account,
            name_key=profile.name.lower(),
            name=profile.name,
            path=profile.path,
            profile_id=profile.unique_id,
            role_key=None,
            tags=dict(profile.tags),
            created_ms=profile.created_ms,
        )
    )
    # Decisions about this name rest on its path and tags.
    tx.announce(CHANGES, profile.account)
