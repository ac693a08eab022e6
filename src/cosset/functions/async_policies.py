"""How functions want their asynchronous events treated, from memory after the first: the worker asks of every event.

Put together of the event-invoke config, the dead-letter queue, the role and the reserved concurrency. Dropped when any
node changes the function. Refuses to keep what is not there. Read next: event_invoke.py.
"""

from cosset.functions import event_invoke_records, names, records
from cosset.functions.finding import look_up
from cosset.functions.model import EventInvokeConfig, FunctionKey
from cosset.functions.names import FunctionReference
from cosset.invocation.async_policy import MAX_AGE_S, MAX_RETRIES, AsyncPolicy
from cosset.store.database import Store, Transaction
from cosset.store.kept import Kept

MAX_KEPT = 10_000
"""Functions, versions and aliases kept in memory; the one asked for longest ago makes room."""

_Place = tuple[str, str, str, str | None]
"""Account, region, name and qualifier."""


class KeptAsyncPolicies:
    """Implements invocation.async_policy.AsyncPolicies."""

    def __init__(self, store: Store) -> None:
        self._kept = Kept[_Place, AsyncPolicy | None](lambda place: store.read(lambda tx: _read(tx, place)), MAX_KEPT)
        self._kept.follow(store, records.TOPIC, _is_of)

    async def async_policy(self, account: str, region: str, name: str, qualifier: str | None) -> AsyncPolicy:
        return await self._kept.get((account, region, name, qualifier)) or AsyncPolicy()


def _is_of(topic_key: str, place: _Place, _policy: AsyncPolicy | None) -> bool:
    account, region, name, _ = place
    return f"{records.account_key(account, region)}{name}" == topic_key


def _read(tx: Transaction, place: _Place) -> AsyncPolicy | None:
    account, region, name, qualifier = place
    reference = FunctionReference(FunctionKey(account, region, name), qualifier)
    version = look_up(tx, reference)
    settings = records.read_settings(tx, reference.key)
    if version is None or settings is None:
        return None
    version_name = names.version_of(qualifier)
    config = event_invoke_records.read(tx, reference.key, version_name)
    config = config or EventInvokeConfig(key=reference.key, qualifier=version_name)
    return AsyncPolicy(
        max_retries=MAX_RETRIES if config.max_retries is None else config.max_retries,
        max_age_s=MAX_AGE_S if config.max_age_s is None else config.max_age_s,
        on_success=config.on_success,
        on_failure=config.on_failure,
        dead_letter=version.extra.get("DeadLetterConfig", {}).get("TargetArn"),
        is_switched_off=settings.reserved_concurrency == 0,
        role=version.role,
    )
