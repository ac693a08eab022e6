"""Where the records of asynchronous events may be sent: AWS's checks of destinations and dead-letter queues.

A service that is not there yet is refused by name: a record that nothing takes would be lost (G7).
"""

from cosset.functions import errors
from cosset.functions.model import EventInvokeChange, FunctionKey
from cosset.invocation.destinations import DeliveryRights, Destination, DestinationDirectory, resource_of, service_of

_ON_SUCCESS = frozenset({"lambda", "sqs", "sns", "events"})
_ON_FAILURE = _ON_SUCCESS | {"s3"}
_BATCH_FAILURE = frozenset({"sqs", "sns", "s3"})
_DEAD_LETTER = frozenset({"sqs", "sns"})

_TITLES = {"lambda": "Lambda", "sqs": "SQS", "sns": "SNS", "events": "EventBridge", "s3": "S3"}


class DestinationRules:
    """Stands on the directory of what takes records here, and on what IAM allows the function's role."""

    def __init__(self, directory: DestinationDirectory, rights: DeliveryRights) -> None:
        self._directory = directory
        self._rights = rights

    async def check(self, key: FunctionKey, role: str, change: EventInvokeChange) -> None:
        """Raises: ServiceError, in AWS's words (recorded: test_lambda_eventinvokeconfig_exceptions)."""
        given = ((change.on_success, _ON_SUCCESS), (change.on_failure, _ON_FAILURE))
        for arn, kinds in given:
            if arn and service_of(arn) not in kinds:
                raise errors.invalid_parameter(f"The provided destination config {_show(change)} is invalid.")
        for arn, _ in given:
            if arn and _unqualified(arn) == key.arn:
                raise errors.invalid_parameter("You can't specify the function as a destination for itself.")
        for arn, _ in given:
            if not arn:
                continue
            destination = self._find(arn, "DestinationConfig")
            if not await destination.accepts(arn, source_arn=key.arn):
                raise errors.invalid_parameter(f"The destination ARN {arn} is invalid.")
            resource = resource_of(arn, f"aws/lambda/async/{key.name}/")
            if not await self._rights.may(role, key.arn, destination.action, resource):
                raise errors.invalid_parameter(
                    f"The function's execution role does not have permissions to call {_call(destination)} on {arn}"
                )

    async def check_dead_letter(self, key: FunctionKey, role: str, arn: str) -> None:
        """Raises: ServiceError."""
        if service_of(arn) not in _DEAD_LETTER:
            raise errors.invalid_parameter(f"Invalid dead letter queue ARN: {arn}")
        destination = self._find(arn, "DeadLetterConfig")
        if not await destination.accepts(arn, source_arn=key.arn):
            raise errors.invalid_parameter(f"Invalid dead letter queue ARN: {arn}")
        if not await self._rights.may(role, key.arn, destination.action, arn):
            raise errors.invalid_parameter(
                f"The provided execution role does not have permissions to call {_call(destination)} on "
                f"{_TITLES[service_of(arn)]}"
            )

    async def check_batch_failure(self, key: FunctionKey, arn: str) -> None:
        """Where an event source mapping may send what its function failed on. Raises: ServiceError."""
        if service_of(arn) not in _BATCH_FAILURE:
            raise errors.invalid_parameter(f"The destination ARN {arn} is invalid.")
        if not await self._find(arn, "DestinationConfig").accepts(arn, source_arn=key.arn):
            raise errors.invalid_parameter(f"The destination ARN {arn} is invalid.")

    def _find(self, arn: str, member: str) -> Destination:
        destination = self._directory.find(arn)
        if destination is None:
            raise errors.not_here(f"{_TITLES[service_of(arn)]} as a place for asynchronous events ({member})")
        return destination


def _call(destination: Destination) -> str:
    """`SendMessage` of `sqs:SendMessage`."""
    return destination.action.partition(":")[2]


def _show(change: EventInvokeChange) -> str:
    """As AWS prints it."""
    on_success = f"OnSuccess(destination={change.on_success})" if change.on_success else "null"
    on_failure = f"OnFailure(destination={change.on_failure})" if change.on_failure else "null"
    return f"DestinationConfig(onSuccess={on_success}, onFailure={on_failure})"


def _unqualified(arn: str) -> str:
    return ":".join(arn.split(":")[:7])
