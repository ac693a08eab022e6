"""How the rest of Cosset asks for an invocation: the request, the result, and the ports this room stands on."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

from cosset.environments.api import FunctionSpec


class InvocationType(Enum):
    REQUEST_RESPONSE = "RequestResponse"
    EVENT = "Event"
    DRY_RUN = "DryRun"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target(FunctionSpec):
    """What is to run, resolved: what an environment needs to know of one function version, and what admission does.

    A port's value, so that invocation need not know what a function is (functions/ makes it). `revision` changes
    whenever an idle environment made from an older Target must not serve any more. `runtime_version`
    (`python:3.13.v10`) and its ARN are what INIT_START shows. `provisioned_concurrency` is what all versions of the
    function ask for together; `set_aside` what of the account's concurrency functions have to themselves.
    `keeps_events`: what it runs with may be kept, to be run again.
    """

    revision: str
    role: str
    tracing_mode: str = "PassThrough"
    reserved_concurrency: int | None = None
    provisioned_concurrency: int = 0
    set_aside: int = 0
    allows_recursion: bool = False
    keeps_events: bool = True


class Invocation(NamedTuple):
    """One call. A tuple, not a dataclass: every call makes one, and another.

    `qualifier` is what the caller named (None: `$LATEST`); `invoked_arn` is the ARN that the function sees, with the
    qualifier exactly when the caller gave one. `source` is the ARN of who or what called, `causes` the keys of the
    steps that led here, where the trace header does not say it (observe/causes.py). `cancelled`: the client has gone
    (the function still runs to its end, as on AWS).
    """

    account: str
    region: str
    function_name: str
    qualifier: str | None
    payload: bytes
    request_id: str
    invoked_arn: str
    trace_id: str = ""
    source: str = ""
    causes: tuple[str, ...] = ()
    client_context: str | None = None
    cognito_identity: str | None = None
    want_log_tail: bool = False
    cancelled: asyncio.Event | None = None


class InvocationResult(NamedTuple):
    """The end of a synchronous invocation. `function_error` is what X-Amz-Function-Error says (`Unhandled`), None on
    success; `executed_version` what X-Amz-Executed-Version says; `log_tail` the last 4 KB of this call's log.
    `streamed`: the response has gone to the caller's stream; `payload` then is an error object, or empty. `trace_id` is
    the header that the function had."""

    payload: bytes
    executed_version: str
    content_type: str = "application/json"
    function_error: str | None = None
    log_tail: bytes | None = None
    streamed: bool = False
    trace_id: str = ""


class StreamedInvocation(Protocol):
    """An invocation whose response can be read while it is made. Read `chunks` to its end, then ask `result`."""

    executed_version: str

    @property
    def content_type(self) -> str:
        """As the runtime named it."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The response as it comes; of a function that streams nothing, its whole payload; nothing when it failed
        before it streamed anything."""
        ...

    async def result(self) -> InvocationResult:
        """Waits for the end. Never raises what the function did."""
        ...


class TargetResolver(Protocol):
    """functions/ implements this; answers from memory on the hot path."""

    async def resolve(self, account: str, region: str, name: str, qualifier: str | None) -> Target:
        """Picks the version, by the alias's weights where there are any.

        Raises:
            ServiceError: ResourceNotFoundException, ResourceConflictException (Pending) as AWS says them.
        """
        ...


class Invoker(Protocol):
    """The front of this room: what the Lambda API, the triggers and the other services call."""

    async def invoke(self, invocation: Invocation) -> InvocationResult:
        """Runs it and waits for the end.

        Raises:
            ServiceError: TooManyRequestsException, RequestTooLargeException, ResourceNotFoundException ...
        """
        ...

    async def invoke_streamed(self, invocation: Invocation) -> StreamedInvocation:
        """Returns when the response begins, or has ended. The function runs on when nobody reads, to its end:
        `invocation.cancelled` says that the reader has gone.

        Raises:
            ServiceError: as `invoke`.
        """
        ...

    async def invoke_async(self, invocation: Invocation) -> str:
        """Returns when the event is committed to the durable queue: the trace header that it has."""
        ...
