"""Who caused whom: one step for each call, message and invocation, with the keys of the steps that led to it.

A key is sixteen hex digits made of an id that everybody knows: a request's, a message's. It fits into `Parent=` of the
trace header, so that whatever carries the header on carries the link. Read next: cause_buffer.py, cause_tree.py.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol

MAX_CAUSES = 100
"""Of one step: as many as a batch of messages is looked at for."""
_PARENT = re.compile(r"(?:^|;)\s*Parent=([0-9a-f]{16})(?:;|$)")
_ROOT = re.compile(r"(?:^|;)\s*Root=([0-9A-Za-z-]{1,64})(?:;|$)")


class StepKind:
    """What a step is, as it is written down.

    `POST` is a topic's message that an HTTP endpoint took, `DEAD_LETTER` a message that was moved for its receive
    count (see `dead_letter_id`), `ALARM` a move of an alarm, `LOG_EVENTS` what a subscription filter sent on, `EXPORT`
    one of logs.
    """

    CALL = "call"
    MESSAGE = "message"
    TOPIC_MESSAGE = "topic-message"
    OBJECT = "object"
    INVOCATION = "invocation"
    POST = "post"
    DEAD_LETTER = "dead-letter"
    ALARM = "alarm"
    LOG_EVENTS = "log-events"
    EXPORT = "log-export"


@dataclass(frozen=True, slots=True, kw_only=True)
class Led:
    """What a call has led to: a message, an object. `id` is what it is known by, `resource` the ARN of where it is."""

    kind: str
    id: str
    resource: str


class Step(NamedTuple):
    """One thing that happened. A tuple, not a dataclass: every invocation makes one.

    `causes` are the keys of what led to it, `source` the ARN of the nearest of that (a queue, a function, a user).
    `name` is the operation of a call, the version of an invocation; of others what led here, where that wants a word.
    `error` is empty for what went well. `root` is the trace's, empty where nothing carried one. `unkept`: why the event
    of an invocation is not kept (see `Unkept`).
    """

    kind: str
    id: str
    account: str
    region: str
    resource: str
    at_ms: int
    name: str = ""
    source: str = ""
    causes: tuple[str, ...] = ()
    duration_ms: float = 0.0
    error: str = ""
    root: str = ""
    unkept: str = ""

    @property
    def key(self) -> str:
        return key_of(self.id) if self.kind in (StepKind.CALL, StepKind.INVOCATION) else key_of(self.id, self.kind)

    @classmethod
    def unpack(cls, values: Sequence[Any]) -> "Step | None":
        """From what JSON makes of one. None for what is no step."""
        try:
            step = cls(*values)
            return step._replace(causes=tuple(step.causes))
        except TypeError:
            return None


class Unkept:
    """Why an event is not kept. `LARGE` is followed by its size in bytes."""

    OFF = "off"
    FUNCTION = "function"
    LARGE = "large "
    FULL = "full"


class Ran(NamedTuple):
    """An invocation that is over, put down as it is found: whoever waits for its answer waits for nothing else.

    A step is made of it, and a recorded event where there is a `payload`; None: the function's are not to be kept.
    """

    request_id: str
    account: str
    region: str
    function_arn: str
    version: str
    source: str
    causes: tuple[str, ...]
    ended_ms: int
    duration_ms: float
    error: str
    trace_id: str
    function_name: str
    qualifier: str | None
    client_context: str | None
    payload: bytes | None
    unkept: str = ""


class RecordedEvent(NamedTuple):
    """An event that a function ran with, to be run again. `qualifier` is what the caller named."""

    request_id: str
    account: str
    region: str
    function_name: str
    qualifier: str | None
    at_ms: int
    client_context: str | None
    payload: bytes


def sent_step(
    kind: str,
    id_: str,
    resource: str,
    *,
    source: str,
    cause: str,
    now_ms: int,
    trace_id: str = "",
    name: str = "",
    place: str = "",
) -> Step:
    """Of what a resource, no caller, has sent on: a topic to a queue, a bucket to a topic.

    `cause` is a key; empty: the one in the trace header. `place` is an ARN that says the account and the region, where
    the resource's own does not (a bucket, a URL).
    """
    parts = [*(place or resource).split(":"), "", "", "", "", ""]
    return Step(
        kind=kind,
        id=id_,
        account=parts[4],
        region=parts[3],
        resource=resource,
        at_ms=now_ms,
        name=name,
        source=source,
        causes=(cause,) if cause else cause_in(trace_id),
        root=root_in(trace_id),
    )


def dead_letter_id(message_id: str, queue_arn: str) -> str:
    """Of the step that brought the message into this dead-letter queue: it keeps its own id on the way."""
    return f"{message_id}#{queue_arn}"


class CauseRecorder(Protocol):
    """Where steps are told. Takes no time and never fails: what cannot be kept is counted.

    `keeps_runs` False: nobody need tell of invocations.
    """

    @property
    def keeps_runs(self) -> bool: ...

    def happened(self, step: Step) -> None: ...

    def ran(self, run: Ran) -> None: ...

    async def flush(self) -> None:
        """What was told before is durable on return, or was given up with a line in the log."""
        ...


class Unrecorded:
    """A CauseRecorder that keeps nothing."""

    keeps_runs = False

    def happened(self, step: Step) -> None:
        pass

    def ran(self, run: Ran) -> None:
        pass

    async def flush(self) -> None:
        pass


def key_of(id_: str, kind: str = "request") -> str:
    """Of a request by its id; of anything else by its kind too."""
    return blake2b(f"{kind}:{id_}".encode(errors="surrogatepass"), digest_size=8).hexdigest()


def cause_in(header: str | None) -> tuple[str, ...]:
    """The step that a trace header comes from, if it names one."""
    found = _PARENT.search(header) if header else None
    return (found[1],) if found is not None else ()


def root_in(header: str | None) -> str:
    found = _ROOT.search(header) if header else None
    return found[1] if found is not None else ""
