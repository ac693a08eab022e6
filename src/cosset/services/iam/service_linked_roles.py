"""The operations on service-linked roles: an AWS service's own role, which only that service may change."""

import json
import uuid

from sqlalchemy import insert, select

from cosset.clock import Clock
from cosset.identity.key_material import RandomBytes, new_unique_id
from cosset.identity.ports import Requirement
from cosset.services.iam.errors import invalid_input, no_such_entity, no_such_role
from cosset.services.iam.linked_services import LinkedService, linked_services
from cosset.services.iam.owners import SERVICE_LINKED, forget_owner, need_role
from cosset.services.iam.records import Role, find_role
from cosset.services.iam.requirements import on_everything, on_role
from cosset.services.iam.roles import add_role, remove_role
from cosset.services.iam.shapes import role_as_created
from cosset.services.iam.tables import attachments, deletion_tasks
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction


def _on_linked_role(ctx: Context, params: Params) -> list[Requirement]:
    service = params["AWSServiceName"]
    resource = f"arn:aws:iam::{ctx.account}:role{SERVICE_LINKED}{service}/*"
    return [Requirement("iam:CreateServiceLinkedRole", resource, {"iam:AWSServiceName": service})]


class ServiceLinkedRoles:
    def __init__(self, store: Store, clock: Clock, random_bytes: RandomBytes) -> None:
        self._store = store
        self._clock = clock
        self._random_bytes = random_bytes

    @operation("CreateServiceLinkedRole", _on_linked_role)
    async def create_service_linked_role(self, ctx: Context, params: Params) -> Result:
        service, suffix = _need_service(params["AWSServiceName"]), params.get("CustomSuffix")
        if suffix is not None and not service.takes_suffix:
            # Recorded: test_service_role_lifecycle_custom_suffix_not_allowed.
            raise invalid_input(f"Custom suffix is not allowed for {service.name}")
        name = service.role_name if suffix is None else f"{service.role_name}_{suffix}"
        role = Role(
            account=ctx.account,
            name=name,
            path=f"{SERVICE_LINKED}{service.name}/",
            unique_id=new_unique_id("AROA", self._random_bytes),
            trust_policy=_trust(service.name),
            description=params.get("Description", service.description),
            max_session_s=3600,
            permissions_boundary=None,
            tags={},
            created_ms=self._clock.now_ms(),
        )
        await self._store.write(lambda tx: _add(tx, role, service))
        return {"Role": role_as_created(role)}

    @operation("DeleteServiceLinkedRole", on_role("DeleteServiceLinkedRole"))
    async def delete_service_linked_role(self, ctx: Context, params: Params) -> Result:
        """Done when it answers: none of these services uses its role here."""
        unique, now_ms = uuid.UUID(bytes=self._random_bytes(16), version=4), self._clock.now_ms()

        def work(tx: Transaction) -> str:
            role = need_role(tx, ctx.account, params["RoleName"])
            if not role.path.startswith(SERVICE_LINKED):
                raise no_such_role(role.name)
            task_id = f"task{role.path}{role.name}/{unique}"
            forget_owner(tx, ctx.account, "role", role.name)
            remove_role(tx, role)
            tx.execute(insert(deletion_tasks).values(account=ctx.account, task_id=task_id, created_ms=now_ms))
            return task_id

        return {"DeletionTaskId": await self._store.write(work)}

    @operation("GetServiceLinkedRoleDeletionStatus", on_everything("GetServiceLinkedRoleDeletionStatus", "role/*"))
    async def get_service_linked_role_deletion_status(self, ctx: Context, params: Params) -> Result:
        task_id = params["DeletionTaskId"]
        mine = (deletion_tasks.c.account == ctx.account, deletion_tasks.c.task_id == task_id)
        query = select(deletion_tasks.c.task_id).where(*mine)
        if await self._store.read(lambda tx: tx.execute(query).scalar()) is None:
            raise no_such_entity(f"The deletion task with id {task_id} cannot be found.")
        return {"Status": "SUCCEEDED"}


def _need_service(name: str) -> LinkedService:
    service = linked_services().get(name)
    if service is None:
        raise invalid_input(f"Service-linked role template does not exist for service: {name}")
    return service


def _add(tx: Transaction, role: Role, service: LinkedService) -> None:
    if find_role(tx, role.account, role.name) is not None:
        # Recorded: test_service_role_already_exists.
        sentence = f"Service role name {role.name} has been taken in this account, please try a different suffix."
        raise invalid_input(sentence)
    add_role(tx, role)
    owner = {"account": role.account, "owner_kind": "role", "owner_key": role.name.lower()}
    tx.execute(insert(attachments).values(**owner, policy_arn=service.policy_arn, attached_ms=role.created_ms))


def _trust(service: str) -> str:
    statement = {"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"Service": service}}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))
