"""Event source mappings: which functions are to get what is in which queue or stream.

Kept and answered as AWS does, states included; what is pulled, and how, is the engine's (engine.py), which hears of
every change. States move by the clock alone: a mapping that was changed shows that for a moment. The sentences are
AWS's (recorded: TestLambdaEventSourceMappings).
"""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Protocol, TypedDict
from uuid import uuid4

from cosset.clock import Clock
from cosset.functions import errors
from cosset.functions.model import FunctionKey, FunctionVersion
from cosset.functions.names import FunctionReference
from cosset.functions.tags import check_tags
from cosset.invocation.destinations import DeliveryRights
from cosset.store.database import Store, Transaction
from cosset.triggers import records, rules
from cosset.triggers.model import EventSourceMapping, Kind, MappingSettings
from cosset.triggers.sources import EventSources, QueueSource
from cosset.wire.errors import ServiceError

MOVES_MS = 500
"""How long a change shows in the state."""


class _Moving(TypedDict):
    transition: str
    settles_at_ms: int
    modified_ms: int


class Functions(Protocol):
    """What this room asks of functions/."""

    async def get(self, reference: FunctionReference) -> FunctionVersion:
        """Raises: ServiceError ResourceNotFoundException."""
        ...

    async def check_on_failure(self, key: FunctionKey, arn: str) -> None:
        """Raises: ServiceError, when records of failed batches cannot go there."""
        ...


class EventSourceMappings:
    """The operations. Every `ServiceError` is in AWS's words."""

    def __init__(
        self,
        store: Store,
        functions: Functions,
        sources: EventSources,
        rights: DeliveryRights,
        clock: Clock,
        new_id: Callable[[], str] = lambda: str(uuid4()),
    ) -> None:
        self._store = store
        self._functions = functions
        self._sources = sources
        self._rights = rights
        self._clock = clock
        self._new_id = new_id

    def now_ms(self) -> int:
        """The moment at which a mapping's state is to be read."""
        return self._clock.now_ms()

    async def create(
        self,
        function: FunctionReference,
        source_arn: str | None,
        settings: MappingSettings,
        *,
        enabled: bool,
        tags: Mapping[str, str],
    ) -> EventSourceMapping:
        kind = rules.kind_of(source_arn)
        assert source_arn is not None
        rules.check_new(kind, source_arn, settings)
        check_tags(tags)
        version = await self._find_function(function)
        await self._check_source(kind, source_arn, version)
        await self._check_destination(function, settings)
        mapping = EventSourceMapping(
            account=function.key.account,
            region=function.key.region,
            uuid=self._new_id(),
            source_arn=source_arn,
            function=function,
            settings=_complete(kind, settings),
            enabled=enabled,
            tags=tags,
            **self._moving("Creating"),
        )

        def insert(tx: Transaction) -> None:
            records.forget_deleted(tx, self._clock.now_ms())
            self._refuse_twin(tx, mapping)
            records.write(tx, mapping)

        await self._store.write(insert)
        return mapping

    async def get(self, account: str, region: str, uuid: str) -> EventSourceMapping:
        return await self._store.read(lambda tx: self._require(tx, account, region, uuid))

    async def list(
        self, account: str, region: str, *, source_arn: str | None, function_arn: str | None, after: str, limit: int
    ) -> list[EventSourceMapping]:
        """By UUID."""
        now_ms = self._clock.now_ms()
        return await self._store.read(
            lambda tx: records.read_all(
                tx,
                account,
                region,
                now_ms=now_ms,
                source_arn=source_arn,
                function_arn=function_arn,
                after=after,
                limit=limit,
            )
        )

    async def update(
        self,
        account: str,
        region: str,
        uuid: str,
        settings: MappingSettings,
        *,
        function: FunctionReference | None,
        enabled: bool | None,
    ) -> EventSourceMapping:
        """What was not given stays."""
        current = await self.get(account, region, uuid)
        rules.check(current.kind, current.source_arn, _merge(current.settings, settings))
        if function is not None:
            version = await self._find_function(function)
            await self._check_source(current.kind, current.source_arn, version)
        await self._check_destination(function or current.function, settings)

        def write(tx: Transaction) -> EventSourceMapping:
            mapping = self._require_settled(tx, account, region, uuid, "update")
            changed = dataclasses.replace(
                mapping,
                settings=_merge(mapping.settings, settings),
                function=function or mapping.function,
                enabled=mapping.enabled if enabled is None else enabled,
                **self._moving(_transition(mapping.enabled, enabled)),
            )
            rules.check(changed.kind, changed.source_arn, changed.settings)
            self._refuse_twin(tx, changed)
            records.write(tx, changed)
            return changed

        return await self._store.write(write)

    async def delete(self, account: str, region: str, uuid: str) -> EventSourceMapping:
        """As it shows while it goes."""

        def write(tx: Transaction) -> EventSourceMapping:
            mapping = self._require_settled(tx, account, region, uuid, "delete")
            mapping = dataclasses.replace(mapping, **self._moving(records.DELETING))
            records.write(tx, mapping)
            return mapping

        return await self._store.write(write)

    async def change_tags(
        self,
        account: str,
        region: str,
        uuid: str,
        *,
        add: Mapping[str, str] | None = None,
        remove: Collection[str] = (),
    ) -> None:
        def write(tx: Transaction) -> None:
            mapping = self._require(tx, account, region, uuid)
            tags = {name: value for name, value in {**mapping.tags, **(add or {})}.items() if name not in remove}
            check_tags(tags)
            records.write(tx, dataclasses.replace(mapping, tags=tags))

        await self._store.write(write)

    async def _find_function(self, function: FunctionReference) -> FunctionVersion:
        try:
            return await self._functions.get(function)
        except ServiceError as error:
            if error.code != "ResourceNotFoundException":
                raise
            raise errors.invalid_parameter("Function does not exist") from error

    async def _check_source(self, kind: Kind, source_arn: str, function: FunctionVersion) -> None:
        """Whether it is there, the function's role may read it, and its messages stay hidden for long enough."""
        source = self._sources.find(kind.service)
        if source is None:
            raise errors.not_here(f"{kind.title} as an event source (EventSourceArn)")
        if not await source.exists(source_arn):
            raise rules.missing(kind, source_arn)
        for action in source.actions:
            if not await self._rights.may(function.role, function.key.arn, action, source_arn):
                raise rules.forbidden(kind, source_arn)
        if isinstance(source, QueueSource):
            visibility_s = await source.visibility_s(source_arn)
            if visibility_s is not None and visibility_s < function.timeout_s:
                raise rules.too_short(visibility_s, function.timeout_s)

    async def _check_destination(self, function: FunctionReference, settings: MappingSettings) -> None:
        if settings.on_failure:
            await self._functions.check_on_failure(function.key, settings.on_failure)

    def _refuse_twin(self, tx: Transaction, mapping: EventSourceMapping) -> None:
        found = records.read_all(
            tx,
            mapping.account,
            mapping.region,
            now_ms=self._clock.now_ms(),
            source_arn=mapping.source_arn,
            function_arn=mapping.function.arn,
        )
        for other in found:
            if other.uuid != mapping.uuid:
                raise rules.taken(mapping.kind, mapping.source_arn, mapping.function.key.name, other.uuid)

    def _require(self, tx: Transaction, account: str, region: str, uuid: str) -> EventSourceMapping:
        mapping = records.read(tx, account, region, uuid, now_ms=self._clock.now_ms())
        if mapping is None:
            raise errors.not_found("The resource you requested does not exist.")
        return mapping

    def _require_settled(self, tx: Transaction, account: str, region: str, uuid: str, verb: str) -> EventSourceMapping:
        mapping = self._require(tx, account, region, uuid)
        if not mapping.is_settled(self._clock.now_ms()):
            raise _in_use(verb)
        return mapping

    def _moving(self, transition: str) -> _Moving:
        now_ms = self._clock.now_ms()
        return {"transition": transition, "settles_at_ms": now_ms + MOVES_MS, "modified_ms": now_ms}


def _complete(kind: Kind, settings: MappingSettings) -> MappingSettings:
    """With AWS's defaults for what was not given."""
    settings = dataclasses.replace(
        settings,
        batch_size=kind.default_batch_size if settings.batch_size is None else settings.batch_size,
        window_s=settings.window_s or 0,
        response_types=settings.response_types or (),
    )
    if not kind.is_stream:
        return settings
    return dataclasses.replace(
        settings,
        parallelization=settings.parallelization or 1,
        max_record_age_s=-1 if settings.max_record_age_s is None else settings.max_record_age_s,
        max_retries=-1 if settings.max_retries is None else settings.max_retries,
        bisect=bool(settings.bisect),
        tumbling_window_s=settings.tumbling_window_s or 0,
    )


def _merge(current: MappingSettings, given: MappingSettings) -> MappingSettings:
    changes = {
        field.name: value
        for field in dataclasses.fields(given)
        if (value := getattr(given, field.name)) is not None and field.name not in _TOGETHER
    }
    if given.has_destinations:
        changes |= {name: getattr(given, name) for name in _TOGETHER}
    return dataclasses.replace(current, **changes)


# A DestinationConfig that is given takes the place of the whole one.
_TOGETHER = ("has_destinations", "on_success", "on_failure")


def _transition(was_enabled: bool, enabled: bool | None) -> str:
    if enabled is None or enabled is was_enabled:
        return "Updating"
    return "Enabling" if enabled else "Disabling"


def _in_use(verb: str) -> ServiceError:
    return ServiceError(
        "ResourceInUseException",
        f"Cannot {verb} the event source mapping because it is in use.",
        fields={"Type": "User"},
    )
