"""Functions: creating, changing, finding and deleting them, each call one transaction that commits before it answers.

The front of this room. What belongs to versions, aliases and so on is in the part that is named after it (`versions`,
`aliases`, `tags`, `concurrency`, `policies`); what runs is the resolver's to say. Knows no wire and no HTTP.
"""

import asyncio
import dataclasses
import logging
import random as system_random
from collections.abc import Callable, Mapping
from uuid import uuid4

from cosset.clock import Clock
from cosset.functions import alias_records, checks, configuring, errors, names, option_records, package_records, records
from cosset.functions.aliases import Aliases
from cosset.functions.code import CodeStore
from cosset.functions.code_signing import CodeSigning
from cosset.functions.code_sources import CodeSources
from cosset.functions.concurrency import Concurrency
from cosset.functions.destination_rules import DestinationRules
from cosset.functions.entry_checks import EntryChecks
from cosset.functions.event_invoke import EventInvokeConfigs
from cosset.functions.finding import find_version, is_there
from cosset.functions.foresight import Foresight
from cosset.functions.function_book import FunctionBook
from cosset.functions.idleness import Idleness
from cosset.functions.layers import Layers, check_unzipped, use_layers
from cosset.functions.model import (
    LATEST,
    Change,
    Code,
    FunctionKey,
    FunctionSettings,
    FunctionVersion,
)
from cosset.functions.names import FunctionReference
from cosset.functions.policies import Policies
from cosset.functions.policy_documents import PolicyDocuments
from cosset.functions.ports import RoleDirectory, RuntimeCatalogue
from cosset.functions.provisioned import ProvisionedConcurrency
from cosset.functions.recursion import RecursionConfigs
from cosset.functions.resolver import Resolver
from cosset.functions.runtime_management import RuntimeManagement
from cosset.functions.settling import UPDATE_S, Settling
from cosset.functions.tags import Tags
from cosset.functions.timestamps import format_timestamp
from cosset.functions.urls import FunctionUrls
from cosset.functions.usage import check_storage, count_usage
from cosset.functions.versions import Versions, changeable_latest, publish
from cosset.invocation.api import Target
from cosset.invocation.async_policy import AsyncPolicy
from cosset.invocation.destinations import DeliveryRights, DestinationDirectory
from cosset.store.database import Store, Transaction

logger = logging.getLogger(__name__)

SWEEP_S = 1800
"""How often packages are collected, and states settled that a node which has gone left behind."""


def random_id() -> str:
    return str(uuid4())


class Functions:
    """Every function of this installation. `resolve` makes it an invocation.api.TargetResolver, `async_policy` an
    invocation.async_policy.AsyncPolicies.

    Args:
        destinations: what takes the records of asynchronous events here.
        rights: what IAM allows functions' roles.
        book: what calls ask of functions; one is made if none is given.
        concurrency: what the account may run at once; reserved shares come out of it.
        update_s: how long an update shows as InProgress.
        inactive_after_s: how long nobody may call a function before it becomes Inactive; 0: for ever.
        random: gives numbers from 0.0 up to 1.0, for weighted aliases.
    """

    def __init__(
        self,
        *,
        store: Store,
        code: CodeStore,
        roles: RoleDirectory,
        runtimes: RuntimeCatalogue,
        destinations: DestinationDirectory,
        rights: DeliveryRights,
        clock: Clock,
        book: FunctionBook | None = None,
        concurrency: int = 1000,
        update_s: float = UPDATE_S,
        inactive_after_s: float = 0.0,
        new_id: Callable[[], str] = random_id,
        random: Callable[[], float] = system_random.random,
    ) -> None:
        self.code = code
        self.sources = CodeSources()
        self._sweeping: asyncio.Task[None] | None = None
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._settling = Settling(store, clock, new_id, update_s, lambda key: self.foresight.note(key))
        self._idleness = Idleness(store, self._settling, clock, new_id, inactive_after_s)
        self._resolver = Resolver(book or FunctionBook(store), self._settling, self._idleness, code.folder, random)
        self.foresight = Foresight(self._resolver.foresee)
        self.versions = Versions(store, self._settling, new_id)
        self.aliases = Aliases(store, new_id)
        self.tags = Tags(store, new_id)
        self.concurrency = Concurrency(store, concurrency)
        self.provisioned = ProvisionedConcurrency(store, clock, concurrency, self._resolver.resolve)
        self.policies = Policies(store, new_id)
        self.policy_documents = PolicyDocuments(store, new_id)
        self.urls = FunctionUrls(store, clock)
        self._destinations = DestinationRules(destinations, rights)
        self.event_invoke = EventInvokeConfigs(store, self._destinations, clock)
        self.recursion = RecursionConfigs(store)
        self.code_signing = CodeSigning(store, clock)
        self._entry = EntryChecks(store, roles, runtimes, self._destinations, self.code_signing)
        self.runtime_management = RuntimeManagement(store)
        self.layers = Layers(store, code, clock, new_id)

    async def start(self) -> None:
        """Call once the store is open, before anything is served: finishes what a stop left half way."""
        await self.code.start()
        await self._settling.settle_left()
        self._sweeping = asyncio.create_task(self._sweep_for_ever(), name="sweep functions")

    async def close(self) -> None:
        """States still on their way are settled at the next start."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)
        await self._settling.close()
        await self.foresight.close()

    async def resolve(self, account: str, region: str, name: str, qualifier: str | None) -> Target:
        return await self._resolver.resolve(account, region, name, qualifier)

    async def async_policy(self, account: str, region: str, name: str, qualifier: str | None) -> AsyncPolicy:
        return await self.event_invoke.async_policy(account, region, name, qualifier)

    async def exists(self, reference: FunctionReference) -> bool:
        """Whether there is such a function, version or alias."""
        return await self._store.read(lambda tx: is_there(tx, reference))

    async def check_on_failure(self, key: FunctionKey, arn: str) -> None:
        """Raises: ServiceError, when the records of batches that failed cannot go there."""
        await self._destinations.check_batch_failure(key, arn)

    async def create(
        self,
        key: FunctionKey,
        change: Change,
        package: bytes,
        *,
        publish_it: bool,
        tags: Mapping[str, str],
        code_signing_config: str | None = None,
    ) -> FunctionVersion:
        """`$LATEST` of the new function, or its first version when that was asked for; Pending either way.

        Raises:
            ServiceError: InvalidParameterValueException, ResourceConflictException, as AWS says them.
        """
        await self._entry.check_new(key, change, tags, code_signing_config)
        code = await self.code.keep(package)
        fresh = configuring.new_function(key, change, code, modified=self._now(), new_id=self._new_id)

        def insert(tx: Transaction) -> FunctionVersion:
            if records.read_settings(tx, key) is not None:
                raise errors.conflict(f"Function already exist: {key.name}")
            check_storage(tx, key, code)
            latest = _with_layers(tx, fresh, change)
            records.insert_function(tx, key, tags)
            if code_signing_config:
                self.code_signing.verify_new(tx, key, code_signing_config)
                option_records.change(tx, key, code_signing_config=code_signing_config)
            records.insert_version(tx, latest)
            records.announce(tx, key)
            if publish_it:
                return publish(tx, latest, description=None, pending=True, new_id=self._new_id)
            return latest

        created = await self._store.write(insert)
        self._settling.created(key)
        if code_signing_config:
            await self.code_signing.warn(key)
        return created

    async def get(self, reference: FunctionReference) -> FunctionVersion:
        """The version that the qualifier names, through an alias too.

        Raises:
            ServiceError: ResourceNotFoundException.
        """
        return await self._store.read(lambda tx: find_version(tx, reference))

    async def get_with_settings(self, reference: FunctionReference) -> tuple[FunctionVersion, FunctionSettings]:
        def find(tx: Transaction) -> tuple[FunctionVersion, FunctionSettings]:
            version = find_version(tx, reference)
            settings = records.read_settings(tx, reference.key)
            return version, settings or FunctionSettings(reference.key, {}, None)

        return await self._store.read(find)

    async def list(
        self, account: str, region: str, *, everything: bool, after: tuple[str, int] | None, limit: int
    ) -> list[FunctionVersion]:
        """By name, then number; of each function only `$LATEST` unless `everything`."""
        return await self._store.read(
            lambda tx: records.list_versions(tx, account, region, everything=everything, after=after, limit=limit)
        )

    async def totals(self, account: str, region: str) -> tuple[int, int]:
        """How many functions, and the bytes of their packages."""
        return await self._store.read(lambda tx: count_usage(tx, account, region))

    async def update_code(
        self,
        key: FunctionKey,
        package: bytes,
        *,
        architectures: tuple[str, ...] | None,
        publish_it: bool,
        dry_run: bool,
        revision_id: str | None,
    ) -> FunctionVersion:
        """The changed `$LATEST`, or the version that was published from it."""
        await self._settling.wait_created(key)
        await self._store.read(lambda tx: self._check_deployable(tx, key, revision_id))
        code = await (self.code.check(package) if dry_run else self.code.keep(package))
        change = Change(architectures=architectures)

        def write(tx: Transaction) -> FunctionVersion:
            check_storage(tx, key, code)
            latest = self._change(tx, key, revision_id, change, code)
            if not publish_it:
                return latest
            return publish(tx, latest, description=None, pending=True, new_id=self._new_id)

        if dry_run:
            return await self._store.read(lambda tx: self._changed(tx, key, revision_id, change, code))
        changed = await self._store.write(write)
        self._settling.updated(key)
        await self.code_signing.warn(key)
        return changed

    async def update_configuration(
        self, key: FunctionKey, change: Change, *, revision_id: str | None
    ) -> FunctionVersion:
        """The changed `$LATEST`."""
        checks.check_size(change)
        await self._settling.wait_created(key)
        current = await self._store.read(lambda tx: changeable_latest(tx, key, revision_id))
        await self._entry.check_change(key, current, change)
        changed = await self._store.write(lambda tx: self._change(tx, key, revision_id, change, None))
        self._settling.updated(key)
        if change.layers:
            await self.code_signing.warn(key)
        return changed

    async def delete(self, reference: FunctionReference) -> None:
        """The function with everything of it, or one version of it."""
        key, qualifier = reference.key, reference.qualifier
        if qualifier == LATEST:
            raise errors.invalid_parameter("$LATEST version cannot be deleted without deleting the function.")
        if qualifier is not None and names.is_alias(qualifier):
            raise errors.invalid_parameter("Deletion of aliases is not currently supported.")
        now_ms = self._clock.now_ms()

        def delete(tx: Transaction) -> None:
            if records.read_settings(tx, key) is None:
                raise errors.function_not_found(key.arn)
            package_records.touch_packages(tx, key, now_ms, qualifier)
            if qualifier is None:
                records.delete_function(tx, key)
            else:
                refuse_referenced_version(tx, key, qualifier)
                records.delete_version(tx, key, qualifier)  # one that is gone already is no error, as on AWS
            records.announce_concurrency(tx, key)  # what it reserved or provisioned is free again

        await self._store.write(delete, frees=True)

    async def _sweep_for_ever(self) -> None:
        while True:
            await self._clock.sleep(SWEEP_S)
            try:
                await self._settling.settle_left()
                await self._idleness.sweep()
                await self.code.collect()
            except Exception:  # the boundary of this task: a full disk passes
                logger.exception("sweeping functions failed; the next try is in %s s", SWEEP_S)

    def _change(
        self, tx: Transaction, key: FunctionKey, revision_id: str | None, change: Change, code: Code | None
    ) -> FunctionVersion:
        changed = self._changed(tx, key, revision_id, change, code)
        package_records.touch_packages(tx, key, self._clock.now_ms(), LATEST)
        records.write_version(tx, changed)
        records.announce(tx, key)
        return changed

    def _changed(
        self, tx: Transaction, key: FunctionKey, revision_id: str | None, change: Change, code: Code | None
    ) -> FunctionVersion:
        latest = configuring.apply_change(changeable_latest(tx, key, revision_id), change)
        if code is not None or change.layers:
            self.code_signing.verify(tx, key)
        if code is not None:
            latest = dataclasses.replace(latest, code=code)
        latest = _with_layers(tx, latest, change)
        return configuring.in_progress(latest, modified=self._now(), new_id=self._new_id)

    def _check_deployable(self, tx: Transaction, key: FunctionKey, revision_id: str | None) -> None:
        changeable_latest(tx, key, revision_id)
        self.code_signing.verify(tx, key)

    def _now(self) -> str:
        return format_timestamp(self._clock.now_ms())


def _with_layers(tx: Transaction, version: FunctionVersion, change: Change) -> FunctionVersion:
    if change.layers is not None:
        version = dataclasses.replace(version, layers=use_layers(tx, version.key, change.layers))
    check_unzipped(tx, version)
    return version


def refuse_referenced_version(tx: Transaction, key: FunctionKey, version: str) -> None:
    """A version that an alias points at stays."""
    pointing = [
        alias.name
        for alias in alias_records.read_aliases(tx, key)
        if alias.version == version or version in alias.weights
    ]
    if pointing:
        raise errors.conflict(
            f"Version cannot be deleted because it is referenced by the following aliases: [{', '.join(pointing)}]"
        )
