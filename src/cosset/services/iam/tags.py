"""The tag operations of everything in IAM that has tags. Tags of users and roles are condition keys, so they announce
their changes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, update

from cosset.services.iam.errors import no_such_policy
from cosset.services.iam.instance_profiles import need_instance_profile
from cosset.services.iam.oidc_providers import need_oidc_provider
from cosset.services.iam.owners import need_modifiable_role, need_role, need_user
from cosset.services.iam.paging import page
from cosset.services.iam.policy_book import PolicyBook
from cosset.services.iam.records import CHANGES
from cosset.services.iam.requirements import on_arn, on_instance_profile, on_policy, on_role, on_user
from cosset.services.iam.saml_providers import need_saml_provider
from cosset.services.iam.shapes import read_tags, tag_list, without_tags
from cosset.services.iam.tables import instance_profiles, oidc_providers, policies, roles, saml_providers, users
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction


@dataclass(frozen=True, slots=True)
class _Tagged:
    """Where an entity's tags are: its table, and its key there besides the account."""

    table: Table
    column: str
    key: str
    tags: Mapping[str, str]


_Find = Callable[[Transaction, str, Params], _Tagged]


class Tags:
    def __init__(self, store: Store, book: PolicyBook) -> None:
        self._store = store
        self._book = book

    @operation("TagRole", on_role("TagRole"))
    async def tag_role(self, ctx: Context, params: Params) -> None:
        await self._tag(ctx, _modifiable_role, params)

    @operation("UntagRole", on_role("UntagRole"))
    async def untag_role(self, ctx: Context, params: Params) -> None:
        await self._untag(ctx, _modifiable_role, params)

    @operation("ListRoleTags", on_role("ListRoleTags"))
    async def list_role_tags(self, ctx: Context, params: Params) -> Result:
        return await self._list(ctx, _role, params)

    @operation("TagUser", on_user("TagUser"))
    async def tag_user(self, ctx: Context, params: Params) -> None:
        await self._tag(ctx, _user, params)

    @operation("UntagUser", on_user("UntagUser"))
    async def untag_user(self, ctx: Context, params: Params) -> None:
        await self._untag(ctx, _user, params)

    @operation("ListUserTags", on_user("ListUserTags"))
    async def list_user_tags(self, ctx: Context, params: Params) -> Result:
        return await self._list(ctx, _user, params)

    @operation("TagPolicy", on_policy("TagPolicy"))
    async def tag_policy(self, ctx: Context, params: Params) -> None:
        await self._tag(ctx, self._policy, params)

    @operation("UntagPolicy", on_policy("UntagPolicy"))
    async def untag_policy(self, ctx: Context, params: Params) -> None:
        await self._untag(ctx, self._policy, params)

    @operation("ListPolicyTags", on_policy("ListPolicyTags"))
    async def list_policy_tags(self, ctx: Context, params: Params) -> Result:
        return await self._list(ctx, self._policy, params)

    @operation("TagInstanceProfile", on_instance_profile("TagInstanceProfile"))
    async def tag_instance_profile(self, ctx: Context, params: Params) -> None:
        await self._tag(ctx, _instance_profile, params)

    @operation("UntagInstanceProfile", on_instance_profile("UntagInstanceProfile"))
    async def untag_instance_profile(self, ctx: Context, params: Params) -> None:
        await self._untag(ctx, _instance_profile, params)

    @operation("ListInstanceProfileTags", on_instance_profile("ListInstanceProfileTags"))
    async def list_instance_profile_tags(self, ctx: Context, params: Params) -> Result:
        return await self._list(ctx, _instance_profile, params)

    @operation("TagOpenIDConnectProvider", on_arn("TagOpenIDConnectProvider", "OpenIDConnectProviderArn"))
    async def tag_oidc_provider(self, ctx: Context, params: Params) -> None:
        await self._tag(ctx, _oidc_provider, params)

    @operation("UntagOpenIDConnectProvider", on_arn("UntagOpenIDConnectProvider", "OpenIDConnectProviderArn"))
    async def untag_oidc_provider(self, ctx: Context, params: Params) -> None:
        await self._untag(ctx, _oidc_provider, params)

    @operation("ListOpenIDConnectProviderTags", on_arn("ListOpenIDConnectProviderTags", "OpenIDConnectProviderArn"))
    async def list_oidc_provider_tags(self, ctx: Context, params: Params) -> Result:
        return await self._list(ctx, _oidc_provider, params)

    @operation("TagSAMLProvider", on_arn("TagSAMLProvider", "SAMLProviderArn"))
    async def tag_saml_provider(self, ctx: Context, params: Params) -> None:
        await self._tag(ctx, _saml_provider, params)

    @operation("UntagSAMLProvider", on_arn("UntagSAMLProvider", "SAMLProviderArn"))
    async def untag_saml_provider(self, ctx: Context, params: Params) -> None:
        await self._untag(ctx, _saml_provider, params)

    @operation("ListSAMLProviderTags", on_arn("ListSAMLProviderTags", "SAMLProviderArn"))
    async def list_saml_provider_tags(self, ctx: Context, params: Params) -> Result:
        return await self._list(ctx, _saml_provider, params)

    async def _tag(self, ctx: Context, find: _Find, params: Params) -> None:
        def work(tx: Transaction) -> None:
            tagged = find(tx, ctx.account, params)
            _keep(tx, ctx.account, tagged, read_tags(params["Tags"], tagged.tags))

        await self._store.write(work)

    async def _untag(self, ctx: Context, find: _Find, params: Params) -> None:
        def work(tx: Transaction) -> None:
            tagged = find(tx, ctx.account, params)
            _keep(tx, ctx.account, tagged, without_tags(tagged.tags, params["TagKeys"]))

        await self._store.write(work)

    async def _list(self, ctx: Context, find: _Find, params: Params) -> Result:
        tagged = await self._store.read(lambda tx: find(tx, ctx.account, params))
        return page("Tags", tag_list(tagged.tags), lambda tag: tag["Key"], lambda tag: tag, params)

    def _policy(self, tx: Transaction, account: str, params: Params) -> _Tagged:
        policy = self._book.find(tx, account, params["PolicyArn"])
        if policy is None or policy.aws:
            raise no_such_policy(params["PolicyArn"])
        return _Tagged(policies, "name_key", policy.key, policy.tags)


def _role(tx: Transaction, account: str, params: Params) -> _Tagged:
    role = need_role(tx, account, params["RoleName"])
    return _Tagged(roles, "name_key", role.name.lower(), role.tags)


def _modifiable_role(tx: Transaction, account: str, params: Params) -> _Tagged:
    need_modifiable_role(tx, account, params["RoleName"])
    return _role(tx, account, params)


def _user(tx: Transaction, account: str, params: Params) -> _Tagged:
    user = need_user(tx, account, params["UserName"])
    return _Tagged(users, "name_key", user.name.lower(), user.tags)


def _instance_profile(tx: Transaction, account: str, params: Params) -> _Tagged:
    profile = need_instance_profile(tx, account, params["InstanceProfileName"])
    return _Tagged(instance_profiles, "name_key", profile.name.lower(), profile.tags)


def _oidc_provider(tx: Transaction, account: str, params: Params) -> _Tagged:
    provider = need_oidc_provider(tx, account, params["OpenIDConnectProviderArn"])
    return _Tagged(oidc_providers, "url", provider.url, provider.tags)


def _saml_provider(tx: Transaction, account: str, params: Params) -> _Tagged:
    provider = need_saml_provider(tx, account, params["SAMLProviderArn"])
    return _Tagged(saml_providers, "name", provider.name, provider.tags)


def _keep(tx: Transaction, account: str, tagged: _Tagged, tags: dict[str, Any]) -> None:
    mine = (tagged.table.c.account == account, tagged.table.c[tagged.column] == tagged.key)
    tx.execute(update(tagged.table).where(*mine).values(tags=tags))
    tx.announce(CHANGES, account)
