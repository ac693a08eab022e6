"""What an extension asks for when it subscribes: parsed and checked, with AWS's ranges, defaults and complaints.

Delivers nothing. Read next: delivery.py.
Sources: https://docs.aws.amazon.com/lambda/latest/dg/telemetry-api-reference.html and .../runtimes-logs-api.html
"""

import json
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

_HOSTS = ("sandbox.localdomain", "sandbox", "localhost", "127.0.0.1")
_RESERVED_PORT = 9001
_MAX_PATH = 1024
TYPES = ("platform", "function", "extension")


class Api(Enum):
    """Which of the two was asked; both give the same events, in other words."""

    TELEMETRY = "/2022-07-01/telemetry"
    LOGS = "/2020-08-15/logs"


API_PATHS = frozenset(api.value for api in Api)
_SCHEMAS = {
    Api.TELEMETRY: ("2025-01-29", "2022-12-13", "2022-07-01"),
    Api.LOGS: ("2020-08-15", "2021-03-18"),
}
_ERROR_TYPES = {Api.TELEMETRY: "ValidationError", Api.LOGS: "Logs.ValidationError"}


class SubscriptionRefusedError(Exception):
    """A subscription that AWS refuses: its type, its sentence, its status."""

    def __init__(self, error_type: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True)
class Destination:
    """A port inside the environment. `method` and `path` are those of HTTP, empty for TCP."""

    port: int
    method: str = ""
    path: str = ""

    @property
    def is_http(self) -> bool:
        return bool(self.method)


@dataclass(frozen=True, slots=True)
class Subscription:
    """What, how, and where to. `max_items`, `max_bytes` and `timeout_ms` bound one batch."""

    api: Api
    schema: str
    types: tuple[str, ...]
    destination: Destination
    max_items: int
    max_bytes: int
    timeout_ms: int


def parse(api: Api, body: bytes) -> Subscription:
    """Raises: SubscriptionRefusedError, with all that is wrong in one sentence."""
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    wrong: list[str] = []
    if not isinstance(document, dict):
        raise SubscriptionRefusedError(_ERROR_TYPES[api], "The request body is not a JSON object")
    schema = _schema(api, document.get("schemaVersion"), wrong)
    destination = _destination(document.get("destination"), wrong)
    types = _types(document.get("types"), wrong)
    buffering = document.get("buffering") or {}
    if not isinstance(buffering, dict):
        wrong.append("buffering should be an object")
        buffering = {}
    max_items = _number(buffering, "maxItems", 10_000, 1_000, 10_000, wrong)
    max_bytes = _number(buffering, "maxBytes", 262_144, 262_144, 1_048_576, wrong)
    timeout_ms = _number(buffering, "timeoutMs", 1_000, 25, 30_000, wrong)
    if wrong:
        raise SubscriptionRefusedError(_ERROR_TYPES[api], "; ".join(wrong))
    return Subscription(api, schema, types, destination, max_items, max_bytes, timeout_ms)


def _schema(api: Api, value: object, wrong: list[str]) -> str:
    if value is None and api is Api.LOGS:
        return _SCHEMAS[api][0]
    if value not in _SCHEMAS[api]:
        wrong.append("schemaVersion is not provided" if value is None else "schemaVersion is not supported")
    return str(value)


def _types(value: object, wrong: list[str]) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        wrong.append("types should not be empty")
        return ()
    unknown = [each for each in value if each not in TYPES]
    if unknown:
        wrong.append(f"types should be of {', '.join(TYPES)}")
    return tuple(each for each in TYPES if each in value)


def _destination(value: object, wrong: list[str]) -> Destination:
    nowhere = Destination(0)
    if not isinstance(value, dict):
        wrong.append("destination is not provided")
        return nowhere
    protocol = value.get("protocol")
    if protocol == "TCP":
        return Destination(_port(value.get("port"), "port", wrong))
    if protocol != "HTTP":
        wrong.append("destination protocol should be HTTP or TCP")
        return nowhere
    method = value.get("method", "POST")
    if method not in ("POST", "PUT"):
        wrong.append("destination method should be POST or PUT")
    if value.get("encoding", "JSON") != "JSON":
        wrong.append("destination encoding should be JSON")
    return _address(value.get("URI"), str(method), wrong)


def _address(uri: object, method: str, wrong: list[str]) -> Destination:
    if not isinstance(uri, str) or not uri:
        wrong.append("URI is not provided")
        return Destination(0)
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError:
        wrong.append("URI is not valid")
        return Destination(0)
    if parts.scheme != "http" or host not in _HOSTS:
        wrong.append("URI should be of the form http://sandbox.localdomain:PORT")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if len(path) > _MAX_PATH or not path.isascii() or not path.isprintable() or " " in path:
        wrong.append("URI path is not valid")
    return Destination(_port(port, "URI port", wrong), method, path)


def _port(value: object, name: str, wrong: list[str]) -> int:
    if value is None:
        wrong.append(f"{name} is not provided")
    elif not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 65535:
        wrong.append(f"{name} should be between 1 and 65535")
    elif value == _RESERVED_PORT:
        wrong.append(f"{name} {_RESERVED_PORT} is reserved")
    else:
        return value
    return 0


def _number(values: dict[str, Any], name: str, default: int, lowest: int, highest: int, wrong: list[str]) -> int:
    value = values.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        wrong.append(f"{name} should be between {lowest} and {highest}")
        return default
    return value
