"""A batch handed to its function: who is called, whether Lambda may read the source for it, and how the call ended."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from uuid import uuid4

from cosset.clock import Clock
from cosset.invocation import lineage
from cosset.invocation.api import Invocation, InvocationResult, Target, TargetResolver
from cosset.invocation.asynchronous import Runner
from cosset.invocation.destinations import DeliveryRights
from cosset.observe.causes import MAX_CAUSES, CauseRecorder, StepKind, Unrecorded, cause_in, key_of
from cosset.observe.ports import LogWriter
from cosset.triggers import rules
from cosset.triggers.answers import REPORTS, failed_ids
from cosset.triggers.batching import write_event
from cosset.triggers.model import EventSourceMapping
from cosset.triggers.sources import EventSource, Record
from cosset.wire.errors import ServiceError

PERMIT_S = 5.0
"""How long an answer about permissions is believed: a mapping asks before every poll."""
FUNCTION_GONE = "PROBLEM: Function not found"
FUNCTION_FAILED = "PROBLEM: Function call failed"
_LATER = frozenset({"TooManyRequestsException", "ResourceConflictException", "ServiceException"})


class Outcome(Enum):
    DONE = "the function ran; `failed` says what of it failed"
    FAILED = "the function failed, and all of the batch with it"
    REFUSED = "the batch did not reach the function, and never will (it is too large, or a loop was stopped)"
    LATER = "the batch did not reach the function: throttled, or the platform failed"
    GONE = "there is no such function any more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call and its end. `failed` are ids of records; `reason` says why the function was not reached."""

    outcome: Outcome
    request_id: str
    failed: frozenset[str] = frozenset()
    result: InvocationResult | None = None
    reason: str = ""

    @property
    def reached(self) -> bool:
        return self.result is not None


class Caller:
    """Calls the function of one mapping.

    Args:
        run: the dispatcher's `invoke`.
        rights: what IAM allows functions' roles.
    """

    def __init__(
        self,
        mapping: EventSourceMapping,
        source: EventSource,
        targets: TargetResolver,
        run: Runner,
        rights: DeliveryRights,
        logs: LogWriter,
        clock: Clock,
        new_id: Callable[[], str] = lambda: str(uuid4()),
        recorder: CauseRecorder | None = None,
    ) -> None:
        self._recorder = recorder or Unrecorded()
        self._mapping = mapping
        self._source = source
        self._targets = targets
        self._run = run
        self._rights = rights
        self._logs = logs
        self._clock = clock
        self._new_id = new_id
        self._permitted_until_s = 0.0

    async def problem(self) -> str:
        """Why the source must not be read now, as the mapping shows it; empty when it may be.

        Nothing is fetched for a function that is not there, and nothing that its role may not fetch.
        """
        try:
            target = await self._target()
        except ServiceError as error:
            return FUNCTION_GONE if error.code == "ResourceNotFoundException" else f"PROBLEM: {error.message}"
        now_s = self._clock.monotonic_s()
        if now_s < self._permitted_until_s:
            return ""
        refusal = await first_refusal(self._rights, target, self._source, self._mapping.source_arn)
        if refusal is None:
            self._permitted_until_s = now_s + PERMIT_S
            return ""
        return f"PROBLEM: {rules.forbidden(self._mapping.kind, self._mapping.source_arn).message}"

    async def role(self) -> str:
        """The role that the function has now; empty when there is no such function."""
        try:
            return (await self._target()).role
        except ServiceError:
            return ""

    async def call(self, records: Sequence[Record], more: bytes = b"") -> Call:
        """Hands the batch over and waits for the end. The logs of the call are durable when this returns."""
        request_id, function = self._new_id(), self._mapping.function
        invocation = Invocation(
            account=function.key.account,
            region=function.key.region,
            function_name=function.key.name,
            qualifier=function.qualifier,
            payload=write_event(records, more),
            request_id=request_id,
            invoked_arn=function.arn,
            trace_id=lineage.deepest(record.trace_id for record in records),
            source=self._mapping.source_arn,
            causes=_causes(records),
        )
        ids = [record.id for record in records]
        try:
            result = await self._run(invocation)
        except ServiceError as error:
            return Call(outcome=_outcome_of(error), request_id=request_id, failed=frozenset(ids), reason=error.message)
        await self._logs.flush()
        await self._recorder.flush()
        if result.function_error is not None:
            return Call(outcome=Outcome.FAILED, request_id=request_id, failed=frozenset(ids), result=result)
        reports = REPORTS in (self._mapping.settings.response_types or ())
        failed = failed_ids(result.payload, ids) if reports else frozenset()
        return Call(outcome=Outcome.DONE, request_id=request_id, failed=failed, result=result)

    async def _target(self) -> Target:
        key = self._mapping.function.key
        return await self._targets.resolve(key.account, key.region, key.name, self._mapping.function.qualifier)


def _causes(records: Sequence[Record]) -> tuple[str, ...]:
    """The messages, how each came to where it was fetched, and what it carried of its sender: one of them holds also
    where another is not on record."""
    keys: dict[str, None] = {}
    for record in records[:MAX_CAUSES]:
        keys[key_of(record.id, StepKind.MESSAGE)] = None
        if record.cause:
            keys[record.cause] = None
        keys |= dict.fromkeys(cause_in(record.trace_id))
    return tuple(keys)


async def first_refusal(rights: DeliveryRights, target: Target, source: EventSource, arn: str) -> str | None:
    """The first action of the source that the function's role is not allowed."""
    for action in source.actions:
        if not await rights.may(target.role, target.function_arn, action, arn):
            return action
    return None


def _outcome_of(error: ServiceError) -> Outcome:
    if error.code == "ResourceNotFoundException":
        return Outcome.GONE
    return Outcome.LATER if error.code in _LATER or error.status >= 500 else Outcome.REFUSED
