"""Aliases: names for versions, which may send a share of the calls to another version."""

import dataclasses
from collections.abc import Callable, Mapping

from cosset.functions import alias_records, concurrency_records, errors, records
from cosset.functions.model import LATEST, Alias, FunctionKey
from cosset.functions.provisioned import refuse_shared_versions
from cosset.store.database import Store, Transaction


class Aliases:
    """The alias operations. The sentences are AWS's (recorded: test_notfound_and_invalid_routingconfigs)."""

    def __init__(self, store: Store, new_id: Callable[[], str]) -> None:
        self._store = store
        self._new_id = new_id

    async def create(
        self, key: FunctionKey, name: str, version: str, *, description: str, weights: Mapping[str, float]
    ) -> Alias:
        """Raises:
        ServiceError: no such function or version, the alias exists, the weights make no sense.
        """
        alias = Alias(key, name, version, description, self._new_id(), weights)

        def insert(tx: Transaction) -> Alias:
            _check_routing(tx, key, version, weights)
            if alias_records.read_alias(tx, key, name) is not None:
                raise errors.conflict(f"Alias already exists: {key.qualified_arn(name)}")
            alias_records.insert_alias(tx, alias)
            records.announce(tx, key)
            return alias

        return await self._store.write(insert)

    async def update(
        self,
        key: FunctionKey,
        name: str,
        *,
        version: str | None,
        description: str | None,
        weights: Mapping[str, float] | None,
        revision_id: str | None,
    ) -> Alias:
        """What was not given (None) stays; empty weights take them away."""

        def write(tx: Transaction) -> Alias:
            alias = alias_records.read_alias(tx, key, name)
            if alias is None:
                raise errors.not_found(f"Alias not found: {key.qualified_arn(name)}")
            if revision_id is not None and revision_id != alias.revision_id:
                raise errors.stale_revision()
            changed = dataclasses.replace(
                alias,
                version=alias.version if version is None else version,
                description=alias.description if description is None else description,
                weights=alias.weights if weights is None else weights,
                revision_id=self._new_id(),
            )
            _check_routing(tx, key, changed.version, changed.weights)
            if concurrency_records.read(tx, key, name) is not None:
                refuse_shared_versions(tx, key, name, {changed.version, *changed.weights})
            alias_records.write_alias(tx, changed)
            records.announce(tx, key)
            return changed

        return await self._store.write(write)

    async def get(self, key: FunctionKey, name: str) -> Alias:
        """Raises:
        ServiceError: ResourceNotFoundException.
        """
        alias = await self._store.read(lambda tx: alias_records.read_alias(tx, key, name))
        if alias is None:
            raise errors.not_found(f"Cannot find alias arn: {key.qualified_arn(name)}")
        return alias

    async def delete(self, key: FunctionKey, name: str) -> None:
        """One that is not there is no error, as on AWS."""

        def delete(tx: Transaction) -> None:
            alias_records.delete_alias(tx, key, name)
            records.announce_concurrency(tx, key)

        await self._store.write(delete)

    async def list(self, key: FunctionKey, *, version: str | None, after: str, limit: int) -> list[Alias]:
        """By name; those that point at `version` when that is given.

        Raises:
            ServiceError: ResourceNotFoundException.
        """

        def read(tx: Transaction) -> list[Alias]:
            if records.read_settings(tx, key) is None:
                raise errors.function_not_found(key.arn)
            return alias_records.read_aliases(tx, key, version=version, after=after, limit=limit)

        return await self._store.read(read)


def _check_routing(tx: Transaction, key: FunctionKey, version: str, weights: Mapping[str, float]) -> None:
    if len(weights) > 1:
        raise errors.invalid_parameter("Number of items in AdditionalVersionWeights cannot be greater than 1")
    if weights and version == LATEST:
        raise errors.invalid_parameter(
            "$LATEST is not supported for an alias pointing to more than 1 version", typed=False
        )
    if version in weights:
        raise errors.invalid_parameter(
            f"Invalid function version {version}. Function version {version} is already included in routing "
            "configuration."
        )
    for wanted in (version, *weights):
        if records.read_version(tx, key, wanted) is None:
            raise errors.function_not_found(key.qualified_arn(wanted))
