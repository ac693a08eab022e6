"""What calls ask of functions, read in one go and kept: settings, aliases, and the versions and policies asked for.

A call asks twice: whether it may be (resource_policies.py), and what runs (resolver.py). A function that nobody has
called yet is read once for both. Dropped when any node changes it. Refuses to decide anything.
"""

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from cosset.functions import alias_records, concurrency_records, option_records, policy_records, records
from cosset.functions.model import LATEST, Alias, FunctionKey, FunctionOptions, FunctionSettings, FunctionVersion
from cosset.invocation.api import Target
from cosset.store.changes import EVERYTHING
from cosset.store.database import Store, Transaction

MAX_KEPT = 10_000
"""Functions kept in memory; the one read longest ago makes room."""
MAX_POLICY_CHARS = 4_000_000
"""Of the policies kept, together."""


@dataclass(frozen=True, slots=True)
class Shares:
    """In the account's concurrency: the function's own, and what others have set aside."""

    reserved: int | None
    provisioned: int
    set_aside: int


@dataclass(frozen=True, slots=True)
class Page:
    """One function. `policies` by the qualifier they are at, "" for the function's own; None: there is none. `targets`
    is what the resolver has made of the versions."""

    settings: FunctionSettings
    options: FunctionOptions
    shares: Shares
    aliases: Mapping[str, Alias]
    versions: dict[str, FunctionVersion] = field(default_factory=dict)
    policies: dict[str, str | None] = field(default_factory=dict)
    targets: dict[str, Target] = field(default_factory=dict)

    @property
    def policy_chars(self) -> int:
        return sum(len(text or "") for text in self.policies.values())


class FunctionBook:
    """For the event loop's thread only."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pages: OrderedDict[str, Page] = OrderedDict()
        self._policy_chars = 0
        # Counts changes, so that what was read before a change is not kept after it.
        self._changes = 0
        store.on_change(records.TOPIC, self._drop)
        store.on_change(records.CONCURRENCY_TOPIC, self._drop_account)

    def kept(self, key: FunctionKey, qualifier: str | None) -> Page | None:
        """As `page_of`, from memory alone."""
        page = self._pages.get(records.topic_key(key))
        return page if page is not None and place_of(qualifier) in page.policies else None

    async def page_of(self, key: FunctionKey, qualifier: str | None) -> Page | None:
        """With the policy at the qualifier, and whatever versions it may mean, as far as there are any. None: there is
        no such function."""
        page = self.kept(key, qualifier)
        if page is not None:
            return page
        before = self._changes
        read = await self._store.read(lambda tx: _read(tx, key, place_of(qualifier)))
        if read is None or not read.policies or before != self._changes:
            # What does not exist is not kept either: there are any number of such qualifiers.
            return read
        return self._keep(records.topic_key(key), read)

    def _keep(self, topic_key: str, read: Page) -> Page:
        """Nothing has changed since the page that is there was read: what was read now belongs to it."""
        page = self._pages.setdefault(topic_key, read)
        if page is read:
            self._policy_chars += read.policy_chars
        else:
            added = {at: text for at, text in read.policies.items() if at not in page.policies}
            self._policy_chars += sum(len(text or "") for text in added.values())
            page.policies.update(added)
            page.versions.update(read.versions)
        while len(self._pages) > MAX_KEPT or (self._policy_chars > MAX_POLICY_CHARS and len(self._pages) > 1):
            self._policy_chars -= self._pages.popitem(last=False)[1].policy_chars
        return page

    def _drop(self, topic_key: str) -> None:
        self._changes += 1
        if topic_key == EVERYTHING:
            self._pages.clear()
            self._policy_chars = 0
        elif (page := self._pages.pop(topic_key, None)) is not None:
            self._policy_chars -= page.policy_chars

    def _drop_account(self, account_key: str) -> None:
        """What one function may run has changed, and so what is left to the others."""
        self._changes += 1
        for topic_key in list(self._pages):
            if account_key == EVERYTHING or topic_key.startswith(account_key):
                self._policy_chars -= self._pages.pop(topic_key).policy_chars


def place_of(qualifier: str | None) -> str:
    """Where a policy is that counts for the qualifier. One on $LATEST is that on the function without a qualifier."""
    return "" if qualifier is None or qualifier == LATEST else qualifier


def _read(tx: Transaction, key: FunctionKey, at: str) -> Page | None:
    settings = records.read_settings(tx, key)
    if settings is None:
        return None
    aliases = {alias.name: alias for alias in alias_records.read_aliases(tx, key)}
    shares = Shares(
        settings.reserved_concurrency,
        concurrency_records.sum_provisioned(tx, key),
        concurrency_records.sum_set_aside(tx, key.account, key.region),
    )
    page = Page(settings, option_records.read(tx, key), shares, aliases)
    for name in _meant(aliases, at):
        version = records.read_version(tx, key, name)
        if version is not None:
            page.versions[name] = version
    if page.versions:
        document = policy_records.read_document(tx, key, at)
        page.policies[at] = None if document is None else json.dumps(document)
    return page


def _meant(aliases: Mapping[str, Alias], at: str) -> tuple[str, ...]:
    alias = aliases.get(at)
    return (at or LATEST,) if alias is None else (alias.version, *alias.weights)
