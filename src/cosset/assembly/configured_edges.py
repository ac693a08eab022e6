"""What is set up to trigger what, for the map: read from the tables of every room that triggers, silent or not.

The rows are read as they are, so that a map imports no service. Read next: services/installation/causes.py.
"""

import json
from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import select

from cosset.clock import Clock
from cosset.functions.model import LATEST
from cosset.functions.tables import event_invoke_configs, versions
from cosset.functions.url_tables import function_urls
from cosset.observe.cause_map import MAX_EDGES, Place
from cosset.services.cloudwatch.tables import alarms
from cosset.services.logs.tables import log_subscription_filters
from cosset.services.s3.tables import s3_bucket_settings, s3_buckets
from cosset.services.sns.tables import sns_subscriptions
from cosset.services.sqs.tables import queues
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
                *_functions(tx, account, region),
                *_dead_letters(tx, account, region),
                *_log_filters(tx, account, region),
                *_alarms(tx, account, region),
            ]

        return (await self._store.read(read))[:MAX_EDGES]

    async def urls(self, account: str, region: str) -> Mapping[str, str]:
        columns = function_urls.c
        query = select(columns.url_id, columns.name).where(columns.account == account, columns.region == region)

        def read(tx: Transaction) -> dict[str, str]:
            rows = tx.execute(query.limit(MAX_EDGES))
            return {row.url_id: f"arn:aws:lambda:{region}:{account}:function:{row.name}/url" for row in rows}

        return await self._store.read(read)


def _mappings(tx: Transaction, account: str, region: str, now_ms: int) -> Iterator[_Edge]:
    for mapping in records.read_all(tx, account, region, now_ms=now_ms, limit=MAX_EDGES):
        means = "event source mapping" if mapping.enabled else "event source mapping, disabled"
        yield Place(mapping.source_arn, mapping.function.key.arn), means
        if mapping.settings.on_failure:
            yield Place(mapping.function.key.arn, mapping.settings.on_failure), "what its event source mapping gave up"


def _subscriptions(tx: Transaction, account: str, region: str) -> Iterator[_Edge]:
    columns = sns_subscriptions.c
    query = select(columns.topic, columns.protocol, columns.endpoint, columns.attributes).where(
        columns.account == account, columns.region == region, columns.state == "confirmed"
    )
    for row in tx.execute(query.limit(MAX_EDGES)):
        topic = f"arn:aws:sns:{region}:{account}:{row.topic}"
        endpoint = ":".join(row.endpoint.split(":")[:7]) if row.protocol == "lambda" else row.endpoint
        yield Place(topic, endpoint), "subscription"
        if dead_letters := _target_of(row.attributes.get("RedrivePolicy")):
            yield Place(topic, dead_letters), "dead-letter queue of a subscription"


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


def _functions(tx: Transaction, account: str, region: str) -> Iterator[_Edge]:
    """Dead-letter queues of functions; and the log groups that somebody subscribes to, from the functions that write
    into them."""
    columns, filters = versions.c, log_subscription_filters.c
    followed = select(filters.log_group).where(filters.account == account, filters.region == region).distinct()
    groups = {row.log_group for row in tx.execute(followed)}
    query = select(columns.name, columns.configuration).where(
        columns.account == account, columns.region == region, columns.version == LATEST
    )
    for row in tx.execute(query.limit(MAX_EDGES)):
        function, settings = f"arn:aws:lambda:{region}:{account}:function:{row.name}", json.loads(row.configuration)
        if target := settings.get("extra", {}).get("DeadLetterConfig", {}).get("TargetArn"):
            yield Place(function, target), "dead-letter queue"
        group = settings.get("logging", {}).get("log_group", "")
        if group in groups:
            yield Place(function, _group_arn(account, region, group)), "log"


def _dead_letters(tx: Transaction, account: str, region: str) -> Iterator[_Edge]:
    """Of queues."""
    columns = queues.c
    query = select(columns.name, columns.attributes).where(columns.account == account, columns.region == region)
    for row in tx.execute(query.limit(MAX_EDGES)):
        if target := _target_of(json.loads(row.attributes).get("RedrivePolicy")):
            yield Place(f"arn:aws:sqs:{region}:{account}:{row.name}", target), "dead-letter queue"


def _log_filters(tx: Transaction, account: str, region: str) -> Iterator[_Edge]:
    columns = log_subscription_filters.c
    query = select(columns.log_group, columns.name, columns.destination_arn).where(
        columns.account == account, columns.region == region
    )
    for row in tx.execute(query.limit(MAX_EDGES)):
        target = ":".join(row.destination_arn.split(":")[:7])
        yield Place(_group_arn(account, region, row.log_group), target), f"subscription filter {row.name}"


def _alarms(tx: Transaction, account: str, region: str) -> Iterator[_Edge]:
    """What they watch, what their rules name, and what they do."""
    query = select(alarms.c.name, alarms.c.settings).where(alarms.c.account == account, alarms.c.region == region)
    rows = tx.execute(query.limit(MAX_EDGES)).all()
    if not rows:
        return
    from cosset.services.cloudwatch.alarm_rules import read_rule
    from cosset.services.cloudwatch.alarm_steps import watched

    for row in rows:
        arn = f"arn:aws:cloudwatch:{region}:{account}:alarm:{row.name}"
        for source in watched(account, region, row.settings):
            yield Place(source, arn), "metric"
        if "AlarmRule" in row.settings:
            for child in read_rule(row.settings["AlarmRule"]).children:
                yield Place(f"arn:aws:cloudwatch:{region}:{account}:alarm:{child}", arn), "alarm rule"
        for name in ("AlarmActions", "OKActions", "InsufficientDataActions"):
            for target in row.settings.get(name, ()):
                yield Place(arn, ":".join(target.split(":")[:7])), "alarm action"


def _group_arn(account: str, region: str, group: str) -> str:
    return f"arn:aws:logs:{region}:{account}:log-group:{group}:*"


def _target_of(redrive_policy: str | None) -> str:
    return str(json.loads(redrive_policy).get("deadLetterTargetArn", "")) if redrive_policy else ""
