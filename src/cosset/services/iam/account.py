"""The operations on the account itself: what it is called, and what there is of everything in it."""

from sqlalchemy import ColumnElement, Table, delete, func, insert, select

from cosset.services.iam.errors import already_exists, no_such_entity
from cosset.services.iam.requirements import on_everything
from cosset.services.iam.tables import (
    account_aliases,
    attachments,
    groups,
    instance_profiles,
    mfa_devices,
    oidc_providers,
    policies,
    policy_versions,
    roles,
    saml_providers,
    server_certificates,
    users,
)
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction

_QUOTAS = {
    "AccessKeysPerUserQuota": 2,
    "ServerCertificatesQuota": 20,
    "SigningCertificatesPerUserQuota": 2,
    "AttachedPoliciesPerGroupQuota": 10,
    "AttachedPoliciesPerRoleQuota": 10,
    "AttachedPoliciesPerUserQuota": 10,
    "AssumeRolePolicySizeQuota": 2_048,
    "GroupPolicySizeQuota": 5_120,
    "GroupsPerUserQuota": 10,
    "PolicySizeQuota": 6_144,
    "UserPolicySizeQuota": 2_048,
    "VersionsPerPolicyQuota": 5,
}
"""Those of AWS's that are enforced here, and no others: a number that nothing keeps to would be made up."""


class Account:
    def __init__(self, store: Store) -> None:
        self._store = store

    @operation("GetAccountSummary", on_everything("GetAccountSummary"))
    async def get_account_summary(self, ctx: Context, params: Params) -> Result:
        def work(tx: Transaction) -> dict[str, int]:
            return {
                "Users": _count(tx, users, ctx.account),
                "Groups": _count(tx, groups, ctx.account),
                "Roles": _count(tx, roles, ctx.account),
                "Policies": _count(tx, policies, ctx.account),
                "InstanceProfiles": _count(tx, instance_profiles, ctx.account),
                "Providers": _count(tx, oidc_providers, ctx.account) + _count(tx, saml_providers, ctx.account),
                "PolicyVersionsInUse": _count(tx, policy_versions, ctx.account) + _aws_policies_in_use(tx, ctx.account),
                "ServerCertificates": _count(tx, server_certificates, ctx.account),
                "MFADevices": _count(tx, mfa_devices, ctx.account),
                "MFADevicesInUse": _count(tx, mfa_devices, ctx.account, mfa_devices.c.user_key.is_not(None)),
                # There is no root user.
                "AccountAccessKeysPresent": 0,
                "AccountMFAEnabled": 0,
                "AccountPasswordPresent": 0,
                "AccountSigningCertificatesPresent": 0,
                **_QUOTAS,
            }

        return {"SummaryMap": await self._store.read(work)}

    @operation("CreateAccountAlias", on_everything("CreateAccountAlias"))
    async def create_account_alias(self, ctx: Context, params: Params) -> None:
        """An account has one: a new one takes the place of the old."""
        alias = params["AccountAlias"]

        def work(tx: Transaction) -> None:
            taken = select(account_aliases.c.account).where(account_aliases.c.alias == alias)
            if tx.execute(taken).scalar() is not None:
                raise already_exists(f"The account alias {alias} already exists.")
            tx.execute(delete(account_aliases).where(account_aliases.c.account == ctx.account))
            tx.execute(insert(account_aliases).values(account=ctx.account, alias=alias))

        await self._store.write(work)

    @operation("DeleteAccountAlias", on_everything("DeleteAccountAlias"))
    async def delete_account_alias(self, ctx: Context, params: Params) -> None:
        alias = params["AccountAlias"]

        def work(tx: Transaction) -> None:
            mine = (account_aliases.c.account == ctx.account, account_aliases.c.alias == alias)
            if not tx.execute(delete(account_aliases).where(*mine)).rowcount:
                raise no_such_entity(f"The account alias {alias} does not exist.")

        await self._store.write(work)

    @operation("ListAccountAliases", on_everything("ListAccountAliases"))
    async def list_account_aliases(self, ctx: Context, params: Params) -> Result:
        query = select(account_aliases.c.alias).where(account_aliases.c.account == ctx.account)
        aliases = await self._store.read(lambda tx: list(tx.execute(query).scalars()))
        return {"AccountAliases": aliases, "IsTruncated": False}


def _count(tx: Transaction, table: Table, account: str, *wanted: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(table).where(table.c.account == account, *wanted)
    return int(tx.execute(query).scalar_one())


def _aws_policies_in_use(tx: Transaction, account: str) -> int:
    arns = select(attachments.c.policy_arn).where(attachments.c.account == account).distinct()
    return sum(arn.startswith("arn:aws:iam::aws:") for arn in tx.execute(arns).scalars())
