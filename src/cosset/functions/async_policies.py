"""How functions want their asynchronous events treated, from memory after the first: the worker asks of every event.

Put together of the event-invoke config, the dead-letter queue, the role and the reserved concurrency. Dropped when any
node changes the function. Refuses to keep what is not there. Read next: event_invoke.py.
"""

from collections import OrderedDict

from cosset.functions import event_invoke_records, names, records
from cosset.functions.finding import look_up
from cosset.functions.model import EventInvokeConfig, FunctionKey
from cosset.functions.names import FunctionReference
from cosset.invocation.async_policy import MAX_AGE_S, MAX_RETRIES, AsyncPolicy
from cosset.store.changes import EVERYTHING
from cosset.store.database import Store, Transaction

MAX_KEPT = 10_000
"""Functions kept in memory; the one read longest ago makes room."""


class KeptAsyncPolicies:
    """Implements invocation.async_policy.AsyncPolicies."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: OrderedDict[str, dict[str | None, AsyncPolicy]] = OrderedDict()
        # Counts changes, so that what was read before a change is not kept after it.
        self._changes = 0
        store.on_change(records.TOPIC, self._drop)

    async def async_policy(self, account: str, region: str, name: str, qualifier: str | None) -> AsyncPolicy:
        key = FunctionKey(account, region, name)
        topic_key = records.topic_key(key)
        policy = self._kept.get(topic_key, {}).get(qualifier)
        if policy is not None:
            return policy
        before = self._changes
        reference = FunctionReference(key, qualifier)
        policy = await self._store.read(lambda tx: _read(tx, reference))
        if policy is None:
            return AsyncPolicy()
        if before == self._changes:
            self._kept.setdefault(topic_key, {})[qualifier] = policy
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return policy

    def _drop(self, topic_key: str) -> None:
        self._changes += 1
        if topic_key == EVERYTHING:
            self._kept.clear()
        else:
            self._kept.pop(topic_key, None)


def _read(tx: Transaction, reference: FunctionReference) -> AsyncPolicy | None:
    version = look_up(tx, reference)
    settings = records.read_settings(tx, reference.key)
    if version is None or settings is None:
        return None
    qualifier = names.version_of(reference.qualifier)
    config = event_invoke_records.read(tx, reference.key, qualifier)
    config = config or EventInvokeConfig(key=reference.key, qualifier=qualifier)
    return AsyncPolicy(
        max_retries=MAX_RETRIES if config.max_retries is None else config.max_retries,
        max_age_s=MAX_AGE_S if config.max_age_s is None else config.max_age_s,
        on_success=config.on_success,
        on_failure=config.on_failure,
        dead_letter=version.extra.get("DeadLetterConfig", {}).get("TargetArn"),
        is_switched_off=settings.reserved_concurrency == 0,
        role=version.role,
    )
