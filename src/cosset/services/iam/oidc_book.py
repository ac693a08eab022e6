"""What other services may know of identity providers: whose tokens an account accepts."""

from cosset.services.iam.oidc_providers import OidcProvider, find_oidc_provider
from cosset.store.database import Store


class OidcBook:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def find_provider(self, account: str, url: str) -> OidcProvider | None:
        """`url` without its scheme."""
        return await self._store.read(lambda tx: find_oidc_provider(tx, account, url))
