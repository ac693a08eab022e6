"""What destinations are told of an object: AWS's event records, the test event, and the event for a bus. Pure.

Sources: Amazon S3 user guide, "Event message structure"; recorded TestS3NotificationsToSQS,
TestS3NotificationsToLambda, TestS3NotificationsToEventBridge.
"""

import base64
import hashlib
import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote_plus

from cosset.services.s3.ports import ObjectEvent
from cosset.services.s3.versions import NULL_VERSION
from cosset.wire.host_ids import host_id

PRINCIPAL = "s3.amazonaws.com"
SUBJECT = "Amazon S3 Notification"
_EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"
_NEWER = ("ObjectTagging", "ObjectAcl", "LifecycleExpiration", "LifecycleTransition", "IntelligentTiering")
"""Groups of events that came with version 2.3; they name the object alone, and have no sequencer unless it went."""
_BUS_TYPES = {
    "ObjectCreated": "Object Created",
    "ObjectRemoved": "Object Deleted",
    "LifecycleExpiration": "Object Deleted",
    "ObjectTagging:Put": "Object Tags Added",
    "ObjectTagging:Delete": "Object Tags Deleted",
    "ObjectAcl": "Object ACL Updated",
    "ObjectRestore:Post": "Object Restore Initiated",
    "ObjectRestore:Completed": "Object Restore Completed",
    "ObjectRestore:Delete": "Object Restore Expired",
    "LifecycleTransition": "Object Storage Class Changed",
}
_REASONS = {
    "ObjectCreated:Put": "PutObject",
    "ObjectCreated:Post": "POST Object",
    "ObjectCreated:Copy": "CopyObject",
    "ObjectCreated:CompleteMultipartUpload": "CompleteMultipartUpload",
    "ObjectRemoved:Delete": "DeleteObject",
    "ObjectRemoved:DeleteMarkerCreated": "DeleteObject",
    "LifecycleExpiration:Delete": "Lifecycle Expiration",
    "LifecycleExpiration:DeleteMarkerCreated": "Lifecycle Expiration",
}


def write_event(event: ObjectEvent, configuration_id: str) -> str:
    """What a function, a queue or a topic gets."""
    return _text({"Records": [write_record(event, configuration_id)]})


def write_record(event: ObjectEvent, configuration_id: str) -> dict[str, Any]:
    by_s3 = event.principal is None
    return {
        "eventVersion": "2.3" if event.name.startswith(_NEWER) else "2.1",
        "eventSource": "aws:s3",
        "awsRegion": event.bucket.region,
        "eventTime": _millis(event.now_ms),
        "eventName": event.name,
        "userIdentity": {"principalId": PRINCIPAL if by_s3 else _principal_id(event)},
        "requestParameters": {"sourceIPAddress": PRINCIPAL if by_s3 else event.source_ip},
        "responseElements": {"x-amz-request-id": event.request_id, "x-amz-id-2": host_id(event.request_id)},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": configuration_id,
            "bucket": {
                "name": event.bucket.name,
                "ownerIdentity": {"principalId": customer_id(event.bucket.account)},
                "arn": event.bucket.arn,
            },
            "object": {"key": quote_plus(event.key, safe="/*"), **_object(event)},
        },
    }


def write_test_event(bucket: str, request_id: str, now_ms: int) -> str:
    """What queues and topics get when they are configured."""
    return _text(
        {
            "Service": "Amazon S3",
            "Event": "s3:TestEvent",
            "Time": _millis(now_ms),
            "Bucket": bucket,
            "RequestId": request_id,
            "HostId": host_id(request_id),
        }
    )


def write_bus_event(event: ObjectEvent) -> tuple[str, dict[str, Any]]:
    """The detail type and the detail of the event on a bus. There keys are as they are."""
    group, reason = event.name.partition(":")[0], _REASONS.get(event.name)
    shown = {"etag" if name == "eTag" else name: value for name, value in _object(event).items()}
    if "versionId" in shown:
        shown["version-id"] = shown.pop("versionId")
    detail: dict[str, Any] = {
        "version": "0",
        "bucket": {"name": event.bucket.name},
        "object": {"key": event.key, **shown},
        "request-id": event.request_id,
        "requester": PRINCIPAL if event.principal is None else event.principal.account,
        **({"source-ip-address": event.source_ip} if event.principal is not None else {}),
        **({"reason": reason} if reason is not None else {}),
    }
    if _BUS_TYPES.get(group) == "Object Deleted":
        is_marker = event.name.endswith("DeleteMarkerCreated")
        detail["deletion-type"] = "Delete Marker Created" if is_marker else "Permanently Deleted"
    return _BUS_TYPES.get(event.name) or _BUS_TYPES.get(group, group), detail


def _object(event: ObjectEvent) -> dict[str, Any]:
    """What is known of the object besides its key: as much as AWS tells with this event."""
    is_marker = event.name.endswith("DeleteMarkerCreated")
    shown: dict[str, Any] = {}
    if event.name.startswith(("ObjectCreated", "ObjectRestore", "LifecycleTransition")) and event.size is not None:
        shown["size"] = event.size
    if is_marker:
        shown["eTag"] = _EMPTY_MD5
    elif event.etag is not None and not event.name.startswith(("ObjectRemoved", "LifecycleExpiration")):
        shown["eTag"] = event.etag
    if event.version_id not in (None, NULL_VERSION):
        shown["versionId"] = event.version_id
    if event.name.startswith(("ObjectCreated", "ObjectRemoved", "LifecycleExpiration")):
        shown["sequencer"] = event.sequencer
    return shown


def _principal_id(event: ObjectEvent) -> str:
    principal = event.principal
    assert principal is not None
    if not principal.user_id and not principal.account:
        return "Anonymous"
    return f"AWS:{principal.user_id or principal.arn}"


@lru_cache(maxsize=1024)
def customer_id(account: str) -> str:
    """14 characters that stand for an account, as in AWS's records."""
    digest = hashlib.sha256(f"customer {account}".encode()).digest()
    return "A" + base64.b32encode(digest).decode()[:13]


def _millis(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC).isoformat()[:19]}.{at_ms % 1000:03d}Z"


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
