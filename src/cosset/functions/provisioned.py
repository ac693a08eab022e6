"""Provisioned concurrency: how many environments a version, or what an alias points at, shall have ready.

Kept here; made so by invocation/provisioning.py, which asks `provisions` what is wanted. The sentences are AWS's
(recorded: TestLambdaProvisionedConcurrency::test_provisioned_concurrency_limits,
TestLambdaConcurrency::test_reserved_provisioned_overlap).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from cosset.clock import Clock
from cosset.functions import alias_records, concurrency_records, errors, names, records
from cosset.functions.concurrency import least_unreserved
from cosset.functions.model import LATEST, FunctionKey, ProvisionedConfig
from cosset.functions.names import FunctionReference
from cosset.invocation.api import Target
from cosset.invocation.provisioning import Provision, Share
from cosset.store.database import Store, Transaction
from cosset.wire.errors import ServiceError

Resolve = Callable[[str, str, str, str], Awaitable[Target]]


@dataclass(frozen=True, slots=True)
class Provisioned:
    """A configuration, and the stamp by which its progress is asked for."""

    config: ProvisionedConfig
    stamp: str


class ProvisionedConcurrency:
    """The operations, and the ProvisionSource of this installation.

    Args:
        limit: the account's concurrency.
        resolve: finds what runs for a version.
    """

    def __init__(self, store: Store, clock: Clock, limit: int, resolve: Resolve) -> None:
        self._store = store
        self._clock = clock
        self._limit = limit
        self._resolve = resolve

    async def put(self, reference: FunctionReference, requested: int) -> Provisioned:
        """Raises:
        ServiceError: not of a published version, another configuration has the version, more than there is.
        """
        key, qualifier = reference.key, names.version_of(reference.qualifier)

        def write(tx: Transaction) -> Provisioned:
            versions = _versions_of(tx, key, qualifier)
            if LATEST in versions:
                raise errors.invalid_parameter(
                    "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
                )
            _refuse_snapshots(tx, key, versions)
            refuse_shared_versions(tx, key, qualifier, versions)
            self._check_room(tx, key, qualifier, requested)
            config = ProvisionedConfig(key, qualifier, requested, self._clock.now_ms())
            concurrency_records.write(tx, config)
            records.announce_concurrency(tx, key)
            return _provisioned(tx, config)

        return await self._store.write(write)

    async def get(self, reference: FunctionReference) -> Provisioned:
        """Raises:
        ServiceError: no such function, version or alias, or nothing is provisioned for it.
        """
        key, qualifier = reference.key, _published(reference)

        def read(tx: Transaction) -> Provisioned:
            _versions_of(tx, key, qualifier)
            config = concurrency_records.read(tx, key, qualifier)
            if config is None:
                raise errors.no_provisioned_concurrency()
            return _provisioned(tx, config)

        return await self._store.read(read)

    async def delete(self, reference: FunctionReference) -> None:
        """One that is not there is no error, as on AWS."""
        key, qualifier = reference.key, _published(reference)

        def delete(tx: Transaction) -> None:
            _versions_of(tx, key, qualifier)
            concurrency_records.remove(tx, key, qualifier)
            records.announce_concurrency(tx, key)

        await self._store.write(delete)

    async def list(self, key: FunctionKey, *, after: str, limit: int) -> list[Provisioned]:
        """By qualifier.

        Raises:
            ServiceError: ResourceNotFoundException.
        """

        def read(tx: Transaction) -> list[Provisioned]:
            if records.read_settings(tx, key) is None:
                raise errors.function_not_found(key.arn)
            configs = concurrency_records.read_of(tx, key, after=after, limit=limit)
            return [_provisioned(tx, config) for config in configs]

        return await self._store.read(read)

    async def provisions(self) -> Sequence[Provision]:
        """Implements invocation.provisioning.ProvisionSource."""
        wanted = await self._store.read(
            lambda tx: [(config, _shares(tx, config)) for config in concurrency_records.read_all(tx)]
        )
        found = [await self._provision(config, shares) for config, shares in wanted]
        return [provision for provision in found if provision is not None]

    async def _provision(self, config: ProvisionedConfig, shares: dict[str, int]) -> Provision | None:
        key = config.key
        try:
            targets = [
                Share(await self._resolve(key.account, key.region, key.name, version), count)
                for version, count in shares.items()
                if count
            ]
        except ServiceError as error:
            if error.status >= 500:
                raise
            return None  # it went between the two readings, or is not Active yet: another change will come
        return Provision(config.arn, _stamp(config, shares), tuple(targets))

    def _check_room(self, tx: Transaction, key: FunctionKey, qualifier: str, requested: int) -> None:
        settings = records.read_settings(tx, key)
        assert settings is not None
        others = concurrency_records.sum_provisioned(tx, key, but=qualifier)
        if settings.reserved_concurrency is not None:
            if others + requested > settings.reserved_concurrency:
                raise errors.invalid_parameter(
                    "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for "
                    "function"
                )
            return
        left = self._limit - concurrency_records.sum_set_aside(tx, key.account, key.region, but=key) - others
        if requested > left:
            raise errors.invalid_parameter(
                "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency "
                f"[{left}].",
                typed=False,
            )
        least = least_unreserved(self._limit)
        if left - requested < least:
            raise errors.invalid_parameter(
                "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below "
                f"its minimum value of [{least}].",
                typed=False,
            )


def refuse_shared_versions(tx: Transaction, key: FunctionKey, qualifier: str, versions: set[str]) -> None:
    """One version can have one provision: its own, or that of one alias.

    Raises: ServiceError, ResourceConflictException.
    """
    for other in concurrency_records.read_of(tx, key):
        if other.qualifier == qualifier or versions.isdisjoint(_shares(tx, other)):
            continue
        if names.is_alias(qualifier):
            raise errors.conflict(
                "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
            )
        raise errors.conflict("Version is pointed by a Provisioned Concurrency alias")


def _versions_of(tx: Transaction, key: FunctionKey, qualifier: str) -> set[str]:
    """What the qualifier means.

    Raises: ServiceError, ResourceNotFoundException.
    """
    if names.is_alias(qualifier):
        alias = alias_records.read_alias(tx, key, qualifier)
        if alias is None:
            raise errors.not_found(f"Cannot find alias arn: {key.qualified_arn(qualifier)}")
        return {alias.version, *alias.weights}
    if records.read_version(tx, key, qualifier) is None:
        raise errors.function_not_found(key.qualified_arn(qualifier))
    return {qualifier}


def _refuse_snapshots(tx: Transaction, key: FunctionKey, versions: set[str]) -> None:
    """A version has one or the other (AWS Lambda developer guide, "SnapStart"); AWS's sentence is not known."""
    found = [records.read_version(tx, key, version) for version in versions]
    if any(version is not None and version.snap_start == "PublishedVersions" for version in found):
        raise errors.invalid_parameter("Provisioned concurrency is not supported for versions that use SnapStart.")


def _shares(tx: Transaction, config: ProvisionedConfig) -> dict[str, int]:
    """How many of each version; what an alias sends elsewhere is rounded, the rest is of its own version."""
    alias = alias_records.read_alias(tx, config.key, config.qualifier) if names.is_alias(config.qualifier) else None
    if alias is None:
        return {config.qualifier: config.requested}
    shares = {version: round(config.requested * weight) for version, weight in alias.weights.items()}
    return {alias.version: config.requested - sum(shares.values()), **shares}


def _provisioned(tx: Transaction, config: ProvisionedConfig) -> Provisioned:
    return Provisioned(config, _stamp(config, _shares(tx, config)))


def _stamp(config: ProvisionedConfig, shares: dict[str, int]) -> str:
    return f"{config.modified_ms}/{sorted(shares.items())}"


def _published(reference: FunctionReference) -> str:
    """The qualifier. Raises: ServiceError, when it is none that environments can be provisioned for."""
    qualifier = names.version_of(reference.qualifier)
    if qualifier == LATEST:
        raise errors.invalid_parameter("The function resource provided must be an alias or a published version.")
    return qualifier
