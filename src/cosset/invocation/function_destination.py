"""Lambda functions as destinations: the record becomes the event of another asynchronous invocation."""

from cosset.invocation.api import Invocation, Invoker, TargetResolver
from cosset.invocation.destinations import Delivery, DeliveryRefusedError
from cosset.wire.errors import ServiceError

_NEVER = frozenset({"ResourceNotFoundException", "RequestTooLargeException"})


class FunctionDestination:
    """A Destination for the ARNs of functions, of the account and region of the function that sends."""

    action = "lambda:InvokeFunction"

    def __init__(self, targets: TargetResolver, invoker: Invoker) -> None:
        self._targets = targets
        self._invoker = invoker

    async def accepts(self, target_arn: str, *, source_arn: str) -> bool:
        if target_arn.split(":")[3:5] != source_arn.split(":")[3:5]:
            return False  # other accounts' functions open to policies only, which nothing evaluates here yet
        account, region, name, qualifier = _parts(target_arn)
        try:
            await self._targets.resolve(account, region, name, qualifier)
        except ServiceError as error:
            return error.code != "ResourceNotFoundException"
        return True

    async def deliver(self, delivery: Delivery) -> None:
        account, region, name, qualifier = _parts(delivery.target_arn)
        try:
            await self._invoker.invoke_async(
                Invocation(
                    account=account,
                    region=region,
                    function_name=name,
                    qualifier=qualifier,
                    payload=delivery.body,
                    request_id=delivery.id,
                    invoked_arn=delivery.target_arn,
                    trace_id=delivery.trace_id,
                    source=":".join(delivery.source_arn.split(":")[:7]),
                )
            )
        except ServiceError as error:
            if error.code in _NEVER:
                raise DeliveryRefusedError(error.message) from error
            raise


def _parts(arn: str) -> tuple[str, str, str, str | None]:
    """arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]."""
    parts = [*arn.split(":"), "", ""]
    return parts[4], parts[3], parts[6], parts[7] or None
