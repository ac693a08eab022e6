"""Invoke, and InvokeAsync from before it: from the request to an Invocation, and the result back."""

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncIterator

from cosset.functions.names import FunctionReference
from cosset.functions.registry import Functions
from cosset.identity.access_book import function_of
from cosset.invocation.api import Invocation, InvocationType, Invoker
from cosset.invocation.limits import ASYNC_PAYLOAD_BYTES, SYNC_PAYLOAD_BYTES, check_payload
from cosset.services.lambda_.payloads import check_json
from cosset.services.lambda_.references import invoked_reference_of, on_function
from cosset.services.operation import Context, Params, Result, operation
from cosset.wire.errors import ServiceError
from cosset.wire.message import Body

CLIENT_CONTEXT_BYTES = 3583
"""In base64, as it comes (AWS's own limit)."""
_CHECK_OFF_LOOP_BYTES = 262_144
_KINDS = {kind.value: kind for kind in InvocationType}


class InvokeOperations:
    """Handlers; the requirements stand beside each."""

    def __init__(self, functions: Functions, invoker: Invoker) -> None:
        self._functions = functions
        self._invoker = invoker

    @operation("Invoke", on_function("InvokeFunction"))
    async def invoke(self, ctx: Context, params: Params) -> Result:
        """Raises: ServiceError, whatever the function itself did not do (its own errors are results)."""
        reference = invoked_reference_of(ctx, params)
        kind = _KINDS[params.get("InvocationType", "RequestResponse")]
        payload = await read_payload(params.get("Payload"), kind)
        invocation = invocation_of(
            ctx,
            reference,
            payload,
            client_context=read_client_context(params.get("ClientContext")),
            want_log_tail=params.get("LogType") == "Tail" and kind is InvocationType.REQUEST_RESPONSE,
        )
        if kind is InvocationType.DRY_RUN:
            await self._dry_run(reference)
            return {"StatusCode": 204}
        if kind is InvocationType.EVENT:
            return {"StatusCode": 202, "TraceId": await self._invoker.invoke_async(invocation)}
        return await self._run(invocation)

    @operation("InvokeAsync", on_function("InvokeFunction"))
    async def invoke_async(self, ctx: Context, params: Params) -> Result:
        reference = invoked_reference_of(ctx, params)
        payload = await read_payload(params.get("InvokeArgs"), InvocationType.EVENT)
        await self._invoker.invoke_async(invocation_of(ctx, reference, payload))
        return {"Status": 202}

    async def _run(self, invocation: Invocation) -> Result:
        ended = await self._invoker.invoke(invocation)
        result: Result = {
            "StatusCode": 200,
            "ExecutedVersion": ended.executed_version,
            "Payload": ended.payload,
            "TraceId": ended.trace_id,
        }
        if ended.function_error is not None:
            result["FunctionError"] = ended.function_error
        if ended.log_tail is not None:
            result["LogResult"] = base64.b64encode(ended.log_tail).decode()
        return result

    async def _dry_run(self, reference: FunctionReference) -> None:
        """That the caller may invoke was decided at the door; that there is something to invoke is decided here."""
        key = reference.key
        await self._functions.resolve(key.account, key.region, key.name, reference.qualifier)


def invocation_of(
    ctx: Context,
    reference: FunctionReference,
    payload: bytes,
    *,
    client_context: str | None = None,
    want_log_tail: bool = False,
) -> Invocation:
    """What every call of a function says."""
    key = reference.key
    return Invocation(
        account=key.account,
        region=key.region,
        function_name=key.name,
        qualifier=reference.qualifier,
        payload=payload,
        request_id=ctx.request_id,
        invoked_arn=reference.arn,
        trace_id=ctx.trace_id or "",
        source=function_of(ctx.principal) or ctx.principal.arn,
        client_context=client_context,
        want_log_tail=want_log_tail,
        cancelled=ctx.cancelled,
    )


async def read_payload(body: Body | None, kind: InvocationType) -> bytes:
    """The event, checked to be JSON; `{}` when the caller sent none. What is too large is not even parsed.

    Raises:
        ServiceError: InvalidRequestContentException, RequestTooLargeException.
    """
    limit_bytes = ASYNC_PAYLOAD_BYTES if kind is InvocationType.EVENT else SYNC_PAYLOAD_BYTES
    payload = body if isinstance(body, bytes) else await _collect(body, limit_bytes)
    if not payload:
        return b"{}"
    check_payload(payload, kind.value, limit_bytes)
    if len(payload) > _CHECK_OFF_LOOP_BYTES:
        await asyncio.to_thread(check_json, payload)
    else:
        check_json(payload)
    return payload


async def _collect(chunks: AsyncIterator[bytes] | None, limit_bytes: int) -> bytes:
    """What was streamed, but no more of it than shows that it is too much."""
    payload = bytearray()
    if chunks is not None:
        async for chunk in chunks:
            payload += chunk
            if len(payload) > limit_bytes:
                break
    return bytes(payload)


def read_client_context(given: str | None) -> str | None:
    """JSON in base64, as X-Amz-Client-Context carries it.

    Raises:
        ServiceError: InvalidRequestContentException; RequestTooLargeException.
    """
    if given is None:
        return None
    if len(given) > CLIENT_CONTEXT_BYTES:
        raise ServiceError(
            "RequestTooLargeException",
            f"{len(given)} byte client context is too large (limit {CLIENT_CONTEXT_BYTES} bytes)",
            status=413,
        )
    try:
        text = base64.b64decode(given, validate=True).decode()
        is_object = isinstance(json.loads(text), dict)
    except (binascii.Error, ValueError, RecursionError):
        is_object = False
    if not is_object:
        raise ServiceError(
            "InvalidRequestContentException", "Client context must be a valid Base64-encoded JSON object."
        )
    return text
