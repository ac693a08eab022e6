"""What a bucket's notification configuration says: who is to hear of what. Values only, parsed from the document.

Read next: notification_rules.py (what is refused), notification_outbox.py (who hears of an event).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import unquote

KIND = "notification"
"""The configuration's name among the settings of a bucket."""
PREFIX, SUFFIX = "Prefix", "Suffix"


class TargetKind(Enum):
    """`value` is the list in the document, `arn_member` the ARN's name in one of its entries, `argument` what AWS calls
    the ARN in errors, `service` the one in the ARN."""

    FUNCTION = "LambdaFunctionConfigurations"
    QUEUE = "QueueConfigurations"
    TOPIC = "TopicConfigurations"

    @property
    def arn_member(self) -> str:
        return {"FUNCTION": "LambdaFunctionArn", "QUEUE": "QueueArn", "TOPIC": "TopicArn"}[self.name]

    @property
    def argument(self) -> str:
        return {"FUNCTION": "CloudFunction", "QUEUE": "Queue", "TOPIC": "Topic"}[self.name]

    @property
    def service(self) -> str:
        return {"FUNCTION": "lambda", "QUEUE": "sqs", "TOPIC": "sns"}[self.name]


BUS = "EventBridgeConfiguration"


@dataclass(frozen=True, slots=True)
class Target:
    """Where notifications go."""

    kind: TargetKind
    arn: str

    @property
    def region(self) -> str:
        return self.arn.split(":")[3]


@dataclass(frozen=True, slots=True)
class Rule:
    """One configuration of a bucket: these events, of these keys, to that target. `id` is shown in records."""

    id: str
    target: Target
    events: tuple[str, ...]
    prefix: str = ""
    suffix: str = ""

    def takes(self, event: str, key: str) -> bool:
        """`event` with its prefix: `s3:ObjectCreated:Put`."""
        return any(covers(each, event) for each in self.events) and self._takes_key(key)

    def _takes_key(self, key: str) -> bool:
        """Characters that need it may stand percent-encoded in a filter."""
        return key.startswith((self.prefix, unquote(self.prefix))) and key.endswith((self.suffix, unquote(self.suffix)))


def covers(pattern: str, event: str) -> bool:
    """Whether `s3:ObjectCreated:*` or `s3:ObjectCreated:Put` takes in `event`, which may be a pattern too."""
    return pattern == event or (pattern.endswith("*") and event.startswith(pattern[:-1]))


def rules_of(document: Mapping[str, Any]) -> Iterator[Rule]:
    """In the order of the kinds, then of the document, which has been checked."""
    for kind in TargetKind:
        for entry in document.get(kind.value) or ():
            values = {each["Name"]: each["Value"] for each in filter_rules(entry)}
            yield Rule(
                id=entry["Id"],
                target=Target(kind, entry[kind.arn_member]),
                events=tuple(entry["Events"]),
                prefix=values.get(PREFIX, ""),
                suffix=values.get(SUFFIX, ""),
            )


def filter_rules(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(((entry.get("Filter") or {}).get("Key") or {}).get("FilterRules") or ())
