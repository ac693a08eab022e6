"""What is set up to trigger what, for the map: read from the tables of every room that triggers, silent or not.

The rows are read as they are, so that a map imports no service. Read next: services/installation/causes.py.
"""

import json
from collections.abc import Iterator, Sequence

from sqlalchemy import select

from cosset.clock import Clock
from cosset.functions.tables import event_invoke_configs
from cosset.observe.cause_map import MAX_EDGES, Place
from cosset.services.s3.tables import s3_bucket_settings, s3_buckets
from cosset.services.sns.tables import sns_subscriptions
from cosset.store.database import Store
from cosset.store.transaction import Transaction
from cosset.triggers import records

_Edge = tuple[Place, str]


class ConfiguredEdgesOf:
    """Implements services.installation.causes.ConfiguredEdges."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def of(self, account: str, region: str) -> Sequence[_Edge]:
        def read(tx: Transaction) -> list[_Edge]:
            return [
                *_mappings(tx, account, region, self._clock.now_ms()),
                *_subscriptions(tx, account, region),
                *_notifications(tx, account, region),
                *_destinations(tx, account, region),
            ]

        return (await self._store.read(read))[:MAX_EDGES]


def _mappings(tx: Transaction, account: str, region: str, now_ms: int) -> Iterator[_Edge]:
    for mapping in records.read_all(tx, account, region, now_ms=now_ms, limit=MAX_EDGES):
        means = "event source mapping" if mapping.enabled else "event source mapping, disabled"
        yield Place(mapping.source_arn, mapping.function.key.arn), means


def _subscriptions(tx: Transaction, account: str, region: str) -> Iterator[_Edge]:
    columns = sns_subscriptions.c
    query = select(columns.topic, columns.protocol, columns.endpoint).where(
        columns.account == account, columns.region == region, columns.state == "confirmed"
    )
    for row in tx.execute(query.limit(MAX_EDGES)):
        topic = f"arn:aws:sns:{region}:{account}:{row.topic}"
        endpoint = ":".join(row.endpoint.split(":")[:7]) if row.protocol == "lambda" else row.endpoint
        yield Place(topic, endpoint), "subscription"


def _notifications(tx: Transaction, account: str, region: str) -> Iterator[_Edge]:
    from cosset.services.s3.notification_model import KIND, rules_of

    query = (
        select(s3_buckets.c.name, s3_bucket_settings.c.document)
        .join(s3_bucket_settings, s3_bucket_settings.c.bucket == s3_buckets.c.name)
        .where(s3_buckets.c.account == account, s3_buckets.c.region == region, s3_bucket_settings.c.kind == KIND)
    )
    for row in tx.execute(query.limit(MAX_EDGES)):
        for rule in rules_of(json.loads(row.document)):
            arn = rule.target.arn
            if arn.split(":")[2] == "lambda":
                arn = ":".join(arn.split(":")[:7])
            yield Place(f"arn:aws:s3:::{row.name}", arn), "bucket notification"


def _destinations(tx: Transaction, account: str, region: str) -> Iterator[_Edge]:
    columns = event_invoke_configs.c
    query = select(columns.name, columns.on_success, columns.on_failure).where(
        columns.account == account, columns.region == region
    )
    for row in tx.execute(query.limit(MAX_EDGES)):
        function = f"arn:aws:lambda:{region}:{account}:function:{row.name}"
        for target, means in ((row.on_success, "destination on success"), (row.on_failure, "destination on failure")):
            if target:
                yield Place(function, target), means
