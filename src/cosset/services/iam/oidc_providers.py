"""The OpenID Connect provider operations: whose web identities this account accepts, and for which audiences.

Kept as data here; tokens are verified by `services/sts`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import delete, insert, select, update

from cosset.clock import Clock
from cosset.services.iam.errors import already_exists, invalid_input, limit_exceeded, no_such_entity, validation_error
from cosset.services.iam.records import CHANGES
from cosset.services.iam.requirements import on_arn, on_everything
from cosset.services.iam.shapes import read_tags, tag_list
from cosset.services.iam.tables import oidc_providers
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction

_MAX_CLIENT_IDS = 100
_MAX_THUMBPRINTS = 5
_MAX_PROVIDERS = 100
_ARN = "OpenIDConnectProviderArn"


@dataclass(frozen=True, slots=True)
class OidcProvider:
    """`url` is without its scheme, which is https."""

    account: str
    url: str
    client_ids: tuple[str, ...]
    thumbprints: tuple[str, ...]
    tags: Mapping[str, str]
    created_ms: int

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:oidc-provider/{self.url}"


class OidcProviders:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    @operation("CreateOpenIDConnectProvider", on_everything("CreateOpenIDConnectProvider", "oidc-provider/*"))
    async def create_oidc_provider(self, ctx: Context, params: Params) -> Result:
        """Without thumbprints the certificates that this host trusts are what counts, as on AWS."""
        provider = OidcProvider(
            ctx.account,
            _checked_url(params["Url"]),
            _checked_client_ids(params.get("ClientIDList", [])),
            _checked_thumbprints(params.get("ThumbprintList", [])),
            read_tags(params.get("Tags", [])),
            self._clock.now_ms(),
        )
        await self._store.write(lambda tx: _add(tx, provider))
        return {_ARN: provider.arn, "Tags": tag_list(provider.tags)}

    @operation("GetOpenIDConnectProvider", on_arn("GetOpenIDConnectProvider", _ARN))
    async def get_oidc_provider(self, ctx: Context, params: Params) -> Result:
        provider = await self._store.read(lambda tx: need_oidc_provider(tx, ctx.account, params[_ARN]))
        return {
            "Url": provider.url,
            "ClientIDList": list(provider.client_ids),
            "ThumbprintList": list(provider.thumbprints),
            "CreateDate": provider.created_ms // 1000,
            "Tags": tag_list(provider.tags),
        }

    @operation("ListOpenIDConnectProviders", on_everything("ListOpenIDConnectProviders", "oidc-provider/*"))
    async def list_oidc_providers(self, ctx: Context, params: Params) -> Result:
        query = select(oidc_providers).where(oidc_providers.c.account == ctx.account).order_by(oidc_providers.c.url)
        found = await self._store.read(lambda tx: [_provider_of(row) for row in tx.execute(query)])
        return {"OpenIDConnectProviderList": [{"Arn": provider.arn} for provider in found]}

    @operation(
        "AddClientIDToOpenIDConnectProvider", on_arn("AddClientIDToOpenIDConnectProvider", "OpenIDConnectProviderArn")
    )
    async def add_client_id(self, ctx: Context, params: Params) -> None:
        def work(tx: Transaction) -> None:
            provider = need_oidc_provider(tx, ctx.account, params[_ARN])
            added = dict.fromkeys((*provider.client_ids, params["ClientID"]))
            _change(tx, provider, client_ids=list(_checked_client_ids(list(added))))

        await self._store.write(work)

    @operation(
        "RemoveClientIDFromOpenIDConnectProvider",
        on_arn("RemoveClientIDFromOpenIDConnectProvider", "OpenIDConnectProviderArn"),
    )
    async def remove_client_id(self, ctx: Context, params: Params) -> None:
        """One that is not there is no error, as on AWS."""

        def work(tx: Transaction) -> None:
            provider = need_oidc_provider(tx, ctx.account, params[_ARN])
            _change(tx, provider, client_ids=[each for each in provider.client_ids if each != params["ClientID"]])

        await self._store.write(work)

    @operation(
        "UpdateOpenIDConnectProviderThumbprint",
        on_arn("UpdateOpenIDConnectProviderThumbprint", "OpenIDConnectProviderArn"),
    )
    async def update_thumbprints(self, ctx: Context, params: Params) -> None:
        thumbprints = list(_checked_thumbprints(params["ThumbprintList"]))

        def work(tx: Transaction) -> None:
            _change(tx, need_oidc_provider(tx, ctx.account, params[_ARN]), thumbprints=thumbprints)

        await self._store.write(work)

    @operation("DeleteOpenIDConnectProvider", on_arn("DeleteOpenIDConnectProvider", _ARN))
    async def delete_oidc_provider(self, ctx: Context, params: Params) -> None:
        def work(tx: Transaction) -> None:
            provider = need_oidc_provider(tx, ctx.account, params[_ARN])
            tx.execute(delete(oidc_providers).where(*_row_of(provider)))
            tx.announce(CHANGES, ctx.account)

        await self._store.write(work)


def need_oidc_provider(tx: Transaction, account: str, arn: str) -> OidcProvider:
    """The provider. Raises ServiceError NoSuchEntity."""
    url = arn.removeprefix(f"arn:aws:iam::{account}:oidc-provider/")
    provider = find_oidc_provider(tx, account, url)
    if provider is None or provider.arn != arn:
        raise no_such_entity(f"OpenIDConnect Provider not found for arn {arn}")
    return provider


def find_oidc_provider(tx: Transaction, account: str, url: str) -> OidcProvider | None:
    """`url` without its scheme."""
    query = select(oidc_providers).where(oidc_providers.c.account == account, oidc_providers.c.url == url)
    row = tx.execute(query).one_or_none()
    return None if row is None else _provider_of(row)


def _provider_of(row: Any) -> OidcProvider:
    return OidcProvider(
        row.account, row.url, tuple(row.client_ids), tuple(row.thumbprints), dict(row.tags), row.created_ms
    )


def _add(tx: Transaction, provider: OidcProvider) -> None:
    mine = select(oidc_providers.c.url).where(oidc_providers.c.account == provider.account)
    urls = set(tx.execute(mine).scalars())
    if provider.url in urls:
        raise already_exists(f"Provider with url https://{provider.url} already exists.")
    if len(urls) >= _MAX_PROVIDERS:
        raise limit_exceeded(f"Cannot exceed quota for OpenIdConnectProvidersPerAccount: {_MAX_PROVIDERS}")
    tx.execute(
        insert(oidc_providers).values(
            account=provider.account,
            url=provider.url,
            client_ids=list(provider.client_ids),
            thumbprints=list(provider.thumbprints),
            tags=dict(provider.tags),
            created_ms=provider.created_ms,
        )
    )
    tx.announce(CHANGES, provider.account)


def _change(tx: Transaction, provider: OidcProvider, **changes: list[str]) -> None:
    tx.execute(update(oidc_providers).where(*_row_of(provider)).values(**changes))
    tx.announce(CHANGES, provider.account)


def _row_of(provider: OidcProvider) -> tuple[Any, ...]:
    return oidc_providers.c.account == provider.account, oidc_providers.c.url == provider.url


def _checked_url(url: str) -> str:
    """Without its scheme. Raises ServiceError ValidationError."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise validation_error("Invalid Open ID Connect Provider URL") from None
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment or parts.username is not None:
        raise validation_error("Invalid Open ID Connect Provider URL")
    host = parts.hostname if port in (None, 443) else f"{parts.hostname}:{port}"
    return host + parts.path.rstrip("/")


def _checked_client_ids(client_ids: list[str]) -> tuple[str, ...]:
    if len(client_ids) > _MAX_CLIENT_IDS:
        raise limit_exceeded(f"Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {_MAX_CLIENT_IDS}")
    return tuple(client_ids)


def _checked_thumbprints(thumbprints: list[str]) -> tuple[str, ...]:
    if len(thumbprints) > _MAX_THUMBPRINTS:
        raise invalid_input("Thumbprint list must contain fewer than 5 entries.")
    if any(re.fullmatch(r"[0-9A-Fa-f]{40}", each) is None for each in thumbprints):
        raise invalid_input("Thumbprint must be exactly 40 hexadecimal characters.")
    return tuple(each.lower() for each in thumbprints)
