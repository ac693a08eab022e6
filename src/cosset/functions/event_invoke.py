"""Event-invoke configs: retries, age and destinations of asynchronous events, one for each qualifier that has any.

Kept here, obeyed by the asynchronous worker, which asks for `async_policy`. The sentences are AWS's (recorded:
TestLambdaEventInvokeConfig::test_lambda_eventinvokeconfig_exceptions, ::test_lambda_eventinvokeconfig_lifecycle).
"""

import dataclasses

from cosset.clock import Clock
from cosset.functions import errors, event_invoke_records, names, records
from cosset.functions.async_policies import KeptAsyncPolicies
from cosset.functions.destination_rules import DestinationRules
from cosset.functions.finding import look_up
from cosset.functions.model import EventInvokeChange, EventInvokeConfig, FunctionKey
from cosset.functions.names import FunctionReference
from cosset.store.database import Store, Transaction
from cosset.wire.errors import ServiceError


class EventInvokeConfigs:
    """The operations. `async_policy` is what the worker asks (async_policies.py)."""

    def __init__(self, store: Store, rules: DestinationRules, clock: Clock) -> None:
        self._store = store
        self._rules = rules
        self._clock = clock
        self.async_policy = KeptAsyncPolicies(store).async_policy

    async def put(self, reference: FunctionReference, change: EventInvokeChange) -> EventInvokeConfig:
        """In the place of what there was.

        Raises:
            ServiceError: no such function, version or alias; nothing was given; a destination cannot be.
        """
        return await self._write(reference, change, keep=False)

    async def update(self, reference: FunctionReference, change: EventInvokeChange) -> EventInvokeConfig:
        """What was not given stays.

        Raises:
            ServiceError: as `put`; there is none yet.
        """
        return await self._write(reference, change, keep=True)

    async def get(self, reference: FunctionReference) -> EventInvokeConfig:
        key, qualifier = reference.key, names.version_of(reference.qualifier)
        config = await self._store.read(lambda tx: event_invoke_records.read(tx, key, qualifier))
        if config is None:
            raise _none_of(key, qualifier)
        return config

    async def delete(self, reference: FunctionReference) -> None:
        key, qualifier = reference.key, names.version_of(reference.qualifier)

        def write(tx: Transaction) -> bool:
            records.announce(tx, key)
            return event_invoke_records.remove(tx, key, qualifier)

        if not await self._store.write(write):
            raise _none_of(key, qualifier)

    async def list(self, key: FunctionKey, *, after: str, limit: int) -> list[EventInvokeConfig]:
        """By qualifier, `$LATEST` first."""

        def read(tx: Transaction) -> list[EventInvokeConfig]:
            if records.read_settings(tx, key) is None:
                raise _no_function()
            return event_invoke_records.read_all(tx, key, after=after, limit=limit)

        return await self._store.read(read)

    async def _write(self, reference: FunctionReference, change: EventInvokeChange, *, keep: bool) -> EventInvokeConfig:
        key, qualifier = reference.key, names.version_of(reference.qualifier)
        role = await self._store.read(lambda tx: _role_of(tx, reference, must_be=keep))
        if change.is_empty:
            raise errors.invalid_parameter("You must specify at least one of error handling or destination setting.")
        await self._rules.check(key, role, change)
        now_ms = self._clock.now_ms()

        def write(tx: Transaction) -> EventInvokeConfig:
            current = _current(tx, reference, must_be=keep)
            base = current if keep and current else EventInvokeConfig(key=key, qualifier=qualifier)
            config = _apply(base, change, now_ms)
            event_invoke_records.write(tx, config)
            records.announce(tx, key)
            return config

        return await self._store.write(write)


def _apply(config: EventInvokeConfig, change: EventInvokeChange, now_ms: int) -> EventInvokeConfig:
    if change.has_destinations:
        config = dataclasses.replace(config, on_success=change.on_success, on_failure=change.on_failure)
    return dataclasses.replace(
        config,
        max_retries=config.max_retries if change.max_retries is None else change.max_retries,
        max_age_s=config.max_age_s if change.max_age_s is None else change.max_age_s,
        modified_ms=now_ms,
    )


def _current(tx: Transaction, reference: FunctionReference, *, must_be: bool) -> EventInvokeConfig | None:
    key, qualifier = reference.key, names.version_of(reference.qualifier)
    if look_up(tx, reference) is None:
        raise _no_function()
    config = event_invoke_records.read(tx, key, qualifier)
    if config is None and must_be:
        raise _none_of(key, qualifier)
    return config


def _role_of(tx: Transaction, reference: FunctionReference, *, must_be: bool) -> str:
    _current(tx, reference, must_be=must_be)
    version = look_up(tx, reference)
    return "" if version is None else version.role


def _no_function() -> ServiceError:
    return errors.not_found("The function doesn't exist.")


def _none_of(key: FunctionKey, qualifier: str) -> ServiceError:
    return errors.not_found(f"The function {key.qualified_arn(qualifier)} doesn't have an EventInvokeConfig")
