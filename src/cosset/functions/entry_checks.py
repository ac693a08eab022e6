"""What is asked of other rooms and of the store before a function is made or changed, and before its package is looked
at: whether its runtime, its role and its dead-letter queue can be. What needs nobody else is checks.py.
"""

from collections.abc import Mapping

from cosset.functions import checks, errors, names, records
from cosset.functions.code_signing import CodeSigning
from cosset.functions.destination_rules import DestinationRules
from cosset.functions.model import Change, FunctionKey, FunctionVersion
from cosset.functions.ports import RoleDirectory, RuntimeCatalogue
from cosset.functions.tags import check_tags
from cosset.store.database import Store


class EntryChecks:
    """Raises AWS's sentences for what may not be."""

    def __init__(
        self,
        store: Store,
        roles: RoleDirectory,
        runtimes: RuntimeCatalogue,
        destinations: DestinationRules,
        code_signing: CodeSigning,
    ) -> None:
        self._store = store
        self._roles = roles
        self._runtimes = runtimes
        self._destinations = destinations
        self._code_signing = code_signing

    async def check_new(
        self, key: FunctionKey, change: Change, tags: Mapping[str, str], code_signing_config: str | None
    ) -> None:
        """A function that is to be made. Raises: ServiceError."""
        names.check_new_name(key.name)
        checks.check_mandatory(change)
        checks.check_size(change)
        await self._check_runtime(change.runtime)
        checks.check_snap_start(change.runtime, change.snap_start or "None")
        checks.check_variables(change.variables or {})
        check_tags(tags)
        await self._check_role(key, change.role)
        await self._check_dead_letter(key, change.role or "", change)
        if await self._store.read(lambda tx: records.read_settings(tx, key)) is not None:
            raise errors.conflict(f"Function already exist: {key.name}")
        if code_signing_config:
            await self._store.read(lambda tx: self._code_signing.verify_new(tx, key, code_signing_config))

    async def check_change(self, key: FunctionKey, current: FunctionVersion, change: Change) -> None:
        """A function that is to be changed. Raises: ServiceError."""
        if change.runtime is not None:
            await self._check_runtime(change.runtime)
        checks.check_snap_start(change.runtime or current.runtime, change.snap_start or "None")
        checks.check_variables(change.variables or {})
        if change.role is not None and change.role != current.role:
            await self._check_role(key, change.role)
        await self._check_dead_letter(key, change.role or current.role, change)

    async def _check_runtime(self, runtime: str | None) -> None:
        refusal = await self._runtimes.refusal(runtime or "")
        if refusal is not None:
            raise errors.invalid_parameter(refusal)

    async def _check_dead_letter(self, key: FunctionKey, role: str, change: Change) -> None:
        given = change.extra.get("DeadLetterConfig")
        if given:
            await self._destinations.check_dead_letter(key, role, given["TargetArn"])

    async def _check_role(self, key: FunctionKey, role: str | None) -> None:
        role = role or ""
        if not await self._roles.is_passable(role, key.account):
            raise errors.access_denied("Cross-account pass role is not allowed.")
        if not await self._roles.assumable_by_lambda(role, key.arn):
            raise errors.invalid_parameter("The role defined for the function cannot be assumed by Lambda.")
