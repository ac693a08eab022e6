"""From a name and a qualifier to what runs: the answer to every invocation, from memory after the first.

Kept per function, dropped when any node changes it. Aliases with weights pick a version at random, call by call.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cosset.functions import concurrency_records, errors, names, option_records, records
from cosset.functions.idleness import Idleness
from cosset.functions.model import LATEST, Alias, FunctionKey, FunctionOptions, FunctionState, FunctionVersion
from cosset.functions.settling import Settling
from cosset.invocation.api import Target
from cosset.store.changes import EVERYTHING
from cosset.store.database import Store, Transaction

MAX_KEPT = 10_000
"""Functions kept in memory; the one read longest ago makes room."""
RECORD_TAG = "cosset:record"
"""A function with this tag saying `off` has no events kept for a replay."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """One function: where its aliases point, and those of its versions that were asked for."""

    aliases: Mapping[str, Alias]
    versions: dict[str, tuple[Target, FunctionState]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Shares:
    """In the account's concurrency: the function's own, and what others have set aside."""

    reserved: int | None
    provisioned: int
    set_aside: int


class Resolver:
    """Implements invocation.api.TargetResolver. `random` gives numbers from 0.0 up to 1.0."""

    def __init__(
        self,
        store: Store,
        settling: Settling,
        idleness: Idleness,
        code_folder: Callable[[str], Path],
        random: Callable[[], float],
    ) -> None:
        self._store = store
        self._settling = settling
        self._idleness = idleness
        self._code_folder = code_folder
        self._random = random
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        # Counts changes, so that what was read before a change is not kept after it.
        self._changes = 0
        store.on_change(records.TOPIC, self._drop)
        store.on_change(records.CONCURRENCY_TOPIC, self._drop_account)

    async def resolve(self, account: str, region: str, name: str, qualifier: str | None) -> Target:
        """Raises: ServiceError, as invocation.api.TargetResolver says.

        A call that meets a function on its way to Active waits for it: here that takes a moment.
        """
        key = FunctionKey(account, region, name)
        target, state = await self._find(key, qualifier)
        if state is FunctionState.PENDING:
            await self._settling.wait_created(key)
            target, state = await self._find(key, qualifier)
        self._idleness.note_call(key)
        if state is FunctionState.INACTIVE:
            raise await self._idleness.wake(key, target.version)
        if state is not FunctionState.ACTIVE:
            raise errors.still_pending(state.value)
        return target

    async def _find(self, key: FunctionKey, qualifier: str | None) -> tuple[Target, FunctionState]:
        topic_key = records.topic_key(key)
        share = 0.0 if qualifier is None else self._random()
        kept = self._kept.get(topic_key)
        if kept is not None:
            found = kept.versions.get(_choose(kept, qualifier, share))
            if found is not None:
                return found
        return await self._load(key, topic_key, qualifier, share)

    async def _load(
        self, key: FunctionKey, topic_key: str, qualifier: str | None, share: float
    ) -> tuple[Target, FunctionState]:
        before = self._changes
        kept, version, found = await self._store.read(lambda tx: self._read(tx, key, qualifier, share))
        if found is None:
            # AWS names $LATEST here even when the caller did not (recorded: function_name_too_long-invoke).
            raise errors.function_not_found(key.qualified_arn(names.version_of(qualifier)))
        if before == self._changes:
            self._kept.setdefault(topic_key, kept).versions[version] = found
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return found

    def _read(
        self, tx: Transaction, key: FunctionKey, qualifier: str | None, share: float
    ) -> tuple[_Kept, str, tuple[Target, FunctionState] | None]:
        settings = records.read_settings(tx, key)
        kept = _Kept({alias.name: alias for alias in records.read_aliases(tx, key)})
        name = _choose(kept, qualifier, share)
        version = records.read_version(tx, key, name)
        if settings is None or version is None:
            return kept, name, None
        shares = _Shares(
            settings.reserved_concurrency,
            concurrency_records.sum_provisioned(tx, key),
            concurrency_records.sum_set_aside(tx, key.account, key.region),
        )
        return kept, name, (self._target(version, shares, option_records.read(tx, key), settings.tags), version.state)

    def _target(
        self, version: FunctionVersion, shares: _Shares, options: FunctionOptions, tags: Mapping[str, str]
    ) -> Target:
        key = version.key
        return Target(
            account=key.account,
            region=key.region,
            function_name=key.name,
            function_arn=key.arn,
            version=version.version,
            revision=version.serving_id,
            runtime=version.runtime or "",
            handler=version.handler or "",
            role=version.role,
            memory_mb=version.memory_mb,
            timeout_s=version.timeout_s,
            ephemeral_storage_mb=version.ephemeral_storage_mb,
            code_dir=self._code_folder(version.code.digest),
            log_group=version.logging.log_group,
            layer_dirs=tuple(self._code_folder(layer.digest) for layer in version.layers),
            variables=version.variables or {},
            log_format=version.logging.log_format,
            application_log_level=version.logging.application_log_level,
            system_log_level=version.logging.system_log_level,
            architecture=version.architectures[0],
            tracing_mode=version.tracing_mode,
            reserved_concurrency=shares.reserved,
            provisioned_concurrency=shares.provisioned,
            set_aside=shares.set_aside,
            allows_recursion=options.recursive_loop == "Allow",
            keeps_events=tags.get(RECORD_TAG, "").lower() not in ("off", "false", "no"),
            runtime_version=version.runtime_version,
            runtime_version_arn=version.runtime_version_arn,
        )

    def _drop(self, topic_key: str) -> None:
        self._changes += 1
        if topic_key == EVERYTHING:
            self._kept.clear()
        else:
            self._kept.pop(topic_key, None)

    def _drop_account(self, account_key: str) -> None:
        """What one function may run has changed, and so what is left to the others."""
        self._changes += 1
        for topic_key in list(self._kept):
            if account_key == EVERYTHING or topic_key.startswith(account_key):
                del self._kept[topic_key]


def _choose(kept: _Kept, qualifier: str | None, share: float) -> str:
    """The version that a qualifier means for the call that drew `share`."""
    version = qualifier or LATEST
    alias = kept.aliases.get(version)
    if alias is None:
        return version
    for other, weight in alias.weights.items():
        if share < weight:
            return other
        share -= weight
    return alias.version
