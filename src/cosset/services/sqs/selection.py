"""Which attributes of a message a receiver asked for. Names that no attribute can have find nothing, and are no error.

Recorded: test_receive_message_attribute_names_filters, test_receive_message_message_attribute_names_filters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cosset.services.operation import Params
from cosset.services.sqs.attributes import READABLE
from cosset.services.sqs.errors import unknown_attribute
from cosset.services.sqs.model import AttributeValue

_SYSTEM = (
    *("SenderId", "SentTimestamp", "ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp", "SequenceNumber"),
    *("MessageDeduplicationId", "MessageGroupId", "AWSTraceHeader", "DeadLetterQueueSourceArn"),
)
_EVERY = ("All", ".*")


@dataclass(frozen=True, slots=True)
class Selection:
    """`system` and `own` are names; those of `own` may end in `.*`."""

    system: frozenset[str]
    own: Sequence[str]

    @classmethod
    def read(cls, params: Params) -> "Selection":
        """Raises ServiceError InvalidAttributeName."""
        names = [*(params.get("AttributeNames") or ()), *(params.get("MessageSystemAttributeNames") or ())]
        for name in names:
            if name not in _SYSTEM and name != "All" and name not in READABLE:
                raise unknown_attribute(name)
        system = frozenset(_SYSTEM if "All" in names else names)
        return cls(system, tuple(params.get("MessageAttributeNames") or ()))

    def of_system(self, attributes: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in attributes.items() if name in self.system}

    def of_own(self, attributes: Mapping[str, AttributeValue]) -> dict[str, AttributeValue]:
        return {name: value for name, value in attributes.items() if any(_meets(name, each) for each in self.own)}


def _meets(name: str, pattern: str) -> bool:
    if pattern in _EVERY or pattern == name:
        return True
    return pattern.endswith(".*") and name.startswith(pattern[:-2])
