"""InvokeWithResponseStream: the response as events, chunk by chunk, and at the end how it went."""

import base64
from collections.abc import AsyncIterator, Mapping
from typing import Any

from cosset.functions.registry import Functions
from cosset.invocation.api import InvocationType, Invoker, StreamedInvocation
from cosset.services.lambda_.invoke import invocation_of, read_client_context, read_payload
from cosset.services.lambda_.references import invoked_reference_of, on_function
from cosset.services.operation import Context, Params, Result, operation

StreamEvent = Mapping[str, Mapping[str, Any]]


class StreamingOperations:
    """Handlers; the requirements stand beside each."""

    def __init__(self, functions: Functions, invoker: Invoker) -> None:
        self._functions = functions
        self._invoker = invoker

    @operation("InvokeWithResponseStream", on_function("InvokeFunction"))
    async def invoke_with_response_stream(self, ctx: Context, params: Params) -> Result:
        """Returns when the response begins. A function that streams nothing answers in one chunk.

        Raises: ServiceError, as Invoke, for what keeps the function from running.
        """
        reference = invoked_reference_of(ctx, params)
        key = reference.key
        payload = await read_payload(params.get("Payload"), InvocationType.REQUEST_RESPONSE)
        client_context = read_client_context(params.get("ClientContext"))
        if params.get("InvocationType") == InvocationType.DRY_RUN.value:
            await self._functions.resolve(key.account, key.region, key.name, reference.qualifier)
            return {"StatusCode": 204, "EventStream": _no_events()}
        answer = await self._invoker.invoke_streamed(
            invocation_of(
                ctx,
                reference,
                payload,
                client_context=client_context,
                want_log_tail=params.get("LogType") == "Tail",
            )
        )
        return {"StatusCode": 200, "ExecutedVersion": answer.executed_version, "EventStream": _events(answer)}


async def _events(answer: StreamedInvocation) -> AsyncIterator[StreamEvent]:
    """PayloadChunk as often as there is something, then InvokeComplete, which says what went wrong."""
    async for chunk in answer.chunks():
        yield {"PayloadChunk": {"Payload": chunk}}
    result = await answer.result()
    end: dict[str, str] = {}
    if result.function_error is not None:
        end["ErrorCode"] = result.function_error
        end["ErrorDetails"] = result.payload.decode("utf-8", "replace")
    if result.log_tail is not None:
        end["LogResult"] = base64.b64encode(result.log_tail).decode()
    yield {"InvokeComplete": end}


async def _no_events() -> AsyncIterator[StreamEvent]:
    none: tuple[StreamEvent, ...] = ()
    for event in none:
        yield event
