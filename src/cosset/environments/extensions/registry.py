"""The extensions of one environment: who has registered, for what, and how far each is. Knows no HTTP and no process.

An extension is Started, Registered, Ready or Running, and at its end Exited or failed. External ones are known by
the name of their file before they register; every other name is an internal one, part of the runtime's process.
Refuses what AWS refuses, by AWS's types of errors. Read next: api.py, ../environment.py.
Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html
"""

import asyncio
import json
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum

from cosset.environments.api import Event
from cosset.environments.extensions.supervisor import LaunchError
from cosset.environments.transport import Exit, TransportClosedError, signal_name

MAX_EXTENSIONS = 10
INVOKE, SHUTDOWN = "INVOKE", "SHUTDOWN"
_MAX_NAME = 128

Deliver = Callable[[bytes], bool]
"""Answers a waiting `next` with an event. False: whoever waited has gone."""


class State(Enum):
    STARTED = "Started"
    REGISTERED = "Registered"
    READY = "Ready"
    RUNNING = "Running"
    LAUNCH_ERROR = "LaunchError"
    INIT_ERROR = "InitError"
    EXIT_ERROR = "ExitError"
    EXITED = "Exited"

    @property
    def is_alive(self) -> bool:
        return self in (State.STARTED, State.REGISTERED, State.READY, State.RUNNING)


class ExtensionRefusedError(Exception):
    """A request that AWS refuses: its type, its sentence, its status."""

    def __init__(self, error_type: str, message: str, status: int = 403) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True)
class ExtensionFailure:
    """Why the environment must end. `error_type` is AWS's (Extension.Crash ...), `message` its reason: `exit code 1`,
    `signal: killed`."""

    error_type: str
    message: str


@dataclass(slots=True, eq=False)
class Extension:
    """One. `id` is what it is known by after it has registered, `declared` the error type that it told us."""

    name: str
    is_external: bool
    state: State = State.STARTED
    id: str = ""
    events: tuple[str, ...] = ()
    declared: str | None = None
    waiting: Deliver | None = None
    pending: bytes | None = None
    """An event that came before it asked, or that whoever waited has not taken."""


@dataclass(slots=True, eq=False)
class _Wait:
    is_over: Callable[[], bool]
    is_for_the_end: bool
    future: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Extensions:
    """All of one environment.

    Args:
        external: file names of the external extensions, which are being started.
        failed: called once, with the first failure that ends the environment.
    """

    def __init__(
        self,
        external: Sequence[str] = (),
        failed: Callable[[ExtensionFailure], None] = lambda _: None,
    ) -> None:
        self._by_name = {name: Extension(name, is_external=True) for name in external}
        self._by_id: dict[str, Extension] = {}
        self._failed = failed
        self._has_failed = False
        self._is_open = True
        self._is_ending = False
        self._waits: list[_Wait] = []
        self._closed = False

    @property
    def registered(self) -> Collection[Extension]:
        return self._by_id.values()

    @property
    def is_empty(self) -> bool:
        return not self._by_name

    @property
    def are_busy(self) -> bool:
        """Some still work on the last event."""
        return any(extension.state is State.RUNNING for extension in self._by_id.values())

    @property
    def named(self) -> Collection[Extension]:
        """All, those that have not registered included."""
        return self._by_name.values()

    # What the environment does.

    async def all_registered(self) -> None:
        """Every external extension has registered. Raises: TransportClosedError, when the environment ends first."""
        await self._until(lambda: all(extension.state is not State.STARTED for extension in self._by_name.values()))

    def close_registration(self) -> None:
        """The runtime is ready: nobody can register any more."""
        self._is_open = False

    async def all_ready(self) -> None:
        """Every one has asked for its first event. Raises: TransportClosedError."""
        await self._until(lambda: all(each.state is not State.REGISTERED for each in self._by_id.values()))

    async def all_at_rest(self) -> None:
        """Every one has asked for its next event. Raises: TransportClosedError."""
        await self._until(lambda: not self.are_busy)

    async def all_exited(self) -> None:
        """No external extension that was told of the shutdown is left. Raises: TransportClosedError."""
        await self._until(lambda: not self._told_of_shutdown(), is_for_the_end=True)

    def invoke(self, event: Event) -> None:
        """Hands the event's description to all that asked for INVOKE."""
        text = invoke_event(event) if self._by_id else b""
        for extension in self._by_id.values():
            if INVOKE in extension.events and extension.state.is_alive:
                extension.state = State.RUNNING
                _hand_over(extension, text)

    def end(self) -> None:
        """From here on an exit is no failure, but what is wanted."""
        self._is_ending = True

    def shut_down(self, reason: str, deadline_ms: int) -> None:
        """Tells the external ones that asked for it."""
        self._is_ending = True
        for extension in self._told_of_shutdown():
            extension.state = State.RUNNING
            _hand_over(extension, shutdown_event(reason, deadline_ms))

    def close(self) -> None:
        """Nothing is waited for any more. Idempotent."""
        self._closed = True
        for wait in self._waits:
            if not wait.future.done():
                wait.future.set_exception(TransportClosedError("the environment has ended", delivered=True))
                wait.future.exception()
        self._waits.clear()

    # What the processes do.

    def exited(self, name: str, how: Exit) -> None:
        """The process of an external extension has ended: a crash, unless it was told to, or said why."""
        extension = self._by_name.get(name)
        if extension is None or extension.state is State.EXITED:
            return
        said, extension.state, extension.waiting = extension.state, State.EXITED, None
        if not self._is_ending:
            kind = said.value if said in (State.INIT_ERROR, State.EXIT_ERROR) else "Crash"
            self._fail(ExtensionFailure(f"Extension.{kind}", exit_reason(how)))
        self._changed()

    def not_launched(self, error: LaunchError) -> None:
        extension = self._by_name.get(error.name)
        if extension is not None:
            extension.state, extension.declared = State.LAUNCH_ERROR, error.reason.title().replace(" ", "")
            self._fail(ExtensionFailure("Extension.LaunchError", str(error)))

    # What the extensions ask for.

    def register(self, name: str, events: Sequence[str]) -> Extension:
        """Raises: ExtensionRefusedError."""
        if not name or len(name) > _MAX_NAME or not name.isprintable():
            raise ExtensionRefusedError("Extension.InvalidExtensionName", "Empty or invalid extension name")
        extension = self._by_name.get(name) or Extension(name, is_external=False)
        self._check_registration(extension, events)
        self._by_name[name] = extension
        extension.state = State.REGISTERED
        extension.events = tuple(dict.fromkeys(events))
        extension.id = str(uuid.uuid4())
        self._by_id[extension.id] = extension
        self._changed()
        return extension

    def find(self, identifier: str | None) -> Extension:
        """Raises: ExtensionRefusedError."""
        if not identifier:
            message = "Missing Lambda-Extension-Identifier header"
            raise ExtensionRefusedError("Extension.MissingExtensionIdentifier", message)
        try:
            known = self._by_id.get(str(uuid.UUID(identifier)))
        except ValueError:
            message = "Invalid Lambda-Extension-Identifier"
            raise ExtensionRefusedError("Extension.InvalidExtensionIdentifier", message) from None
        if known is None:
            raise ExtensionRefusedError("Extension.UnknownExtensionIdentifier", f"Unknown extension {identifier}")
        return known

    def next(self, extension: Extension, deliver: Deliver) -> None:
        """It is at rest until `deliver` gives it an event.

        Raises: ExtensionRefusedError.
        """
        if not extension.state.is_alive or extension.waiting is not None:
            raise self._wrong_state(extension, State.READY)
        extension.waiting = deliver
        if extension.pending is not None:
            _hand_over(extension, extension.pending)
        elif not self._is_ending:
            extension.state = State.READY
        self._changed()

    def hung_up(self, extension: Extension, deliver: Deliver) -> None:
        """Whoever waited for `next` over this connection has gone."""
        if extension.waiting == deliver:
            extension.waiting = None

    def report_error(self, extension: Extension, state: State, declared: str) -> None:
        """`init/error` or `exit/error`: it will end, and so must the environment.

        Raises: ExtensionRefusedError.
        """
        allowed = (State.REGISTERED,) if state is State.INIT_ERROR else (State.READY, State.RUNNING, State.REGISTERED)
        if extension.state not in allowed:
            raise self._wrong_state(extension, state)
        extension.state, extension.declared = state, declared
        if not extension.is_external and not self._is_ending:
            self._fail(ExtensionFailure(f"Extension.{state.value}", declared))
        self._changed()

    # How it is kept.

    def _check_registration(self, extension: Extension, events: Sequence[str]) -> None:
        if not self._is_open or self._is_ending:
            raise ExtensionRefusedError("Extension.RegistrationClosed", "Extension registration closed already")
        if extension.id:
            raise self._wrong_state(extension, State.REGISTERED)
        for event in events:
            if event not in (INVOKE, SHUTDOWN):
                raise ExtensionRefusedError("Extension.InvalidEventType", f"Invalid event type: {event:.64}")
        if not extension.is_external and SHUTDOWN in events:
            message = "Shutdown event is not supported for internal extensions"
            raise ExtensionRefusedError("Extension.InvalidEventType", message)
        if len(self._by_id) >= MAX_EXTENSIONS:
            message = f"Extension limit ({MAX_EXTENSIONS}) reached"
            raise ExtensionRefusedError("Extension.TooManyExtensions", message)

    def _wrong_state(self, extension: Extension, wanted: State) -> ExtensionRefusedError:
        message = f"State transition from {extension.state.value} to {wanted.value} failed for extension"
        return ExtensionRefusedError("Extension.InvalidExtensionState", f"{message} {extension.name}")

    def _told_of_shutdown(self) -> list[Extension]:
        return [each for each in self._by_id.values() if SHUTDOWN in each.events and each.state.is_alive]

    def _fail(self, failure: ExtensionFailure) -> None:
        if not self._has_failed:
            self._has_failed = True
            self._failed(failure)

    async def _until(self, is_over: Callable[[], bool], *, is_for_the_end: bool = False) -> None:
        """When the environment is ending, or about to, nothing else than its end comes true any more."""
        if self._closed:
            raise TransportClosedError("the environment has ended", delivered=True)
        wait = _Wait(is_over, is_for_the_end)
        if self._is_true(wait):
            return
        self._waits.append(wait)
        try:
            await wait.future
        finally:
            if wait in self._waits:
                self._waits.remove(wait)

    def _changed(self) -> None:
        for wait in self._waits:
            if self._is_true(wait) and not wait.future.done():
                wait.future.set_result(None)

    def _is_true(self, wait: _Wait) -> bool:
        return wait.is_over() and (wait.is_for_the_end or not (self._is_ending or self._has_failed))


def _hand_over(extension: Extension, text: bytes) -> None:
    waiting, extension.waiting = extension.waiting, None
    extension.pending = text
    if waiting is not None and waiting(text):
        extension.pending = None
        extension.state = State.RUNNING


def invoke_event(event: Event) -> bytes:
    body = {
        "eventType": INVOKE,
        "deadlineMs": event.deadline_ms,
        "requestId": event.request_id,
        "invokedFunctionArn": event.invoked_arn,
        "tracing": {"type": "X-Amzn-Trace-Id", "value": event.trace_id},
    }
    return json.dumps(body, separators=(",", ":")).encode()


def shutdown_event(reason: str, deadline_ms: int) -> bytes:
    body = {"eventType": SHUTDOWN, "shutdownReason": reason, "deadlineMs": deadline_ms}
    return json.dumps(body, separators=(",", ":")).encode()


def exit_reason(how: Exit) -> str:
    """As AWS words it (seen in users' reports: `Error: exit code 0`)."""
    return f"exit code {how.code}" if how.signal is None else f"signal: {signal_name(how.signal)}"
