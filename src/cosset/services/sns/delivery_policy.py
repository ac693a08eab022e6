"""How often a delivery that failed is made again, and when. Owners say it for HTTP; for queues and functions AWS does.

Source: Amazon SNS developer guide, "Message delivery retries".
"""

import json
from collections.abc import Mapping, Sequence
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
# name -> lowest, highest
_RANGES: Mapping[str, tuple[int, int | None]] = {
    "minDelayTarget": (1, 3600),
    "maxDelayTarget": (1, 3600),
    **dict.fromkeys(("numRetries", "numNoDelayRetries", "numMinDelayRetries", "numMaxDelayRetries"), (0, 100)),
}
_NEEDED = ("minDelayTarget", "maxDelayTarget", "numRetries")
"""Whoever says anything of retries must say these."""
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


def receives_per_second(effective: Mapping[str, Any]) -> int | None:
    """Of an effective policy for HTTP. None: as many as there are."""
    throttle = effective["throttlePolicy"] or {}
    most: int | None = throttle.get("maxReceivesPerSecond")
    return most


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
    place = "http." if http is not policy else ""
    for name in ("healthyRetryPolicy", "defaultHealthyRetryPolicy"):
        if (retry := http.get(name)) is not None:
            _check_retry(retry, place + name, opening)
    for name in ("throttlePolicy", "defaultThrottlePolicy"):
        if (throttle := http.get(name)) is not None:
            _check_numbers(
                throttle, {"maxReceivesPerSecond": (1, None)}, ("maxReceivesPerSecond",), place + name, opening
            )
    for name in ("requestPolicy", "defaultRequestPolicy"):
        if not isinstance(http.get(name) or {}, dict):
            raise invalid(f"{opening}DeliveryPolicy: {name} must be an object")
    for name in ("requestPolicy", "defaultRequestPolicy"):
        header = (http.get(name) or {}).get("headerContentType", _CONTENT_TYPE)
        if not isinstance(header, str) or any(ord(each) < 32 for each in header) or not header.isascii():
            raise invalid(f"{opening}DeliveryPolicy: headerContentType is not valid")


def _check_retry(retry: Any, place: str, opening: str) -> None:
    numbers = (
        {name: value for name, value in retry.items() if name != "backoffFunction"} if _is_object(retry) else retry
    )
    _check_numbers(numbers, _RANGES, _NEEDED, place, opening)
    if retry.get("backoffFunction", "linear") not in _BACKOFFS:
        raise invalid(f"{opening}DeliveryPolicy: {place}.backoffFunction must be one of {', '.join(_BACKOFFS)}")
    numbers = {**_DEFAULT_RETRY, **retry}
    if numbers["minDelayTarget"] > numbers["maxDelayTarget"]:
        raise invalid(
            f"{opening}DeliveryPolicy: {place}.maxDelayTarget must be greater than or equal to minDelayTarget"
        )
    phases = numbers["numNoDelayRetries"] + numbers["numMinDelayRetries"] + numbers["numMaxDelayRetries"]
    if phases > numbers["numRetries"]:
        raise invalid(f"{opening}DeliveryPolicy: {place}: the phases have more retries than numRetries")


def _check_numbers(
    given: Any, ranges: Mapping[str, tuple[int, int | None]], needed: Sequence[str], place: str, opening: str
) -> None:
    """The sentence about what is too small is one that users reported; the others are made after it."""
    if not _is_object(given):
        raise invalid(f"{opening}DeliveryPolicy: {place} must be an object")
    for name in given:
        if name not in ranges:
            raise invalid(f"{opening}DeliveryPolicy: Unexpected JSON member: {place}.{name}")
    for name in needed:
        if given.get(name) is None:
            raise invalid(f"{opening}DeliveryPolicy: {place}.{name} must be specified")
    for name, value in given.items():
        lowest, highest = ranges[name]
        if not isinstance(value, int) or isinstance(value, bool):
            raise invalid(f"{opening}DeliveryPolicy: {place}.{name} must be a number")
        if value < lowest:
            raise invalid(f"{opening}DeliveryPolicy: {place}.{name} must be greater than or equal to {lowest}")
        if highest is not None and value > highest:
            raise invalid(f"{opening}DeliveryPolicy: {place}.{name} must be less than or equal to {highest}")


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)
