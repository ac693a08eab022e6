"""The topic operations."""

import json
import logging
from collections.abc import Callable, Mapping

from cosset.services.operation import Context, Params, Result, operation
from cosset.services.sns.books import (
    add_topic,
    change_topic,
    count_subscriptions,
    find_topic,
    list_topics,
    need_topic,
    remove_topic,
)
from cosset.services.sns.errors import invalid
from cosset.services.sns.model import Topic, TopicKey
from cosset.services.sns.paging import read_token, write_token
from cosset.services.sns.requirements import on_everything, on_new_topic, on_tagged, on_topic, topic_of
from cosset.services.sns.topic_attributes import (
    check_attribute,
    check_attributes,
    check_name,
    kept_attributes,
    shown_attributes,
)
from cosset.services.sns.topic_policy import add_statement, default_policy, remove_statement
from cosset.store.database import Store, Transaction
from cosset.wire.errors import ServiceError

logger = logging.getLogger(__name__)

_PAGE = 100
_MAX_TAGS = 50


class Topics:
    def __init__(self, store: Store) -> None:
        self._store = store

    @operation("CreateTopic", on_new_topic)
    async def create_topic(self, ctx: Context, params: Params) -> Result:
        given: Mapping[str, str] = params.get("Attributes", {})
        check_name(params["Name"], given)
        key = TopicKey(ctx.account, ctx.region, params["Name"])
        check_attributes(given, is_fifo=key.is_fifo)
        if (kept := params.get("DataProtectionPolicy")) is not None:
            _check_data_protection(kept)
        policy = given.get("Policy") or default_policy(key)
        tags = _read_tags(params.get("Tags", []))
        topic = Topic(key, kept_attributes(given), policy, kept, tags, 0, 0)

        def work(tx: Transaction) -> None:
            there = find_topic(tx, key)
            if there is not None:
                _check_same(there, topic, given)
                return
            add_topic(tx, topic)
            if kept is not None:
                change_topic(tx, key, data_protection_policy=kept)

        await self._store.write(work)
        return {"TopicArn": key.arn}

    @operation("DeleteTopic", on_topic("DeleteTopic"))
    async def delete_topic(self, ctx: Context, params: Params) -> None:
        key = topic_of(ctx, params["TopicArn"])
        await self._store.write(lambda tx: remove_topic(tx, key))

    @operation("GetTopicAttributes", on_topic("GetTopicAttributes"))
    async def get_topic_attributes(self, ctx: Context, params: Params) -> Result:
        key = topic_of(ctx, params["TopicArn"])

        def read(tx: Transaction) -> dict[str, str]:
            topic = need_topic(tx, key)
            return shown_attributes(topic, *count_subscriptions(tx, key))

        return {"Attributes": await self._store.read(read)}

    @operation("SetTopicAttributes", on_topic("SetTopicAttributes"))
    async def set_topic_attributes(self, ctx: Context, params: Params) -> None:
        key = topic_of(ctx, params["TopicArn"])
        name, value = params["AttributeName"], params.get("AttributeValue", "")
        if value or name not in ("Policy", "DeliveryPolicy"):
            check_attribute(name, value, is_fifo=key.is_fifo)

        def work(tx: Transaction) -> None:
            topic = need_topic(tx, key)
            if name == "Policy":
                change_topic(tx, key, policy=value or default_policy(key))
                return
            attributes = {each: text for each, text in topic.attributes.items() if each != name}
            change_topic(tx, key, attributes=attributes | ({name: value} if value else {}))

        await self._store.write(work)

    @operation("ListTopics", on_everything("ListTopics"))
    async def list_topics(self, ctx: Context, params: Params) -> Result:
        after = read_token(params.get("NextToken"), 1)[0]
        found = await self._store.read(lambda tx: list_topics(tx, ctx.account, ctx.region, after, _PAGE + 1))
        result: Result = {"Topics": [{"TopicArn": key.arn} for key in found[:_PAGE]]}
        if len(found) > _PAGE:
            result["NextToken"] = write_token(found[_PAGE - 1].name)
        return result

    @operation("AddPermission", on_topic("AddPermission"))
    async def add_permission(self, ctx: Context, params: Params) -> None:
        key = topic_of(ctx, params["TopicArn"])

        def work(tx: Transaction) -> None:
            policy = need_topic(tx, key).policy
            added = add_statement(policy, key, params["Label"], params["AWSAccountId"], params["ActionName"])
            change_topic(tx, key, policy=added)

        await self._store.write(work)

    @operation("RemovePermission", on_topic("RemovePermission"))
    async def remove_permission(self, ctx: Context, params: Params) -> None:
        key = topic_of(ctx, params["TopicArn"])

        def work(tx: Transaction) -> None:
            change_topic(tx, key, policy=remove_statement(need_topic(tx, key).policy, params["Label"]))

        await self._store.write(work)

    @operation("PutDataProtectionPolicy", on_topic("PutDataProtectionPolicy", "ResourceArn"))
    async def put_data_protection_policy(self, ctx: Context, params: Params) -> None:
        """Kept and shown. Messages are not looked through for it, and the log of the node says so."""
        key = topic_of(ctx, params["ResourceArn"], "ResourceArn")
        text = params["DataProtectionPolicy"]
        _check_data_protection(text)
        logger.warning("%s has a data protection policy now: it is kept, and no message is held against it", key.arn)

        def work(tx: Transaction) -> None:
            need_topic(tx, key)
            change_topic(tx, key, data_protection_policy=text or None)

        await self._store.write(work)

    @operation("GetDataProtectionPolicy", on_topic("GetDataProtectionPolicy", "ResourceArn"))
    async def get_data_protection_policy(self, ctx: Context, params: Params) -> Result:
        key = topic_of(ctx, params["ResourceArn"], "ResourceArn")
        topic = await self._store.read(lambda tx: need_topic(tx, key))
        return {} if topic.data_protection_policy is None else {"DataProtectionPolicy": topic.data_protection_policy}

    @operation("TagResource", on_tagged("TagResource"))
    async def tag_resource(self, ctx: Context, params: Params) -> None:
        tags = _read_tags(params["Tags"])

        def change(before: Mapping[str, str]) -> dict[str, str]:
            merged = {**before, **tags}
            if len(merged) > _MAX_TAGS:
                raise ServiceError("TagLimitExceeded", "Could not complete request: tag quota of per resource exceeded")
            return merged

        await self._retag(ctx, params["ResourceArn"], change)

    @operation("UntagResource", on_tagged("UntagResource"))
    async def untag_resource(self, ctx: Context, params: Params) -> None:
        gone = set(params["TagKeys"])
        await self._retag(
            ctx, params["ResourceArn"], lambda before: {key: each for key, each in before.items() if key not in gone}
        )

    @operation("ListTagsForResource", on_tagged("ListTagsForResource"))
    async def list_tags_for_resource(self, ctx: Context, params: Params) -> Result:
        key = topic_of(ctx, params["ResourceArn"], "ResourceArn")
        topic = await self._store.read(lambda tx: _need_tagged(tx, key))
        return {"Tags": [{"Key": name, "Value": value} for name, value in topic.tags.items()]}

    async def _retag(self, ctx: Context, arn: str, change: Callable[[Mapping[str, str]], dict[str, str]]) -> None:
        key = topic_of(ctx, arn, "ResourceArn")

        def work(tx: Transaction) -> None:
            change_topic(tx, key, tags=change(_need_tagged(tx, key).tags))

        await self._store.write(work)


def _need_tagged(tx: Transaction, key: TopicKey) -> Topic:
    topic = find_topic(tx, key)
    if topic is None:
        raise ServiceError("ResourceNotFound", "Resource does not exist", status=404)
    return topic


def _check_same(there: Topic, wanted: Topic, given: Mapping[str, str]) -> None:
    """A topic is made again only as it is. Raises ServiceError InvalidParameter."""
    shown = {**there.attributes, "Policy": there.policy, "FifoTopic": str(there.key.is_fifo).lower()}
    if any(shown.get(name, "") != value for name, value in given.items()):
        raise invalid("Attributes Reason: Topic already exists with different attributes")
    if any(there.tags.get(name) != value for name, value in wanted.tags.items()):
        raise invalid("Tags Reason: Topic already exists with different tags")


def _read_tags(tags: list[dict[str, str]]) -> dict[str, str]:
    read = {each["Key"]: each["Value"] for each in tags}
    if len(read) != len(tags):
        raise invalid("Duplicated keys are not allowed.")
    if len(read) > _MAX_TAGS:
        raise ServiceError("TagLimitExceeded", "Could not complete request: tag quota of per resource exceeded")
    return read


def _check_data_protection(text: str) -> None:
    try:
        policy = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        policy = None
    if not isinstance(policy, dict):
        raise invalid("DataProtectionPolicy Reason: Invalid JSON")
