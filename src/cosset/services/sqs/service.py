"""SQS as this installation serves it: queues that keep what they take."""

from cosset.clock import Clock
from cosset.services.operation import Service
from cosset.services.sqs.attribute_operations import AttributeOperations
from cosset.services.sqs.batches import BatchOperations
from cosset.services.sqs.message_operations import MessageOperations
from cosset.services.sqs.move_tasks import MoveTasks
from cosset.services.sqs.permissions import PermissionOperations
from cosset.services.sqs.queue_operations import QueueOperations
from cosset.services.sqs.queues import Queues
from cosset.services.sqs.tags import TagOperations
from cosset.services.sqs.task_operations import TaskOperations


def sqs_service(queues: Queues, tasks: MoveTasks, clock: Clock) -> Service:
    parts = [
        QueueOperations(queues.book, clock),
        AttributeOperations(queues),
        TagOperations(queues.book),
        PermissionOperations(queues.book),
        MessageOperations(queues),
        BatchOperations(queues),
        TaskOperations(queues, tasks),
    ]
    return Service.of("sqs", parts, validation_code="InvalidParameterValueException")
