"""Calls as steps of what caused what: those that functions make, and those of anybody that led to something.

Who only reads leaves no step. An invocation is a step of its own, told by whoever ran it.
"""

from collections.abc import Callable, Sequence

from cosset.clock import Clock
from cosset.identity.access_book import function_of
from cosset.identity.ports import Requirement
from cosset.observe.causes import CauseRecorder, Step, StepKind, cause_in, key_of, root_in
from cosset.services.operation import Context

_INVOKES = frozenset({"Invoke", "InvokeAsync", "InvokeWithResponseStream"})


class CallSteps:
    """`underway` knows the trace header that an environment's key runs with now, for SDKs that do not pass it on."""

    def __init__(self, recorder: CauseRecorder, underway: Callable[[str], str | None], clock: Clock) -> None:
        self._recorder = recorder
        self.underway = underway
        self._clock = clock

    def ended(self, ctx: Context, needed: Sequence[Requirement], error: str = "") -> None:
        """The call is over; `error` is its code."""
        function = function_of(ctx.principal)
        if not ctx.led and (function is None or (ctx.operation in _INVOKES and not error)):
            return
        now_ms = ctx.call.now_ms if ctx.call is not None else self._clock.now_ms()
        source, root = function or ctx.principal.arn, root_in(ctx.trace_id)
        call = Step(
            kind=StepKind.CALL,
            id=ctx.request_id,
            account=ctx.account,
            region=ctx.region,
            resource=needed[0].resource if needed else "",
            at_ms=now_ms,
            name=f"{ctx.service}:{ctx.operation}",
            source=source,
            causes=cause_in(ctx.trace_id),
            error=error,
            duration_ms=float(max(0, self._clock.now_ms() - now_ms)),
            root=root,
        )
        self._recorder.happened(call)
        for led in ctx.led:
            self._recorder.happened(
                Step(
                    kind=led.kind,
                    id=led.id,
                    account=ctx.account,
                    region=ctx.region,
                    resource=led.resource,
                    at_ms=now_ms,
                    causes=(key_of(ctx.request_id),),
                    root=root,
                )
            )
