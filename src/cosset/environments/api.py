"""The execution environment: the interface of every isolation tier, and the contract they all keep.

Life: Init -> Ready <-> Busy -> Shutdown. A tier starts an environment (Init); `start` returns when it is Ready, or
raises InitError. `invoke` takes it to Busy and back to Ready, unless the answer says it is spent: after a timeout, a
crash or an exit (a *reset*) the environment is Shutdown already and must be let go; another may be started in its place
(docs/decisions/0052-what-a-reset-keeps.md). An answer that is not settled leaves it Busy
until `settle` returns. `shutdown` may be called at any time, from
any state, more than once; when it returns, no process, mount, cgroup or socket of the environment is left. After
shutdown, `invoke` raises EnvironmentGoneError. One invocation at a time; the pool sees to that.

Output of the function goes to the LogSink line by line, complete before `invoke` returns.
Read next: pool.py (who keeps environments), jail/ (the default tier), process.py (the one that isolates nothing).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import NamedTuple, Protocol

from cosset.environments.response_stream import ResponseStream
from cosset.identity.principal import Credentials

RESET_KEPT_S = 300.0
"""How long what an environment had is kept after a reset, at most: as long as an idle one is, unless set otherwise."""


def nothing() -> None:
    """In the place of a callback."""


class EnvironmentState(Enum):
    INIT = "init"
    READY = "ready"
    BUSY = "busy"
    SHUTDOWN = "shutdown"


class LogSink(Protocol):
    """Where the output of one environment goes. Never blocks and never fails; at its bound it drops and counts."""

    def write(self, timestamp_ms: int, message: str) -> None:
        """One event exactly as CloudWatch shows it: a printed line with its line feed (recorded: "{}\\n"), or one
        multi-line logging record, which ends as the runtime framed it. Epoch milliseconds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionSpec:
    """One function version as environments run it. Paths are the host's; `variables` are the user's. The ARN is
    unqualified."""

    account: str
    region: str
    function_name: str
    function_arn: str
    version: str
    runtime: str
    handler: str
    memory_mb: int
    timeout_s: int
    ephemeral_storage_mb: int
    code_dir: Path
    log_group: str
    layer_dirs: tuple[Path, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    log_format: str = "Text"
    application_log_level: str | None = None
    system_log_level: str | None = None
    architecture: str = "x86_64"
    runtime_version: str = ""
    runtime_version_arn: str = ""


_SHARED = tuple(each.name for each in fields(FunctionSpec))


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSpec(FunctionSpec):
    """What an environment is made from; the tier adds AWS's own variables (AWS_LAMBDA_FUNCTION_NAME, _HANDLER,
    credentials, AWS_LAMBDA_RUNTIME_API ...).

    `initialization_type` is why it is made: `on-demand` for an event that waits, or `provisioned-concurrency`.
    `predecessor` is the id of the environment in whose place it is made after a reset: what that had in /tmp is then
    there, if it still is to be had. `instance_id` is the one that AWS would show, which a reset does not change.
    """

    id: str
    log_stream: str
    credentials: Credentials
    init_timeout_s: int = 10
    initialization_type: str = "on-demand"
    predecessor: str | None = None
    instance_id: str = ""

    @classmethod
    def of(
        cls, function: FunctionSpec, *, id: str, log_stream: str, credentials: Credentials, initialization_type: str
    ) -> "EnvironmentSpec":
        """For an environment of the function."""
        shared = {name: getattr(function, name) for name in _SHARED}
        return cls(
            **shared,
            id=id,
            log_stream=log_stream,
            credentials=credentials,
            initialization_type=initialization_type,
            instance_id=id,
        )


class Event(NamedTuple):
    """One invocation as the function sees it. `deadline_ms` is epoch milliseconds. `client_context` and
    `cognito_identity` are JSON texts. `stream`: where a response goes that the function streams; None: it is collected
    and answered whole."""

    request_id: str
    payload: bytes
    deadline_ms: int
    invoked_arn: str
    trace_id: str = ""
    client_context: str | None = None
    cognito_identity: str | None = None
    content_type: str = "application/json"
    stream: ResponseStream | None = None

    @property
    def is_streaming(self) -> bool:
        """The response has begun to go to the stream."""
        return self.stream is not None and self.stream.begun.is_set()


class Outcome(Enum):
    """How an invocation ended. Everything but SUCCESS and ERROR has ended the environment too."""

    SUCCESS = "success"
    ERROR = "error"
    """The function raised, or the runtime reported an error: `payload` is the error object as the runtime gave it."""
    TIMEOUT = "timeout"
    EXIT = "exit"
    """The process ended before it answered: `error_type` and `error_message` say how."""
    OUT_OF_MEMORY = "out_of_memory"


class Answer(NamedTuple):
    """What came back. For ERROR, `payload` is the JSON error object of the runtime; for TIMEOUT, EXIT and OUT_OF_MEMORY
    it is AWS's error object, already made. `error_type` is set for all of these.

    `duration_ms` is measured from handing the event over to having the answer; `max_memory_mb` is the peak so far.
    `streamed`: the response went to the event's stream, and `payload` is empty unless it ended in an error.
    """

    outcome: Outcome
    payload: bytes
    duration_ms: float
    max_memory_mb: int
    content_type: str = "application/json"
    error_type: str | None = None
    streamed: bool = False
    is_settled: bool = True
    """False: extensions still work on the event. Await `Environment.settle` before anything else is done with it."""

    @property
    def environment_is_spent(self) -> bool:
        return self.outcome not in (Outcome.SUCCESS, Outcome.ERROR)


class InitError(Exception):
    """The environment did not become Ready, and nothing is left behind. `phase_ms` is how long Init took, `status` is
    `error` or `timeout` as INIT_REPORT says it. `payload` is the runtime's own error object; empty when the platform
    saw the end (exit, timeout): use `payload_for`. `max_memory_mb` is the peak until then."""

    def __init__(
        self,
        error_type: str,
        message: str,
        payload: bytes,
        phase_ms: float,
        status: str = "error",
        max_memory_mb: int = 0,
    ) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.payload = payload
        self.phase_ms = phase_ms
        self.status = status
        self.max_memory_mb = max_memory_mb

    def payload_for(self, request_id: str) -> bytes:
        """AWS's error object for the caller of the invocation that this Init was for."""
        return self.payload or error_object(self.error_type, self.message, request_id)


def error_object(error_type: str, message: str, request_id: str) -> bytes:
    """AWS's error object for an end that the platform saw, not the runtime (recorded: test_lambda_handler_exit)."""
    body = {"errorType": error_type, "errorMessage": f"RequestId: {request_id} Error: {message}"}
    return json.dumps(body, separators=(",", ":")).encode()


class EnvironmentGoneError(Exception):
    """The environment ended while it was idle, before it took the event: the event may safely go to another."""


class TierUnavailableError(Exception):
    """This host cannot give this tier; the message says what is missing and how to get it."""


class Environment(Protocol):
    """One execution environment. See the module docstring for what may be called when."""

    spec: EnvironmentSpec
    state: EnvironmentState
    init_ms: float
    """How long Init took."""

    async def invoke(self, event: Event, begun: Callable[[], None] = nothing) -> Answer:
        """`begun` is called when the event has been handed over, before anything can be seen of what it does: what
        need not be done before the function runs is done beside it.

        Raises: EnvironmentGoneError, when the event was certainly not delivered.
        """
        ...

    async def settle(self, answer: Answer) -> Answer:
        """After an answer that is not settled: returns when every extension has asked for its next event. What comes
        back is for the log: its duration is that of the runtime and the extensions together, and it ended otherwise
        when they took too long or failed. The environment is then Ready, or Shutdown."""
        ...

    async def shutdown(self) -> None: ...


class Tier(Protocol):
    """Makes environments of one kind of isolation."""

    name: str

    async def start(self, spec: EnvironmentSpec, sink: LogSink) -> Environment:
        """Raises: InitError, TierUnavailableError."""
        ...

    def forget(self, environment_id: str) -> None:
        """None will be started in the place of this one, which has been reset: what it had in /tmp is erased. Nothing,
        when there is no such."""
        ...

    async def close(self) -> None:
        """Ends every environment of this tier and what it keeps warm."""
        ...
