"""The policy on a topic: the one that every topic begins with, those that are set, statements added and removed; and
what the evaluator is told of it."""

import json
from collections.abc import Sequence
from typing import Any

from cosset.identity.arn import Arn
from cosset.identity.policy_document import MalformedPolicyError, parse_policy
from cosset.identity.policy_sources import PolicyText, ResourceFacts, tag_context
from cosset.services.sns.books import find_topic
from cosset.services.sns.errors import invalid
from cosset.services.sns.model import TopicKey
from cosset.store.database import Store

_MAX_BYTES = 30 * 1024
_GRANTABLE = (
    *("GetTopicAttributes", "SetTopicAttributes", "AddPermission", "RemovePermission", "DeleteTopic", "Subscribe"),
    *("ListSubscriptionsByTopic", "Publish"),
)
_KNOWN = {
    *(each.lower() for each in _GRANTABLE),
    *("receive", "getdataprotectionpolicy", "putdataprotectionpolicy", "listtagsforresource", "tagresource"),
    *("untagresource", "confirmsubscription"),
}


def default_policy(key: TopicKey) -> str:
    """Services that act for the topic's own account may use it; nobody else is let in by it."""
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [f"SNS:{action}" for action in _GRANTABLE],
        "Resource": key.arn,
        "Condition": {"StringEquals": {"AWS:SourceOwner": key.account}},
    }
    return _write({"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]})


def check_policy(text: str) -> None:
    """Raises ServiceError InvalidParameter."""
    if len(text.encode()) > _MAX_BYTES:
        raise invalid("Policy Reason: Policy is too large")
    try:
        document = parse_policy(text)
    except MalformedPolicyError as error:
        raise invalid(f"Policy Error: {error}") from None
    for statement in document.statements:
        if statement.principals is None and statement.not_principals is None:
            raise invalid("Policy Error: null")
        for action in (*statement.actions, *statement.not_actions):
            service, _, name = action.partition(":")
            known = "*" in name or "?" in name or name.lower() in _KNOWN
            if action != "*" and (service.lower() != "sns" or not known):
                raise invalid("Policy statement action out of service scope!")


def add_statement(policy: str, key: TopicKey, label: str, accounts: Sequence[str], actions: Sequence[str]) -> str:
    """The policy with AddPermission's statement. Raises ServiceError InvalidParameter."""
    document = json.loads(policy)
    statements = _statements(document)
    if any(each.get("Sid") == label for each in statements):
        raise invalid("Statement already exists")
    for action in actions:
        if action not in _GRANTABLE and action != "*":
            raise invalid("Policy statement action out of service scope!")
    if not all(account.isdigit() and len(account) == 12 for account in accounts):
        raise invalid("Policy Error: null")
    arns = [f"arn:aws:iam::{account}:root" for account in accounts]
    names = [f"SNS:{action}" for action in actions]
    statement = {
        "Sid": label,
        "Effect": "Allow",
        "Principal": {"AWS": arns[0] if len(arns) == 1 else arns},
        "Action": names[0] if len(names) == 1 else names,
        "Resource": key.arn,
    }
    return _write({**document, "Statement": [*statements, statement]})


def remove_statement(policy: str, label: str) -> str:
    document = json.loads(policy)
    kept = [each for each in _statements(document) if each.get("Sid") != label]
    return _write({**document, "Statement": kept})


class TopicResources:
    """Implements identity's `ResourceSource` for sns. Reads each time: decisions are kept."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def facts_of(self, action: str, resource: str) -> ResourceFacts | None:
        arn = Arn.parse(resource)
        if arn is None or arn.service != "sns" or ":" in arn.resource or "/" in arn.resource:
            return None
        key = TopicKey(arn.account, arn.region, arn.resource)
        topic = await self._store.read(lambda tx: find_topic(tx, key))
        if topic is None:
            return None
        policies = (PolicyText(resource, topic.policy),) if json.loads(topic.policy).get("Statement") else ()
        return ResourceFacts(policies, tag_context(topic.tags))


def _statements(document: dict[str, Any]) -> list[dict[str, Any]]:
    found = document.get("Statement", [])
    return list(found) if isinstance(found, list) else [found]


def _write(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))
