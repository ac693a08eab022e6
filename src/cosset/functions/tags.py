"""Tags of functions. Setting them gives `$LATEST` a new revision (recorded: TestLambdaTags::test_tag_lifecycle)."""

import dataclasses
from collections.abc import Callable, Collection, Mapping

from cosset.functions import errors, records
from cosset.functions.model import FunctionKey
from cosset.store.database import Store, Transaction

MAX_TAGS = 50


class Tags:
    """TagResource, UntagResource and ListTags."""

    def __init__(self, store: Store, new_id: Callable[[], str]) -> None:
        self._store = store
        self._new_id = new_id

    async def get(self, key: FunctionKey) -> Mapping[str, str]:
        return await self._store.read(lambda tx: _read(tx, key))

    async def add(self, key: FunctionKey, tags: Mapping[str, str]) -> None:
        """Raises:
        ServiceError: no such function, or more than 50 tags.
        """
        await self._store.write(lambda tx: self._write(tx, key, {**_read(tx, key), **tags}))

    async def remove(self, key: FunctionKey, names: Collection[str]) -> None:
        """Names that are not there are no error."""
        await self._store.write(
            lambda tx: self._write(tx, key, {name: tag for name, tag in _read(tx, key).items() if name not in names})
        )

    def _write(self, tx: Transaction, key: FunctionKey, tags: Mapping[str, str]) -> None:
        check_tags(tags)
        records.write_tags(tx, key, tags)
        latest = records.read_version(tx, key)
        if latest is not None:
            records.write_version(tx, dataclasses.replace(latest, revision_id=self._new_id()))
        records.announce(tx, key)


def check_tags(tags: Mapping[str, str]) -> None:
    if len(tags) > MAX_TAGS:
        raise errors.invalid_parameter("Number of tags exceeds resource tag limit.")


def _read(tx: Transaction, key: FunctionKey) -> Mapping[str, str]:
    settings = records.read_settings(tx, key)
    if settings is None:
        raise errors.function_not_found(key.arn)
    return settings.tags
