"""Function URLs: their settings, each call one transaction, and the look-up of every request that comes to one.

A URL belongs to a function or to an alias, outlives the alias, and goes with the function. Refuses to serve requests
(services/lambda_/url_calls.py does) and to decide who may pass (gateway/function_urls.py asks the authorizer).
Sources: recorded TestLambdaUrl::test_url_config_list_paging, test_lambda_update_function_url_config.
"""

import dataclasses
import secrets
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cosset.clock import Clock
from cosset.functions import alias_records, errors, records, url_records
from cosset.functions.model import LATEST, FunctionKey
from cosset.functions.names import FunctionReference
from cosset.functions.url_records import FunctionUrl
from cosset.store.database import Store, Transaction
from cosset.store.kept import Kept

MAX_KEPT = 10_000
"""URLs kept in memory; the one asked for longest ago makes room."""

_ID_ALPHABET = string.ascii_lowercase + string.digits
_ID_LENGTH = 32


def random_url_id() -> str:
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))


@dataclass(frozen=True, slots=True)
class UrlAccess:
    """A URL, and whether what it leads to is there."""

    url: FunctionUrl
    leads_somewhere: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlChange:
    """What a caller gave; None was not given, and stays. Empty `cors` takes it away."""

    auth_type: str | None = None
    invoke_mode: str | None = None
    cors: Mapping[str, Any] | None = None


class FunctionUrls:
    """The operations on function URLs, and `find`."""

    def __init__(self, store: Store, clock: Clock, new_id: Callable[[], str] = random_url_id) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._kept = Kept[str, UrlAccess | None](self._read_access, MAX_KEPT)
        self._kept.follow(store, records.TOPIC, _is_of)

    async def create(self, reference: FunctionReference, change: UrlChange) -> FunctionUrl:
        """Raises:
        ServiceError: no such function or alias, or it has a URL.
        """
        key, qualifier, now = reference.key, reference.qualifier or "", self._now()
        url = FunctionUrl(
            key=key,
            qualifier=qualifier,
            url_id=self._new_id(),
            auth_type=change.auth_type or url_records.NONE,
            invoke_mode=change.invoke_mode,
            cors=change.cors or None,
            created=now,
            modified=now,
        )

        def insert(tx: Transaction) -> FunctionUrl:
            if not _exists(tx, key, qualifier):
                raise errors.not_found("Function does not exist")
            if url_records.read_url(tx, key, qualifier) is not None:
                raise errors.conflict(
                    f"Failed to create function url config for [functionArn = {url.arn}]. "
                    "Error message:  FunctionUrlConfig exists for this Lambda function"
                )
            url_records.insert_url(tx, url)
            records.announce(tx, key)
            return url

        return await self._store.write(insert)

    async def get(self, reference: FunctionReference) -> FunctionUrl:
        """Raises: ServiceError, when there is none."""
        return await self._store.read(lambda tx: _existing(tx, reference))

    async def update(self, reference: FunctionReference, change: UrlChange) -> FunctionUrl:
        """Raises: ServiceError, when there is none."""

        def write(tx: Transaction) -> FunctionUrl:
            url = _existing(tx, reference)
            changed = dataclasses.replace(
                url,
                auth_type=change.auth_type or url.auth_type,
                invoke_mode=change.invoke_mode or url.invoke_mode,
                cors=url.cors if change.cors is None else (change.cors or None),
                modified=self._now(),
            )
            url_records.write_url(tx, changed)
            records.announce(tx, reference.key)
            return changed

        return await self._store.write(write)

    async def delete(self, reference: FunctionReference) -> None:
        """Raises: ServiceError, when there is none."""

        def delete(tx: Transaction) -> None:
            if not url_records.delete_url(tx, reference.key, reference.qualifier or ""):
                raise _no_url()
            records.announce(tx, reference.key)

        await self._store.write(delete)

    async def list(self, key: FunctionKey, *, after: str | None, limit: int) -> "list[FunctionUrl]":
        """Raises: ServiceError, when there is no such function."""

        def read(tx: Transaction) -> list[FunctionUrl]:
            if records.read_settings(tx, key) is None:
                raise errors.not_found("Function does not exist")
            return url_records.list_urls(tx, key, after=after, limit=limit)

        return await self._store.read(read)

    async def find(self, url_id: str) -> UrlAccess | None:
        """From memory after the first time. None: there is no such URL, which is not remembered."""
        return await self._kept.get(url_id)

    async def _read_access(self, url_id: str) -> UrlAccess | None:
        return await self._store.read(lambda tx: _read_access(tx, url_id))

    def _now(self) -> str:
        return datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _existing(tx: Transaction, reference: FunctionReference) -> FunctionUrl:
    url = url_records.read_url(tx, reference.key, reference.qualifier or "")
    if url is None:
        raise _no_url()
    return url


def _no_url() -> Exception:
    return errors.not_found("The resource you requested does not exist.")


def _exists(tx: Transaction, key: FunctionKey, qualifier: str) -> bool:
    if qualifier:
        return alias_records.read_alias(tx, key, qualifier) is not None
    return records.read_version(tx, key, LATEST) is not None


def _is_of(topic_key: str, _url_id: str, access: UrlAccess | None) -> bool:
    return access is not None and records.topic_key(access.url.key) == topic_key


def _read_access(tx: Transaction, url_id: str) -> UrlAccess | None:
    url = url_records.find_url(tx, url_id)
    if url is None:
        return None
    return UrlAccess(url, _exists(tx, url.key, url.qualifier))
