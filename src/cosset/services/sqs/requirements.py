"""What IAM must allow for each operation: an action on the queue that the call names.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html. A batch needs the action of the
single operation.
"""

from collections.abc import Callable, Sequence

from cosset.identity.ports import Requirement, tag_request
from cosset.services.operation import Context, Params
from cosset.services.sqs.errors import missing_parameter
from cosset.services.sqs.model import QueueKey
from cosset.services.sqs.urls import queue_of

Requirements = Callable[[Context, Params], Sequence[Requirement]]


def on_queue(action: str) -> Requirements:
    """`sqs:action` on the queue of QueueUrl."""

    def require(ctx: Context, params: Params) -> Sequence[Requirement]:
        return [Requirement(f"sqs:{action}", queue_of(ctx, params).arn)]

    return require


def on_any_queue(action: str) -> Requirements:
    """`sqs:action` on no queue in particular."""

    def require(ctx: Context, params: Params) -> Sequence[Requirement]:
        return [Requirement(f"sqs:{action}", "*")]

    return require


def to_create(ctx: Context, params: Params) -> Sequence[Requirement]:
    arn = QueueKey(ctx.account, ctx.region, required(params, "QueueName")).arn
    tags = params.get("tags") or {}
    needed = [Requirement("sqs:CreateQueue", arn, tag_request(tags), is_exact=True)]
    if tags:
        needed.append(Requirement("sqs:TagQueue", arn, tag_request(tags), is_exact=True))
    return needed


def to_get_url(ctx: Context, params: Params) -> Sequence[Requirement]:
    account = params.get("QueueOwnerAWSAccountId") or ctx.account
    return [Requirement("sqs:GetQueueUrl", QueueKey(account, ctx.region, required(params, "QueueName")).arn)]


def to_tag(ctx: Context, params: Params) -> Sequence[Requirement]:
    return [Requirement("sqs:TagQueue", queue_of(ctx, params).arn, tag_request(params.get("Tags") or {}))]


def to_untag(ctx: Context, params: Params) -> Sequence[Requirement]:
    return [Requirement("sqs:UntagQueue", queue_of(ctx, params).arn, tag_request({}, params.get("TagKeys") or ()))]


def required(params: Params, name: str) -> str:
    """Raises ServiceError MissingParameter."""
    value = params.get(name)
    if not value:
        raise missing_parameter(name)
    return str(value)
