"""The paths of the Extensions API and of the two telemetry APIs, for the connections of one environment.

Decides nothing about states: registry.py does. A `next` that must wait is answered over its connection later.
Read next: ../runtime_api.py and ../side_door.py, which pass on what is asked of them here.
"""

import json
from typing import Any

from cosset.environments.api import EnvironmentSpec
from cosset.environments.extensions.registry import Deliver, Extension, ExtensionRefusedError, Extensions, State
from cosset.environments.http_connection import Answered, HttpConnection, HttpRequest
from cosset.environments.telemetry.hub import Telemetry
from cosset.environments.telemetry.subscription import API_PATHS, SubscriptionRefusedError

PREFIX = "/2020-01-01/extension/"
_MAX_ERROR_TYPE = 256
_IDENTIFIER = "lambda-extension-identifier"
_ERROR_TYPE = "lambda-extension-function-error-type"
_STATUS_OK = b'{"status":"OK"}\n'
_METHODS = {"register": "POST", "event/next": "GET", "init/error": "POST", "exit/error": "POST"}


class ExtensionsApi:
    """Answers for one environment."""

    def __init__(self, spec: EnvironmentSpec, extensions: Extensions, telemetry: Telemetry) -> None:
        self._spec = spec
        self._extensions = extensions
        self._telemetry = telemetry
        self._waiting: dict[HttpConnection, tuple[Extension, Deliver]] = {}

    def handle(self, connection: HttpConnection, request: HttpRequest) -> Answered | None:
        """The answer, or None when it comes later."""
        try:
            if request.path.rstrip("/") in API_PATHS:
                return self._subscribe(request)
            return self._extension(connection, request)
        except ExtensionRefusedError as refused:
            return error_answer(refused.status, refused.error_type, refused.message)
        except SubscriptionRefusedError as refused:
            return error_answer(refused.status, refused.error_type, refused.message)

    def disconnected(self, connection: HttpConnection) -> None:
        waiting = self._waiting.pop(connection, None)
        if waiting is not None:
            self._extensions.hung_up(*waiting)

    def _extension(self, connection: HttpConnection, request: HttpRequest) -> Answered | None:
        operation = request.path.removeprefix(PREFIX)
        method = _METHODS.get(operation)
        if method is None:
            return Answered(404, b"404 page not found\n", "text/plain")
        if request.method != method:
            return Answered(405, b"Method Not Allowed\n", "text/plain")
        if operation == "register":
            return self._register(request)
        extension = self._extensions.find(request.headers.get(_IDENTIFIER))
        if operation == "event/next":
            self._next(connection, extension)
            return None
        state = State.INIT_ERROR if operation == "init/error" else State.EXIT_ERROR
        return self._report_error(request, extension, state)

    def _register(self, request: HttpRequest) -> Answered:
        extension = self._extensions.register(request.headers.get("lambda-extension-name", ""), _events(request.body))
        answer = {
            "functionName": self._spec.function_name,
            "functionVersion": self._spec.version,
            "handler": self._spec.handler,
        }
        features = request.headers.get("lambda-extension-accept-feature", "").split(",")
        if "accountId" in (feature.strip() for feature in features):
            answer["accountId"] = self._spec.account
        body = json.dumps(answer, separators=(",", ":")).encode()
        return Answered(200, body, headers=_identified(extension))

    def _next(self, connection: HttpConnection, extension: Extension) -> None:
        """The event may be there already: then it is answered before this returns."""

        def deliver(event: bytes) -> bool:
            self._waiting.pop(connection, None)
            return connection.answer(Answered(200, event, headers=_identified(extension)))

        self._waiting[connection] = (extension, deliver)
        try:
            self._extensions.next(extension, deliver)
        except ExtensionRefusedError:
            del self._waiting[connection]
            raise

    def _report_error(self, request: HttpRequest, extension: Extension, state: State) -> Answered:
        declared = request.headers.get(_ERROR_TYPE, "")[:_MAX_ERROR_TYPE]
        if not declared:
            message = "Missing Lambda-Extension-Function-Error-Type header"
            raise ExtensionRefusedError("Extension.MissingHeader", message)
        self._extensions.report_error(extension, state, declared)
        return Answered(202, _STATUS_OK)

    def _subscribe(self, request: HttpRequest) -> Answered:
        if request.method != "PUT":
            return Answered(405, b"Method Not Allowed\n", "text/plain")
        extension = self._extensions.find(request.headers.get(_IDENTIFIER))
        self._telemetry.subscribe(extension.name, request.path.rstrip("/"), request.body)
        return Answered(200, b"OK", "text/plain")


def _identified(extension: Extension) -> str:
    return f"Lambda-Extension-Identifier: {extension.id}\r\n"


def serves(path: str) -> bool:
    """Whether a path is one of these APIs'."""
    return path.startswith(PREFIX) or path.rstrip("/") in API_PATHS


def _events(body: bytes) -> list[str]:
    """Raises: ExtensionRefusedError."""
    refused = ExtensionRefusedError("InvalidRequestFormat", "The request body is not a list of events", 400)
    try:
        document: Any = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise refused from None
    events = document.get("events", []) if isinstance(document, dict) else None
    if not isinstance(events, list) or not all(isinstance(event, str) for event in events):
        raise refused
    return events


def error_answer(status: int, error_type: str, message: str) -> Answered:
    """AWS's error body of the APIs inside an environment."""
    return Answered(status, json.dumps({"errorMessage": message, "errorType": error_type}).encode() + b"\n")
