"""What IAM must allow for an operation: the action on the topic that the call names, or on everything.

IAM knows no ARN for a subscription, so what is done to one by its own ARN is allowed on `*` only.
"""

from collections.abc import Sequence

from cosset.identity.evaluation.context import ContextValue
from cosset.identity.ports import Requirement, tag_request
from cosset.services.operation import Context, Params, Requirements
from cosset.services.sns.errors import invalid
from cosset.services.sns.model import TopicKey


def on_topic(action: str, member: str = "TopicArn") -> Requirements:
    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        return [Requirement(f"sns:{action}", topic_of(ctx, params[member], member).arn)]

    return requirements


def on_everything(action: str) -> Requirements:
    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        return [Requirement(f"sns:{action}", "*")]

    return requirements


def on_new_topic(ctx: Context, params: Params) -> Sequence[Requirement]:
    tags = {each["Key"]: each["Value"] for each in params.get("Tags", [])}
    arn = TopicKey(ctx.account, ctx.region, params["Name"]).arn
    needed = [Requirement("sns:CreateTopic", arn, tag_request(tags))]
    return [*needed, Requirement("sns:TagResource", arn, tag_request(tags))] if tags else needed


def on_subscribe(ctx: Context, params: Params) -> Sequence[Requirement]:
    context: dict[str, ContextValue] = {"sns:Protocol": params["Protocol"]}
    if "Endpoint" in params:
        context["sns:Endpoint"] = params["Endpoint"]
    return [Requirement("sns:Subscribe", topic_of(ctx, params["TopicArn"]).arn, context)]


def on_publish(ctx: Context, params: Params) -> Sequence[Requirement]:
    """A telephone number is on no ARN."""
    arn, member = params.get("TopicArn"), "TopicArn"
    if arn is None and "TargetArn" in params:
        arn, member = params["TargetArn"], "TargetArn"
    if arn is None:
        return [Requirement("sns:Publish", "*")]
    if ":endpoint/" in arn:
        return [Requirement("sns:Publish", arn)]
    return [Requirement("sns:Publish", topic_of(ctx, arn, member).arn)]


def on_tagged(action: str) -> Requirements:
    def requirements(ctx: Context, params: Params) -> Sequence[Requirement]:
        tags = {each["Key"]: each["Value"] for each in params.get("Tags", [])}
        context = tag_request(tags, params.get("TagKeys", []))
        return [Requirement(f"sns:{action}", topic_of(ctx, params["ResourceArn"], "ResourceArn").arn, context)]

    return requirements


def topic_of(ctx: Context, arn: str, member: str = "TopicArn") -> TopicKey:
    """The topic that is named; of this region (recorded: test_topic_publish_another_region).

    Raises ServiceError InvalidParameter.
    """
    key = TopicKey.of_arn(arn, member)
    if key.region != ctx.region:
        raise invalid(member)
    return key
