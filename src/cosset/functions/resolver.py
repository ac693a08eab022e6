"""From a name and a qualifier to what runs: the answer to every invocation, from memory after the first.

Aliases with weights pick a version at random, call by call. Read next: function_book.py, what is kept.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from cosset.functions import errors, names
from cosset.functions.function_book import FunctionBook, Page
from cosset.functions.idleness import Idleness
from cosset.functions.model import LATEST, Alias, FunctionKey, FunctionState, FunctionVersion
from cosset.functions.settling import Settling
from cosset.invocation.api import Target

RECORD_TAG = "cosset:record"
"""A function with this tag saying `off` has no events kept for a replay."""


class Resolver:
    """Implements invocation.api.TargetResolver. `random` gives numbers from 0.0 up to 1.0."""

    def __init__(
        self,
        book: FunctionBook,
        settling: Settling,
        idleness: Idleness,
        code_folder: Callable[[str], Path],
        random: Callable[[], float],
    ) -> None:
        self._book = book
        self._settling = settling
        self._idleness = idleness
        self._code_folder = code_folder
        self._random = random

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

    async def foresee(self, key: FunctionKey) -> Target | None:
        """What a call without a qualifier would run, looked up before anyone calls, and not counted as a call."""
        page = await self._book.page_of(key, None)
        version = None if page is None else page.versions.get(LATEST)
        return None if page is None or version is None else self._target(page, version)

    async def _find(self, key: FunctionKey, qualifier: str | None) -> tuple[Target, FunctionState]:
        share = 0.0 if qualifier is None else self._random()
        page = self._book.kept(key, qualifier) or await self._book.page_of(key, qualifier)
        version = None if page is None else page.versions.get(_choose(page.aliases, qualifier, share))
        if page is None or version is None:
            # AWS names $LATEST here even when the caller did not (recorded: function_name_too_long-invoke).
            raise errors.function_not_found(key.qualified_arn(names.version_of(qualifier)))
        return page.targets.get(version.version) or self._target(page, version), version.state

    def _target(self, page: Page, version: FunctionVersion) -> Target:
        key = version.key
        made = page.targets[version.version] = Target(
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
            reserved_concurrency=page.shares.reserved,
            provisioned_concurrency=page.shares.provisioned,
            set_aside=page.shares.set_aside,
            allows_recursion=page.options.recursive_loop == "Allow",
            keeps_events=page.settings.tags.get(RECORD_TAG, "").lower() not in ("off", "false", "no"),
            runtime_version=version.runtime_version,
            runtime_version_arn=version.runtime_version_arn,
        )
        return made


def _choose(aliases: Mapping[str, Alias], qualifier: str | None, share: float) -> str:
    """The version that a qualifier means for the call that drew `share`."""
    version = qualifier or LATEST
    alias = aliases.get(version)
    if alias is None:
        return version
    for other, weight in alias.weights.items():
        if share < weight:
            return other
        share -= weight
    return alias.version
