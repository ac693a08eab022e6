"""What S3 refuses of a notification configuration before it asks the destinations, in AWS's sentences. Pure.

Recorded: TestS3BucketNotificationConfiguration, TestS3NotificationsToLambda::test_invalid_lambda_arn,
TestS3NotificationsToSns::test_invalid_topic_arn, TestS3NotificationsToSQS::test_filter_rules_*.
"""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cosset.services.s3.errors import invalid_argument
from cosset.services.s3.notification_model import (
    BUS,
    PREFIX,
    SUFFIX,
    Rule,
    TargetKind,
    covers,
    filter_rules,
    rules_of,
)
from cosset.wire.errors import ServiceError

EVENTS = frozenset(
    f"s3:{group}:{name}"
    for group, names in {
        "ObjectCreated": ("*", "Put", "Post", "Copy", "CompleteMultipartUpload"),
        "ObjectRemoved": ("*", "Delete", "DeleteMarkerCreated"),
        "ObjectRestore": ("*", "Post", "Completed", "Delete"),
        "ObjectTagging": ("*", "Put", "Delete"),
        "ObjectAcl": ("Put",),
        "LifecycleExpiration": ("*", "Delete", "DeleteMarkerCreated"),
        "Replication": (
            *("*", "OperationFailedReplication", "OperationMissedThreshold"),
            *("OperationReplicatedAfterThreshold", "OperationNotTracked"),
        ),
    }.items()
    for name in names
) | {"s3:LifecycleTransition", "s3:IntelligentTiering", "s3:ReducedRedundancyLostObject"}
MOST_RULES = 100
_MOST_VALUE = 1024
_LONGEST_ID = 255
_REST = {
    TargetKind.FUNCTION: re.compile(r"function:[A-Za-z0-9_-]+(:[A-Za-z0-9_$-]+)?", re.ASCII),
    TargetKind.QUEUE: re.compile(r"[A-Za-z0-9_-]+(\.fifo)?", re.ASCII),
    TargetKind.TOPIC: re.compile(r"[A-Za-z0-9_-]+(\.fifo)?", re.ASCII),
}
_REGION = re.compile(r"[a-z0-9-]+", re.ASCII)
_ACCOUNT = re.compile(r"\d{12}", re.ASCII)


def checked(given: Mapping[str, Any], region: str, new_uuid: Callable[[], str]) -> dict[str, Any]:
    """The document as it is kept and shown: with ids, and filters by their proper names. `region` is the bucket's.

    Raises: ServiceError InvalidArgument.
    """
    document: dict[str, Any] = {}
    _check_count(sum(len(given.get(kind.value) or ()) for kind in TargetKind))
    for kind in TargetKind:
        entries = [_checked_entry(kind, entry, region, new_uuid) for entry in given.get(kind.value) or ()]
        if entries:
            document[kind.value] = entries
    rules = list(rules_of(document))
    _check_ids(rules)
    _check_overlaps(rules)
    if given.get(BUS) is not None:
        document[BUS] = {}
    return document


def _checked_entry(
    kind: TargetKind, entry: Mapping[str, Any], region: str, new_uuid: Callable[[], str]
) -> dict[str, Any]:
    arn, events = entry[kind.arn_member], list(dict.fromkeys(entry["Events"]))
    _check_arn(kind, arn, region)
    for event in events:
        if event not in EVENTS:
            raise invalid_argument("A specified event is not supported for notifications.", "Event", event)
    made = base64.b64encode(new_uuid().encode()).decode()
    checked = {"Id": entry.get("Id") or made, kind.arn_member: arn, "Events": events}
    filters = filter_rules(entry)
    if filters:
        checked["Filter"] = {"Key": {"FilterRules": _checked_filters(filters)}}
    return checked


def _check_arn(kind: TargetKind, arn: str, region: str) -> None:
    parts = arn.split(":", 5)
    is_arn = len(parts) == 6 and parts[0] == "arn" and _REGION.fullmatch(parts[3]) and _ACCOUNT.fullmatch(parts[4])
    if not is_arn:
        raise invalid_argument("The ARN could not be parsed", kind.argument, arn)
    if parts[2] != kind.service or not _REST[kind].fullmatch(parts[5]):
        raise invalid_argument("The ARN is not well formed", kind.argument, arn)
    if parts[3] != region:
        sentence = "The notification destination service region is not valid for the bucket location constraint"
        raise invalid_argument(sentence, kind.argument, arn)
    if kind is not TargetKind.FUNCTION and arn.endswith(".fifo"):
        title = {TargetKind.QUEUE: "SQS queues", TargetKind.TOPIC: "SNS topics"}[kind]
        raise undeliverable([(arn, f"FIFO {title} are not supported as destinations of notifications")])


def _checked_filters(filters: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Names are as good in any case, and are shown with a capital (recorded)."""
    checked: list[dict[str, str]] = []
    for each in filters:
        name, value = str(each.get("Name", "")), str(each.get("Value") or "")
        proper = {"prefix": PREFIX, "suffix": SUFFIX}.get(name.lower())
        if proper is None:
            sentence = "filter rule name must be either prefix or suffix"
            raise invalid_argument(sentence, "FilterRule.Name", name)
        if len(value.encode()) > _MOST_VALUE:
            sentence = f"Size of filter rule value cannot exceed {_MOST_VALUE} bytes in UTF-8 representation"
            raise invalid_argument(sentence, "FilterRule.Value", value)
        if any(there["Name"] == proper for there in checked):
            sentence = f"Cannot specify more than one {proper.lower()} rule in a filter."
            raise invalid_argument(sentence, "FilterRule.Name", name)
        checked.append({"Name": proper, "Value": value})
    return checked


def _check_count(count: int) -> None:
    if count > MOST_RULES:
        sentence = f"The number of notification configurations exceeds {MOST_RULES}"
        raise invalid_argument(sentence, "NotificationConfiguration", str(count))


def _check_ids(rules: Sequence[Rule]) -> None:
    seen: set[str] = set()
    for rule in rules:
        if len(rule.id) > _LONGEST_ID:
            raise invalid_argument(f"Size of ID cannot exceed {_LONGEST_ID} characters", "Id", rule.id)
        if rule.id in seen:
            sentence = "Same ID used for multiple configurations. IDs must be unique"
            raise invalid_argument(sentence, "Id", rule.id)
        seen.add(rule.id)


def _check_overlaps(rules: Sequence[Rule]) -> None:
    """Of one object, one event goes to one place alone."""
    for at, rule in enumerate(rules):
        for other in rules[at + 1 :]:
            if not _share_keys(rule, other) or (shared := _shared_events(rule, other)) is None:
                continue
            if any((rule.prefix, rule.suffix, other.prefix, other.suffix)):
                raise ServiceError(
                    "InvalidArgument",
                    "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the "
                    "prefixes are overlapping for the same event type.",
                )
            sentence = "Configurations overlap. Configurations on the same bucket cannot share a common event type."
            raise invalid_argument(sentence, "Event", ", ".join(shared))


def _share_keys(rule: Rule, other: Rule) -> bool:
    prefixes = rule.prefix.startswith(other.prefix) or other.prefix.startswith(rule.prefix)
    return prefixes and (rule.suffix.endswith(other.suffix) or other.suffix.endswith(rule.suffix))


def _shared_events(rule: Rule, other: Rule) -> tuple[str, str] | None:
    for one in rule.events:
        for two in other.events:
            if covers(one, two) or covers(two, one):
                return one, two
    return None


def undeliverable(problems: Sequence[tuple[str, str]]) -> ServiceError:
    """Of each ARN, what is wrong with it (recorded: test_invalid_lambda_arn)."""
    fields: dict[str, str] = {}
    for number, (arn, why) in enumerate(problems, start=1):
        fields |= {f"ArgumentName{number}": f"{arn}, null", f"ArgumentValue{number}": why}
    sentence = "Unable to validate the following destination configurations"
    return ServiceError("InvalidArgument", sentence, fields=fields)
