"""What the policy evaluator asks of functions and layers: the policy on one, on its version or alias, and its tags."""

import json

from cosset.functions import layer_records
from cosset.functions.function_book import FunctionBook, place_of
from cosset.functions.layer_records import LayerKey
from cosset.functions.model import FunctionKey
from cosset.identity.arn import Arn
from cosset.identity.policy_sources import PolicyText, ResourceFacts, tag_context
from cosset.store.database import Store

_LONGEST_NUMBER = 9


class FunctionResources:
    """Implements identity's `ResourceSource` for lambda. Reads layers each time: decisions are kept."""

    def __init__(self, store: Store, book: FunctionBook) -> None:
        self._store = store
        self._book = book

    async def facts_of(self, action: str, resource: str) -> ResourceFacts | None:
        arn = Arn.parse(resource)
        if arn is None or arn.service != "lambda":
            return None
        kind, _, rest = arn.resource.partition(":")
        name, _, qualifier = rest.partition(":")
        if kind == "layer":
            return await self._facts_of_layer(resource, LayerKey(arn.account, arn.region, name), qualifier)
        if kind != "function":
            return None
        return await self._facts_of_function(resource, FunctionKey(arn.account, arn.region, name), qualifier)

    async def _facts_of_function(self, resource: str, key: FunctionKey, qualifier: str) -> ResourceFacts | None:
        page = await self._book.page_of(key, qualifier)
        if page is None:
            return None
        return ResourceFacts(
            _policies(resource, page.policies.get(place_of(qualifier))), tag_context(page.settings.tags)
        )

    async def _facts_of_layer(self, resource: str, key: LayerKey, number: str) -> ResourceFacts | None:
        """Policies are on the versions of a layer."""
        if not number.isdecimal() or len(number) > _LONGEST_NUMBER:
            return None
        statements = await self._store.read(lambda tx: layer_records.read_statements(tx, key, int(number)))
        document = {"Version": "2012-10-17", "Id": "default", "Statement": statements} if statements else None
        return ResourceFacts(_policies(resource, json.dumps(document) if document else None))


def _policies(resource: str, text: str | None) -> tuple[PolicyText, ...]:
    return (PolicyText(resource, text),) if text is not None else ()
