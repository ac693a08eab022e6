"""The SAML provider operations, as data: AssumeRoleWithSAML is not there. Keys for encrypted assertions are refused."""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, insert, select, update

from cosset.clock import Clock
from cosset.identity.key_material import RandomBytes
from cosset.services.iam.errors import already_exists, invalid_input, no_such_entity
from cosset.services.iam.requirements import on_arn, on_everything
from cosset.services.iam.shapes import read_tags, tag_list
from cosset.services.iam.tables import saml_providers
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction
from cosset.wire.errors import OperationNotImplementedError

_ARN = "SAMLProviderArn"
_VALID_FOR_MS = 100 * 365 * 86_400 * 1000
"""Metadata that names no end is good for a hundred years, as on AWS."""
_ENCRYPTION = ("AddPrivateKey", "RemovePrivateKey", "AssertionEncryptionMode")


@dataclass(frozen=True, slots=True)
class SamlProvider:
    account: str
    name: str
    unique_id: str
    metadata_document: str
    valid_until_ms: int
    tags: Mapping[str, str]
    created_ms: int

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:saml-provider/{self.name}"


class SamlProviders:
    def __init__(self, store: Store, clock: Clock, random_bytes: RandomBytes) -> None:
        self._store = store
        self._clock = clock
        self._random_bytes = random_bytes

    @operation("CreateSAMLProvider", on_everything("CreateSAMLProvider", "saml-provider/*"))
    async def create_saml_provider(self, ctx: Context, params: Params) -> Result:
        _refuse_encryption("CreateSAMLProvider", params)
        now_ms, document = self._clock.now_ms(), params["SAMLMetadataDocument"]
        provider = SamlProvider(
            ctx.account,
            params["Name"],
            uuid.UUID(bytes=self._random_bytes(16), version=4).hex.upper()[:22],
            document,
            _valid_until_ms(document, now_ms),
            read_tags(params.get("Tags", [])),
            now_ms,
        )
        await self._store.write(lambda tx: _add(tx, provider))
        return {_ARN: provider.arn, "Tags": tag_list(provider.tags)}

    @operation("GetSAMLProvider", on_arn("GetSAMLProvider", _ARN))
    async def get_saml_provider(self, ctx: Context, params: Params) -> Result:
        provider = await self._store.read(lambda tx: need_saml_provider(tx, ctx.account, params[_ARN]))
        return {
            "SAMLProviderUUID": provider.unique_id,
            "SAMLMetadataDocument": provider.metadata_document,
            "CreateDate": provider.created_ms // 1000,
            "ValidUntil": provider.valid_until_ms // 1000,
            "Tags": tag_list(provider.tags),
        }

    @operation("ListSAMLProviders", on_everything("ListSAMLProviders", "saml-provider/*"))
    async def list_saml_providers(self, ctx: Context, params: Params) -> Result:
        query = select(saml_providers).where(saml_providers.c.account == ctx.account).order_by(saml_providers.c.name)
        found = await self._store.read(lambda tx: [_provider_of(row) for row in tx.execute(query)])
        shown = [
            {"Arn": each.arn, "ValidUntil": each.valid_until_ms // 1000, "CreateDate": each.created_ms // 1000}
            for each in found
        ]
        return {"SAMLProviderList": shown}

    @operation("UpdateSAMLProvider", on_arn("UpdateSAMLProvider", _ARN))
    async def update_saml_provider(self, ctx: Context, params: Params) -> Result:
        _refuse_encryption("UpdateSAMLProvider", params)
        document, now_ms = params.get("SAMLMetadataDocument"), self._clock.now_ms()
        changes: dict[str, Any] = {}
        if document is not None:
            changes = {"metadata_document": document, "valid_until_ms": _valid_until_ms(document, now_ms)}

        def work(tx: Transaction) -> str:
            provider = need_saml_provider(tx, ctx.account, params[_ARN])
            if changes:
                tx.execute(update(saml_providers).where(*_row_of(provider)).values(**changes))
            return provider.arn

        return {_ARN: await self._store.write(work)}

    @operation("DeleteSAMLProvider", on_arn("DeleteSAMLProvider", _ARN))
    async def delete_saml_provider(self, ctx: Context, params: Params) -> None:
        def work(tx: Transaction) -> None:
            tx.execute(delete(saml_providers).where(*_row_of(need_saml_provider(tx, ctx.account, params[_ARN]))))

        await self._store.write(work)


def need_saml_provider(tx: Transaction, account: str, arn: str) -> SamlProvider:
    """The provider. Raises ServiceError NoSuchEntity."""
    name = arn.rpartition("/")[2]
    query = select(saml_providers).where(saml_providers.c.account == account, saml_providers.c.name == name)
    row = tx.execute(query).one_or_none()
    provider = None if row is None else _provider_of(row)
    if provider is None or provider.arn != arn:
        raise no_such_entity(f"Manifest not found for arn {arn}")
    return provider


def _provider_of(row: Any) -> SamlProvider:
    return SamlProvider(
        row.account,
        row.name,
        row.provider_id,
        row.metadata_document,
        row.valid_until_ms,
        dict(row.tags),
        row.created_ms,
    )


def _add(tx: Transaction, provider: SamlProvider) -> None:
    if tx.execute(select(saml_providers.c.name).where(*_row_of(provider))).first() is not None:
        raise already_exists(f"A SAML Provider with name {provider.name} already exists.")
    tx.execute(
        insert(saml_providers).values(
            account=provider.account,
            name=provider.name,
            provider_id=provider.unique_id,
            metadata_document=provider.metadata_document,
            valid_until_ms=provider.valid_until_ms,
            tags=dict(provider.tags),
            created_ms=provider.created_ms,
        )
    )


def _row_of(provider: SamlProvider) -> tuple[Any, ...]:
    return saml_providers.c.account == provider.account, saml_providers.c.name == provider.name


def _refuse_encryption(name: str, params: Params) -> None:
    for parameter in _ENCRYPTION:
        if parameter in params:
            raise OperationNotImplementedError("iam", f"{name} with {parameter}")


def _valid_until_ms(document: str, now_ms: int) -> int:
    """When the metadata ends. It is looked at as text, never parsed: nothing reads it, and XML can be hostile.

    Raises:
        ServiceError: InvalidInput for what is no identity provider's metadata.
    """
    root = re.search(r"<(?:\w+:)?(?:EntityDescriptor|EntitiesDescriptor)\b([^>]*)>", document)
    if root is None or re.search(r"<(?:\w+:)?IDPSSODescriptor\b", document) is None:
        raise invalid_input("Could not parse metadata")
    found = re.search(r"\bvalidUntil\s*=\s*[\"']([^\"']+)[\"']", root.group(1))
    if found is None:
        return now_ms + _VALID_FOR_MS
    try:
        until = datetime.fromisoformat(found.group(1).replace("Z", "+00:00"))
    except ValueError:
        raise invalid_input("Could not parse metadata") from None
    return int(until.replace(tzinfo=until.tzinfo or UTC).timestamp() * 1000)
