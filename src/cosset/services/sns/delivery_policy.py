"""How often a delivery that failed is made again, and when. Owners say it for HTTP; for queues and functions AWS does.

Source: Amazon SNS developer guide, "Message delivery retries".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cosset.services.sns.errors import invalid

_DEFAULT_RETRY: Mapping[str, Any] = {
    "minDelayTarget": 20,
    "maxDelayTarget": 20,
    "numRetries": 3,
    "numMaxDelayRetries": 0,
    "numNoDelayRetries": 0,
    "numMinDelayRetries": 0,
    "backoffFunction": "linear",
}
_CONTENT_TYPE = "text/plain; charset=UTF-8"
_BACKOFFS = ("arithmetic", "exponential", "geometric", "linear")
_MOST = {"minDelayTarget": 3600, "maxDelayTarget": 3600, "numRetries": 100}
_MEMBERS = {
    *("healthyRetryPolicy", "sicklyRetryPolicy", "throttlePolicy", "requestPolicy", "guaranteed"),
    *("defaultHealthyRetryPolicy", "defaultSicklyRetryPolicy", "defaultThrottlePolicy", "defaultRequestPolicy"),
    "disableSubscriptionOverrides",
}
_LONGEST_MS = 3600 * 1000
_GROWTH = 2.0


@dataclass(frozen=True, slots=True)
class Retries:
    """The four phases of AWS's retries: at once, after the least delay, backing off, after the most."""

    immediate: int
    least: int
    backing_off: int
    most: int
    least_ms: int
    most_ms: int
    backoff: str

    def delay_ms(self, attempts: int) -> int | None:
        """How long to wait after this many attempts have failed; None: that was the last."""
        number = attempts - 1
        if number < self.immediate:
            return 0
        number -= self.immediate
        if number < self.least:
            return self.least_ms
        number -= self.least
        if number < self.backing_off:
            return self._back_off_ms(number)
        return self.most_ms if number < self.backing_off + self.most else None

    def _back_off_ms(self, number: int) -> int:
        share = number / max(1, self.backing_off - 1)
        if self.backoff in ("exponential", "geometric"):
            grown = self.least_ms * _GROWTH**number
            return int(min(grown, self.most_ms))
        return int(self.least_ms + (self.most_ms - self.least_ms) * share)


# 100,015 attempts over 23 days.
TO_SERVICES = Retries(3, 2, 10, 100_000, 1_000, 20_000, "exponential")


def retries_of(policy: Mapping[str, Any]) -> Retries:
    """Of an effective policy for HTTP."""
    retry = policy["healthyRetryPolicy"]
    immediate, least, most = retry["numNoDelayRetries"], retry["numMinDelayRetries"], retry["numMaxDelayRetries"]
    rest = max(0, retry["numRetries"] - immediate - least - most)
    low, high = retry["minDelayTarget"] * 1000, retry["maxDelayTarget"] * 1000
    return Retries(immediate, least, rest, most, low, min(high, _LONGEST_MS), retry["backoffFunction"])


def effective_policy(text: str | None) -> dict[str, Any]:
    """A topic's, with what its owner did not say filled in."""
    http = json.loads(text).get("http", {}) if text else {}
    request = {"headerContentType": _CONTENT_TYPE, **(http.get("defaultRequestPolicy") or {})}
    shown: dict[str, Any] = {
        "defaultHealthyRetryPolicy": {**_DEFAULT_RETRY, **(http.get("defaultHealthyRetryPolicy") or {})},
        "disableSubscriptionOverrides": http.get("disableSubscriptionOverrides", False),
        "defaultRequestPolicy": request,
    }
    if http.get("defaultThrottlePolicy"):
        shown["defaultThrottlePolicy"] = http["defaultThrottlePolicy"]
    return {"http": shown}


def effective_for(topic_policy: str | None, subscription_policy: str | None) -> dict[str, Any]:
    """A subscription's own policy over its topic's, unless the topic forbids it."""
    http = effective_policy(topic_policy)["http"]
    own = json.loads(subscription_policy) if subscription_policy and not http["disableSubscriptionOverrides"] else {}
    effective: dict[str, Any] = {
        "healthyRetryPolicy": {**http["defaultHealthyRetryPolicy"], **(own.get("healthyRetryPolicy") or {})},
        "requestPolicy": {**http["defaultRequestPolicy"], **(own.get("requestPolicy") or {})},
        "sicklyRetryPolicy": None,
        "throttlePolicy": own.get("throttlePolicy") or http.get("defaultThrottlePolicy"),
        "guaranteed": False,
    }
    return effective


def check_delivery_policy(text: str, opening: str = "") -> None:
    """A topic's or a subscription's. Raises ServiceError InvalidParameter."""
    try:
        policy = json.loads(text)
    except (ValueError, RecursionError):
        raise invalid(f"{opening}DeliveryPolicy: Invalid JSON") from None
    if not isinstance(policy, dict):
        raise invalid(f"{opening}DeliveryPolicy: Invalid JSON")
    http = policy.get("http", policy)
    if not isinstance(http, dict):
        raise invalid(f"{opening}DeliveryPolicy: http must be an object")
    for name in (*(set(policy) - {"http"} if http is not policy else ()), *(set(http) - _MEMBERS)):
        raise invalid(f"{opening}DeliveryPolicy: Unexpected JSON member: {name}")
    for name in ("healthyRetryPolicy", "defaultHealthyRetryPolicy"):
        if (retry := http.get(name)) is not None:
            _check_retry(retry, opening)
    for name in ("requestPolicy", "defaultRequestPolicy", "throttlePolicy", "defaultThrottlePolicy"):
        if not isinstance(http.get(name) or {}, dict):
            raise invalid(f"{opening}DeliveryPolicy: {name} must be an object")
    for name in ("requestPolicy", "defaultRequestPolicy"):
        header = (http.get(name) or {}).get("headerContentType", _CONTENT_TYPE)
        if not isinstance(header, str) or any(ord(each) < 32 for each in header) or not header.isascii():
            raise invalid(f"{opening}DeliveryPolicy: headerContentType is not valid")


def _check_retry(retry: Any, opening: str) -> None:
    if not isinstance(retry, dict):
        raise invalid(f"{opening}DeliveryPolicy: healthyRetryPolicy must be an object")
    if retry.get("backoffFunction", "linear") not in _BACKOFFS:
        raise invalid(f"{opening}DeliveryPolicy: backoffFunction must be one of {', '.join(_BACKOFFS)}")
    numbers = {**_DEFAULT_RETRY, **retry}
    del numbers["backoffFunction"]
    for name, value in numbers.items():
        if name not in _DEFAULT_RETRY:
            raise invalid(f"{opening}DeliveryPolicy: unknown field {name}")
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST.get(name, 100):
            raise invalid(f"{opening}DeliveryPolicy: {name} is out of range")
    if numbers["minDelayTarget"] > numbers["maxDelayTarget"]:
        raise invalid(f"{opening}DeliveryPolicy: minDelayTarget must not exceed maxDelayTarget")
    phases = numbers["numNoDelayRetries"] + numbers["numMinDelayRetries"] + numbers["numMaxDelayRetries"]
    if phases > numbers["numRetries"]:
        raise invalid(f"{opening}DeliveryPolicy: the phases have more retries than numRetries")
