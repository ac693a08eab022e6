"""Object lock: what keeps a version from being deleted, and who may all the same. Values only.

Recorded: TestS3ObjectLockRetention, TestS3ObjectLockLegalHold.
Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
"""

import calendar
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cosset.services.s3.errors import invalid_argument, malformed_xml
from cosset.services.s3.model import Bucket
from cosset.wire.errors import OperationNotImplementedError, ServiceError

GOVERNANCE, COMPLIANCE = "GOVERNANCE", "COMPLIANCE"
_BOTH = "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied"
_MISSING = "Bucket is missing Object Lock Configuration"
_MISSING_ON_WRITE = "Bucket is missing ObjectLockConfiguration"


def read_lock(
    bucket: Bucket, params: Mapping[str, Any], default: Mapping[str, Any] | None, now_ms: int
) -> dict[str, Any]:
    """The facts of a new object: what the call says, else the bucket's default retention (`default`: the rule's).

    Raises: ServiceError InvalidArgument, InvalidRequest.
    """
    mode, until = params.get("ObjectLockMode"), params.get("ObjectLockRetainUntilDate")
    hold = params.get("ObjectLockLegalHoldStatus")
    if mode is not None and mode not in (GOVERNANCE, COMPLIANCE):
        raise invalid_argument("Unknown wormMode directive.", "x-amz-object-lock-mode", mode)
    if hold is not None and hold not in ("ON", "OFF"):
        raise invalid_argument("Legal Hold must be either of 'ON' or 'OFF'", "x-amz-object-lock-legal-hold", hold)
    if (mode is None) != (until is None):
        missing = "x-amz-object-lock-mode" if mode is None else "x-amz-object-lock-retain-until-date"
        raise ServiceError("InvalidArgument", _BOTH, fields={"ArgumentName": missing})
    if not bucket.has_object_lock:
        if mode is not None or hold is not None:
            raise ServiceError("InvalidRequest", _MISSING_ON_WRITE)
        return {}
    facts: dict[str, Any] = {"hold": hold} if hold is not None else {}
    if until is not None:
        facts["lock"] = {"mode": mode, "until_ms": _in_future(until, now_ms)}
    elif default:
        facts["lock"] = {"mode": default["Mode"], "until_ms": _from_now(default, now_ms)}
    return facts


def missing_lock() -> ServiceError:
    return ServiceError("InvalidRequest", _MISSING)


def check_deletable(facts: Mapping[str, Any], now_ms: int, *, bypasses: bool) -> None:
    """Raises: ServiceError AccessDenied. `bypasses`: the caller may, and wants to, undo governance."""
    lock = facts.get("lock")
    holds = facts.get("hold") == "ON"
    if lock is not None and lock["until_ms"] > now_ms and not (bypasses and lock["mode"] == GOVERNANCE):
        holds = True
    if holds:
        raise protected()


def changed_retention(
    facts: Mapping[str, Any], wanted: Mapping[str, Any], now_ms: int, *, bypasses: bool
) -> dict[str, Any] | None:
    """The lock after PutObjectRetention; None where it is taken away.

    Raises: ServiceError AccessDenied, MalformedXML, InvalidArgument.
    """
    mode, until = wanted.get("Mode"), wanted.get("RetainUntilDate")
    if "EventHold" in wanted or "EventHoldDuration" in wanted:
        raise OperationNotImplementedError("s3", "object lock by event holds")
    if (mode is None) != (until is None):
        raise malformed_xml()
    new = None if until is None else {"mode": mode, "until_ms": _in_future(until, now_ms)}
    lock = facts.get("lock")
    if lock is None or lock["until_ms"] <= now_ms:
        return new
    extends = new is not None and new["until_ms"] >= lock["until_ms"]
    keeps = new is not None and extends and new["mode"] == lock["mode"]
    if not keeps and not (bypasses and lock["mode"] == GOVERNANCE):
        raise protected()
    return new


def shown_lock(facts: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if facts.get("lock") is not None:
        shown["ObjectLockMode"] = facts["lock"]["mode"]
        shown["ObjectLockRetainUntilDate"] = facts["lock"]["until_ms"] / 1000
    if facts.get("hold") is not None:
        shown["ObjectLockLegalHoldStatus"] = facts["hold"]
    return shown


def protected() -> ServiceError:
    return ServiceError("AccessDenied", "Access Denied because object protected by object lock.", status=403)


def _in_future(until: datetime, now_ms: int) -> int:
    until_ms = round(until.timestamp() * 1000)
    if until_ms <= now_ms:
        sentence = "The retain until date must be in the future!"
        raise invalid_argument(sentence, "x-amz-object-lock-retain-until-date", until.strftime("%Y-%m-%dT%H:%M:%SZ"))
    return until_ms


def _from_now(default: Mapping[str, Any], now_ms: int) -> int:
    if "Days" in default:
        return now_ms + int(default["Days"]) * 86_400_000
    moment = datetime.fromtimestamp(now_ms / 1000, UTC)
    year = moment.year + int(default["Years"])
    day = min(moment.day, calendar.monthrange(year, moment.month)[1])
    return round(moment.replace(year=year, day=day).timestamp() * 1000)
