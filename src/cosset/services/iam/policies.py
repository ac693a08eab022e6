"""The operations on managed policies and their versions."""

from typing import Any

from sqlalchemy import delete, insert, select, update

from cosset.clock import Clock
from cosset.identity.key_material import RandomBytes, new_unique_id
from cosset.identity.policy_document import MalformedPolicyError, parse_identity_policy
from cosset.services.iam.errors import (
    already_exists,
    delete_conflict,
    limit_exceeded,
    malformed_policy,
    no_such_entity,
    no_such_policy,
    outside_own_account,
)
from cosset.services.iam.paging import page
from cosset.services.iam.policy_book import Policy, PolicyBook, PolicyVersion, attachment_count, boundary_count
from cosset.services.iam.records import CHANGES
from cosset.services.iam.requirements import on_everything, on_new, on_policy
from cosset.services.iam.shapes import document_text, read_tags, tags_shown
from cosset.services.iam.tables import policies, policy_versions
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction

_MAX_VERSIONS = 5
_MAX_CHARACTERS = 6_144
_USES = {"PermissionsPolicy": "AttachmentCount", "PermissionsBoundary": "PermissionsBoundaryUsageCount"}


class Policies:
    def __init__(self, store: Store, book: PolicyBook, clock: Clock, random_bytes: RandomBytes) -> None:
        self._store = store
        self._book = book
        self._clock = clock
        self._random_bytes = random_bytes

    @operation("CreatePolicy", on_new("CreatePolicy", "policy", "PolicyName"))
    async def create_policy(self, ctx: Context, params: Params) -> Result:
        name, document = params["PolicyName"], _checked(params["PolicyDocument"])
        now_ms = self._clock.now_ms()
        tags = read_tags(params.get("Tags", []))
        values = {
            "account": ctx.account,
            "name_key": name.lower(),
            "name": name,
            "path": params.get("Path", "/"),
            "policy_id": new_unique_id("ANPA", self._random_bytes),
            "description": params.get("Description"),
            "default_version": 1,
            "last_version": 1,
            "tags": tags,
            "created_ms": now_ms,
            "updated_ms": now_ms,
        }

        def work(tx: Transaction) -> dict[str, Any]:
            mine = (policies.c.account == ctx.account, policies.c.name_key == name.lower())
            if tx.execute(select(policies.c.name).where(*mine)).first() is not None:
                raise already_exists(f"A policy called {name} already exists. Duplicate names are not allowed.")
            tx.execute(insert(policies).values(**values))
            _add_version(tx, ctx.account, name.lower(), 1, document, now_ms)
            policy = self._need(tx, ctx.account, f"arn:aws:iam::{ctx.account}:policy{values['path']}{name}")
            return policy_shown(tx, ctx.account, policy)

        shown = await self._store.write(work)
        # A new policy is shown without its description (recorded: test_role_attach_policy).
        return {"Policy": {key: value for key, value in shown.items() if key != "Description"} | tags_shown(tags)}

    @operation("GetPolicy", on_policy("GetPolicy"))
    async def get_policy(self, ctx: Context, params: Params) -> Result:
        def work(tx: Transaction) -> dict[str, Any]:
            policy = self._need(tx, ctx.account, params["PolicyArn"])
            # GetPolicy shows tags even where there are none.
            tags = [{"Key": key, "Value": value} for key, value in policy.tags.items()]
            return policy_shown(tx, ctx.account, policy) | {"Tags": tags}

        return {"Policy": await self._store.read(work)}

    @operation("ListPolicies", on_everything("ListPolicies", "policy/"))
    async def list_policies(self, ctx: Context, params: Params) -> Result:
        prefix = params.get("PathPrefix", "/")

        def work(tx: Transaction) -> list[dict[str, Any]]:
            found = self._book.all(tx, ctx.account, params.get("Scope", "All"))
            shown = [policy_shown(tx, ctx.account, policy) for policy in found if policy.path.startswith(prefix)]
            if params.get("OnlyAttached"):
                shown = [each for each in shown if each["AttachmentCount"]]
            if usage := params.get("PolicyUsageFilter"):
                shown = [each for each in shown if each[_USES[usage]]]
            return [{key: value for key, value in each.items() if key != "Description"} for each in shown]

        listed = await self._store.read(work)
        return page("Policies", listed, lambda policy: str(policy["Arn"]), lambda policy: policy, params)

    @operation("DeletePolicy", on_policy("DeletePolicy"))
    async def delete_policy(self, ctx: Context, params: Params) -> None:
        def work(tx: Transaction) -> None:
            policy = self._need_own(tx, ctx.account, params["PolicyArn"])
            if attachment_count(tx, ctx.account, policy.arn) or boundary_count(tx, ctx.account, policy.arn):
                raise delete_conflict("Cannot delete a policy attached to entities.")
            if len(self._book.versions(tx, ctx.account, policy)) > 1:
                raise delete_conflict(
                    "This policy has more than one version. Before you delete a policy, you must delete the policy's "
                    "versions. The default version is deleted with the policy."
                )
            tx.execute(delete(policy_versions).where(*_versions_of(ctx.account, policy)))
            tx.execute(delete(policies).where(*_row_of(ctx.account, policy)))
            tx.announce(CHANGES, ctx.account)

        await self._store.write(work)

    @operation("CreatePolicyVersion", on_policy("CreatePolicyVersion"))
    async def create_policy_version(self, ctx: Context, params: Params) -> Result:
        document, now_ms = _checked(params["PolicyDocument"]), self._clock.now_ms()
        is_default = bool(params.get("SetAsDefault"))

        def work(tx: Transaction) -> int:
            policy = self._need_own(tx, ctx.account, params["PolicyArn"])
            if len(self._book.versions(tx, ctx.account, policy)) >= _MAX_VERSIONS:
                raise limit_exceeded(
                    f"A managed policy can have up to {_MAX_VERSIONS} versions. Before you create a new version, you "
                    "must delete an existing version."
                )
            query = select(policies.c.last_version).where(*_row_of(ctx.account, policy))
            number = int(tx.execute(query).scalar_one()) + 1
            _add_version(tx, ctx.account, policy.key, number, document, now_ms)
            changes = {"last_version": number, "updated_ms": now_ms}
            if is_default:
                changes["default_version"] = number
            tx.execute(update(policies).where(*_row_of(ctx.account, policy)).values(**changes))
            tx.announce(CHANGES, ctx.account)
            return number

        number = await self._store.write(work)
        shown = {"VersionId": f"v{number}", "IsDefaultVersion": is_default, "CreateDate": now_ms // 1000}
        return {"PolicyVersion": shown}

    @operation("GetPolicyVersion", on_policy("GetPolicyVersion"))
    async def get_policy_version(self, ctx: Context, params: Params) -> Result:
        def work(tx: Transaction) -> tuple[Policy, PolicyVersion]:
            policy = self._need(tx, ctx.account, params["PolicyArn"])
            return policy, self._need_version(tx, ctx.account, policy, params["VersionId"])

        policy, version = await self._store.read(work)
        shown = version_shown(policy, version) | {"Document": document_text(version.document)}
        return {"PolicyVersion": shown}

    @operation("ListPolicyVersions", on_policy("ListPolicyVersions"))
    async def list_policy_versions(self, ctx: Context, params: Params) -> Result:
        def work(tx: Transaction) -> list[dict[str, Any]]:
            policy = self._need(tx, ctx.account, params["PolicyArn"])
            return [version_shown(policy, each) for each in self._book.versions(tx, ctx.account, policy)]

        # Newest first, as IAM lists them: the key counts down.
        return page(
            "Versions",
            await self._store.read(work),
            lambda version: f"{1_000_000 - int(version['VersionId'][1:]):07d}",
            lambda version: version,
            params,
        )

    @operation("SetDefaultPolicyVersion", on_policy("SetDefaultPolicyVersion"))
    async def set_default_policy_version(self, ctx: Context, params: Params) -> None:
        now_ms = self._clock.now_ms()

        def work(tx: Transaction) -> None:
            policy = self._need_own(tx, ctx.account, params["PolicyArn"])
            version = self._need_version(tx, ctx.account, policy, params["VersionId"])
            changes = {"default_version": version.number, "updated_ms": now_ms}
            tx.execute(update(policies).where(*_row_of(ctx.account, policy)).values(**changes))
            tx.announce(CHANGES, ctx.account)

        await self._store.write(work)

    @operation("DeletePolicyVersion", on_policy("DeletePolicyVersion"))
    async def delete_policy_version(self, ctx: Context, params: Params) -> None:
        def work(tx: Transaction) -> None:
            policy = self._need_own(tx, ctx.account, params["PolicyArn"])
            version = self._need_version(tx, ctx.account, policy, params["VersionId"])
            if version.number == policy.default_version:
                raise delete_conflict("Cannot delete the default version of a policy.")
            mine = (*_versions_of(ctx.account, policy), policy_versions.c.version == version.number)
            tx.execute(delete(policy_versions).where(*mine))
            tx.announce(CHANGES, ctx.account)

        await self._store.write(work)

    def _need(self, tx: Transaction, account: str, arn: str) -> Policy:
        policy = self._book.find(tx, account, arn)
        if policy is None:
            raise no_such_policy(arn)
        return policy

    def _need_own(self, tx: Transaction, account: str, arn: str) -> Policy:
        policy = self._need(tx, account, arn)
        if policy.aws:
            raise outside_own_account()
        return policy

    def _need_version(self, tx: Transaction, account: str, policy: Policy, version_id: str) -> PolicyVersion:
        for version in self._book.versions(tx, account, policy):
            if f"v{version.number}" == version_id:
                return version
        raise no_such_entity(f"Policy {policy.arn} version {version_id} does not exist or is not attachable.")


def policy_shown(tx: Transaction, account: str, policy: Policy) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "PolicyName": policy.name,
        "PolicyId": policy.policy_id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": f"v{policy.default_version}",
        "AttachmentCount": attachment_count(tx, account, policy.arn),
        "PermissionsBoundaryUsageCount": boundary_count(tx, account, policy.arn),
        "IsAttachable": True,
        "CreateDate": policy.created_ms // 1000,
        "UpdateDate": policy.updated_ms // 1000,
    }
    return shown if policy.description is None else shown | {"Description": policy.description}


def _checked(document: str) -> str:
    try:
        parse_identity_policy(document)
    except MalformedPolicyError as error:
        raise malformed_policy(str(error)) from None
    if len("".join(document.split())) > _MAX_CHARACTERS:
        raise limit_exceeded(f"Cannot exceed quota for PolicySize: {_MAX_CHARACTERS}")
    return document


def _add_version(tx: Transaction, account: str, policy_key: str, number: int, document: str, now_ms: int) -> None:
    tx.execute(
        insert(policy_versions).values(
            account=account, policy_key=policy_key, version=number, document=document, created_ms=now_ms
        )
    )


def version_shown(policy: Policy, version: PolicyVersion) -> dict[str, Any]:
    return {
        "VersionId": f"v{version.number}",
        "IsDefaultVersion": version.number == policy.default_version,
        "CreateDate": version.created_ms // 1000,
    }


def _row_of(account: str, policy: Policy) -> tuple[Any, ...]:
    return policies.c.account == account, policies.c.name_key == policy.key


def _versions_of(account: str, policy: Policy) -> tuple[Any, ...]:
    return policy_versions.c.account == account, policy_versions.c.policy_key == policy.key
