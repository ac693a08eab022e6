"""CORS rules of a bucket: checked when they are put, matched against requests. Recorded: TestS3Cors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cosset.services.s3.errors import malformed_xml
from cosset.wire.errors import ServiceError

METHODS = ("GET", "PUT", "HEAD", "POST", "DELETE")
_MOST = 100
_VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"


@dataclass(frozen=True, slots=True)
class CorsAsk:
    """What a request, or the preflight for one, says of itself. `headers` in lower case."""

    origin: str
    method: str
    headers: tuple[str, ...] = ()


def check_rules(rules: Sequence[Mapping[str, Any]]) -> None:
    """Raises ServiceError MalformedXML, InvalidRequest."""
    if not rules:
        raise malformed_xml()
    if len(rules) > _MOST:
        raise _invalid("The number of CORS rules should not exceed allowed limit of 100 rules.")
    for rule in rules:
        for method in rule["AllowedMethods"]:
            if method not in METHODS:
                raise _invalid(f"Found unsupported HTTP method in CORS config. Unsupported method is {method}")
        for name, values in (("AllowedOrigin", rule["AllowedOrigins"]), ("AllowedHeader", rule.get("AllowedHeaders"))):
            for value in values or ():
                if value.count("*") > 1:
                    raise _invalid(f'{name} "{value}" can not have more than one wildcard.')
        for value in rule.get("ExposeHeaders") or ():
            if "*" in value:
                raise _invalid(
                    f'ExposeHeader "{value}" contains wildcard. We currently do not support wildcard for ExposeHeader.'
                )


def allowed_headers(rules: Sequence[Mapping[str, Any]], ask: CorsAsk) -> list[tuple[str, str]] | None:
    """The headers of the answer by the first rule that allows the request, None where none does."""
    for rule in rules:
        allowed = [each.lower() for each in rule.get("AllowedHeaders") or ()]
        if (
            ask.method in rule["AllowedMethods"]
            and any(_matches(origin, ask.origin) for origin in rule["AllowedOrigins"])
            and all(any(_matches(pattern, header) for pattern in allowed) for header in ask.headers)
        ):
            return _answer(rule, ask)
    return None


def _answer(rule: Mapping[str, Any], ask: CorsAsk) -> list[tuple[str, str]]:
    everyone = "*" in rule["AllowedOrigins"]
    headers = [("Access-Control-Allow-Origin", "*" if everyone else ask.origin)]
    headers.append(("Access-Control-Allow-Methods", ", ".join(rule["AllowedMethods"])))
    if ask.headers:
        headers.append(("Access-Control-Allow-Headers", ", ".join(ask.headers)))
    if rule.get("ExposeHeaders"):
        headers.append(("Access-Control-Expose-Headers", ", ".join(rule["ExposeHeaders"])))
    if rule.get("MaxAgeSeconds") is not None:
        headers.append(("Access-Control-Max-Age", str(rule["MaxAgeSeconds"])))
    if not everyone:
        headers.append(("Access-Control-Allow-Credentials", "true"))
    headers.append(("Vary", _VARY))
    return headers


def _matches(pattern: str, value: str) -> bool:
    before, star, after = pattern.partition("*")
    if not star:
        return pattern == value
    return len(value) >= len(before) + len(after) and value.startswith(before) and value.endswith(after)


def _invalid(sentence: str) -> ServiceError:
    return ServiceError("InvalidRequest", sentence)
