"""Configurations of websites: checked when they are put, and what they make of a request."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from cosset.services.s3.errors import invalid_argument, malformed_xml
from cosset.wire.errors import ServiceError

_MOST = 50


def check_website(given: Mapping[str, Any]) -> None:
    """Raises ServiceError."""
    everything, index, error = (
        given.get("RedirectAllRequestsTo"),
        given.get("IndexDocument"),
        given.get("ErrorDocument"),
    )
    rules: Sequence[Mapping[str, Any]] | None = given.get("RoutingRules")
    if everything is not None:
        if index is not None or error is not None or rules is not None:
            sentence = "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules."
            raise invalid_argument(sentence, "RedirectAllRequestsTo", "not null")
        _check_protocol(everything)
        return
    if index is None:
        sentence = "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty"
        raise invalid_argument(sentence, "IndexDocument", "null")
    if not index["Suffix"] or "/" in index["Suffix"]:
        raise invalid_argument("The IndexDocument Suffix is not well formed", "IndexDocument", index["Suffix"])
    if error is not None and not error["Key"]:
        raise malformed_xml()
    if rules is not None and not rules:
        raise malformed_xml()
    if len(rules or ()) > _MOST:
        raise _invalid(
            f"{len(rules or ())} routing rules provided, the number of routing rules in a website configuration is "
            f"limited to {_MOST}."
        )
    for rule in rules or ():
        _check_rule(rule.get("Condition"), rule["Redirect"])


def _check_rule(condition: Mapping[str, Any] | None, redirect: Mapping[str, Any]) -> None:
    if condition is not None:
        if not condition:
            raise _invalid(
                "Condition cannot be empty. To redirect all requests without a condition, the condition element "
                "shouldn't be present."
            )
        code = condition.get("HttpErrorCodeReturnedEquals")
        if code is not None and re.fullmatch(r"[45]\d\d", code, re.ASCII) is None:
            raise _invalid(f"The provided HTTP error code ({code}) is not valid. Valid codes are 4XX or 5XX.")
    if not redirect:
        raise malformed_xml()
    if redirect.get("ReplaceKeyWith") is not None and redirect.get("ReplaceKeyPrefixWith") is not None:
        raise _invalid("You can only define ReplaceKeyPrefix or ReplaceKey but not both.")
    code = redirect.get("HttpRedirectCode")
    if code is not None and (re.fullmatch(r"3\d\d", code, re.ASCII) is None or code == "300"):
        raise _invalid(f"The provided HTTP redirect code ({code}) is not valid. Valid codes are 3XX except 300.")
    _check_protocol(redirect)


def _check_protocol(redirect: Mapping[str, Any]) -> None:
    if redirect.get("Protocol") not in (None, "http", "https"):
        raise _invalid(
            "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected "
            "automatically."
        )


def document_key(website: Mapping[str, Any], key: str) -> str:
    """The object that a path means: of a folder its index document."""
    return key + str(website["IndexDocument"]["Suffix"]) if not key or key.endswith("/") else key


def find_rule(website: Mapping[str, Any], key: str, status: int | None = None) -> Mapping[str, Any] | None:
    """The first routing rule for a key; with `status`, of those that wait for that error."""
    for rule in website.get("RoutingRules") or ():
        condition = rule.get("Condition") or {}
        wanted = condition.get("HttpErrorCodeReturnedEquals")
        if not key.startswith(condition.get("KeyPrefixEquals") or ""):
            continue
        if wanted == (None if status is None else str(status)):
            return rule  # type: ignore[no-any-return]
    return None


def redirect_of(rule: Mapping[str, Any], key: str, scheme: str, host: str, root: str = "/") -> tuple[int, str]:
    """The status and the location of a rule's redirect. `root` is the path of the site."""
    redirect = rule["Redirect"]
    target = key
    if redirect.get("ReplaceKeyWith") is not None:
        target = redirect["ReplaceKeyWith"]
    elif redirect.get("ReplaceKeyPrefixWith") is not None:
        prefix = (rule.get("Condition") or {}).get("KeyPrefixEquals") or ""
        target = redirect["ReplaceKeyPrefixWith"] + key[len(prefix) :]
    where = redirect.get("HostName")
    path = ("/" if where else root) + quote(target.removeprefix("/"), safe="/-_.~?=&#%+:@")
    return int(redirect.get("HttpRedirectCode") or 301), f"{redirect.get('Protocol') or scheme}://{where or host}{path}"


def _invalid(sentence: str) -> ServiceError:
    return ServiceError("InvalidRequest", sentence)
