import asyncio
import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosset.invocation.api import InvocationResult
from cosset.services.lambda_.payloads import check_json
from cosset.wire.errors import ServiceError
from support.functions import ACCOUNT, REGION, functions_room

ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:fn"


def in_room(tmp_path, test):
    async def run():
        async with functions_room(tmp_path) as room:
            await room.create("fn", Publish=True)
            await test(room)

    asyncio.run(run())


def test_a_synchronous_invocation(tmp_path):
    async def test(room):
        answered = await room.call("Invoke", FunctionName="fn", Payload=b'{"x": 1}')
        assert answered == {"StatusCode": 200, "ExecutedVersion": "$LATEST", "Payload": b'{"a": 1}', "TraceId": ""}
        (invocation,) = room.invoker.invoked
        assert invocation.payload == b'{"x": 1}'
        assert invocation.invoked_arn == ARN
        assert invocation.qualifier is None
        assert invocation.request_id == room.context("Invoke").request_id
        assert not invocation.want_log_tail

    in_room(tmp_path, test)


def test_what_the_function_did_is_in_the_answer(tmp_path):
    async def test(room):
        room.invoker.result = InvocationResult(
            payload=b"{}", executed_version="1", function_error="Unhandled", log_tail=b"END"
        )
        context = base64.b64encode(b'{"custom": {}}').decode()
        answered = await room.call(
            "Invoke", FunctionName="fn", Qualifier="1", LogType="Tail", ClientContext=context, Payload=b"null"
        )
        assert answered == {
            "StatusCode": 200,
            "ExecutedVersion": "1",
            "FunctionError": "Unhandled",
            "LogResult": base64.b64encode(b"END").decode(),
            "Payload": b"{}",
            "TraceId": "",
        }
        (invocation,) = room.invoker.invoked
        assert invocation.invoked_arn == f"{ARN}:1"
        assert invocation.client_context == '{"custom": {}}'
        assert invocation.want_log_tail

    in_room(tmp_path, test)


def test_an_asynchronous_invocation(tmp_path):
    async def test(room):
        answered = await room.call("Invoke", FunctionName=f"{ARN}:$LATEST", InvocationType="Event", LogType="Tail")
        assert answered == {"StatusCode": 202, "TraceId": ""}
        (invocation,) = room.invoker.accepted
        assert invocation.payload == b"{}"
        assert invocation.invoked_arn == f"{ARN}:$LATEST"
        assert room.invoker.invoked == []

    in_room(tmp_path, test)


def test_the_older_asynchronous_call(tmp_path):
    async def chunks():
        yield b'{"x"'
        yield b": 1}"

    async def test(room):
        assert await room.call("InvokeAsync", FunctionName="fn", InvokeArgs=chunks()) == {"Status": 202}
        assert room.invoker.accepted[0].payload == b'{"x": 1}'

    in_room(tmp_path, test)


def test_a_dry_run_runs_nothing_and_finds_what_is_missing(tmp_path):
    async def test(room):
        assert await room.call("Invoke", FunctionName="fn", InvocationType="DryRun") == {"StatusCode": 204}
        assert room.invoker.invoked == room.invoker.accepted == []
        with pytest.raises(ServiceError) as caught:
            await room.call("Invoke", FunctionName="none", InvocationType="DryRun")
        assert caught.value.code == "ResourceNotFoundException"

    in_room(tmp_path, test)


@pytest.mark.parametrize("member", ["TenantId", "DurableExecutionName"])
def test_what_a_call_asks_for_and_is_not_here_is_refused_by_name(tmp_path, member):
    async def test(room):
        with pytest.raises(ServiceError, match=member) as caught:
            await room.call("Invoke", FunctionName="fn", **{member: "one"})
        assert caught.value.status == 501
        assert room.invoker.invoked == []

    in_room(tmp_path, test)


def test_a_client_context_that_is_no_base64(tmp_path):
    async def test(room):
        with pytest.raises(ServiceError) as caught:
            await room.call("Invoke", FunctionName="fn", ClientContext="{}")
        assert caught.value.message == "Client context must be a valid Base64-encoded JSON object."

    in_room(tmp_path, test)


@pytest.mark.parametrize("payload", [b"{}", b"null", b"1", b'"text"', b"[1, 2]", b' {"a": "\xc3\xa9"} ', b"true"])
def test_any_json_is_an_event(payload):
    check_json(payload)


@pytest.mark.parametrize(
    ("payload", "what", "where"),
    [
        (b"foo", "Unrecognized token 'foo': was expecting (JSON String", "line: 1, column: 4"),
        (b"'x'", "Unexpected character (''' (code 39)): expected a valid value (JSON String", "line: 1, column: 2"),
        (b"{x: 1}", "Unexpected character ('x' (code 120)): was expecting double-quote to start", "line: 1, column: 3"),
        (b'{"a" 1}', "Unexpected character ('1' (code 49)): was expecting a colon", "line: 1, column: 7"),
        (b'{"a": 1', "Unexpected end-of-input", "line: 1, column: 8"),
        (b'{"a":\n tru}', "Unrecognized token 'tru'", "line: 2, column: 6"),
        (b"NaN", "Non-standard token 'NaN': enable", "line: 1, column: 4"),
        (b'{"NaN": -Infinity}', "Non-standard token '-Infinity': enable", "line: 1, column: 18"),
        (b"0D", "Unexpected character ('D' (code 68)): Expected space separating root-level", "line: 1, column: 3"),
        (b'"\\x"', "Unrecognized character escape 'x' (code 120)", "line: 1, column: 4"),
        (b'"a\nb"', "Illegal unquoted character ((CTRL-CHAR, code 10)): has to be escaped", "line: 2, column: 1"),
        # What SDKs of version 1 send when they are given text where they want base64.
        (b"\x99\xeb", "Unexpected character ((CTRL-CHAR, code 153)): expected a valid value", "line: 1, column: 2"),
        (b"\xc2'm", "Unrecognized token '\xc2': was expecting", "line: 1, column: 3"),
        (b"n\x87r", "Invalid UTF-8 start byte 0x87", "line: 1, column: 3"),
        (b'"\xc3"', "Invalid UTF-8 middle byte 0x22", "line: 1, column: 4"),
        (b'"\xc3', "Unexpected end-of-input", "line: 1, column: 3"),
        (b"\x07", "Unexpected character ((CTRL-CHAR, code 7))", "line: 1, column: 2"),
        (b"[" * 10_000, "Document nesting depth (1001) exceeds the maximum allowed (1000", "line: 1"),
        (b"9" * 10_000, "Number value length exceeds the maximum allowed", "line: 1"),
    ],
)
def test_what_is_not_json(payload, what, where):
    with pytest.raises(ServiceError) as caught:
        check_json(payload)
    assert caught.value.code == "InvalidRequestContentException"
    message = caught.value.message
    assert message.startswith(f"Could not parse request body into json: Could not parse payload into json: {what}")
    assert where in message
    assert len(message) < 1000


def test_a_payload_that_is_not_json_never_reaches_the_function(tmp_path):
    async def test(room):
        for kind in ("RequestResponse", "Event"):
            with pytest.raises(ServiceError):
                await room.call("Invoke", FunctionName="fn", Payload=b"x" * 300_000, InvocationType=kind)
        assert room.invoker.invoked == room.invoker.accepted == []

    in_room(tmp_path, test)


@pytest.mark.parametrize(("kind", "limit"), [("RequestResponse", 6 * 1024 * 1024), ("Event", 1024 * 1024)])
def test_a_payload_that_is_too_large_is_not_parsed(tmp_path, kind, limit):
    async def test(room):
        with pytest.raises(ServiceError) as caught:
            await room.call("Invoke", FunctionName="fn", Payload=b"x" * (limit + 1), InvocationType=kind)
        assert (caught.value.code, caught.value.status) == ("RequestTooLargeException", 413)
        assert caught.value.message == (
            f"{limit + 1} byte payload is too large for the {kind} invocation type (limit {limit} bytes)"
        )

    in_room(tmp_path, test)


def test_what_is_streamed_without_end_is_not_read_to_its_end(tmp_path):
    read = 0

    async def endless():
        nonlocal read
        while True:
            read += 1
            yield b"x" * 65536

    async def test(room):
        with pytest.raises(ServiceError) as caught:
            await room.call("InvokeAsync", FunctionName="fn", InvokeArgs=endless())
        assert caught.value.code == "RequestTooLargeException"
        assert read == 17

    in_room(tmp_path, test)


@settings(deadline=None)
@given(st.binary(max_size=12) | st.text('{}[]",: \n\\truefalsn0é-.eNaI', max_size=12).map(str.encode))
def test_every_payload_is_taken_or_refused_in_words(payload):
    try:
        json.loads(payload.decode(), parse_constant=lambda name: 1 / 0)
    except (ValueError, ZeroDivisionError):
        with pytest.raises(ServiceError, match="line: "):
            check_json(payload)
    else:
        check_json(payload)


@pytest.mark.parametrize(
    ("context", "code"),
    [
        ("string", "InvalidRequestContentException"),
        (base64.b64encode(b"[]").decode(), "InvalidRequestContentException"),
        (base64.b64encode(b"{").decode(), "InvalidRequestContentException"),
        (base64.b64encode(b'{"a": "' + b"x" * 2700 + b'"}').decode(), "RequestTooLargeException"),
    ],
)
def test_a_client_context_that_cannot_be(tmp_path, context, code):
    async def test(room):
        with pytest.raises(ServiceError) as refused:
            await room.call("Invoke", FunctionName="fn", ClientContext=context)
        assert refused.value.code == code

    in_room(tmp_path, test)


def test_functions_of_other_partitions_are_not_found(tmp_path):
    async def test(room):
        for partition in ("aws-cn", "aws-us-gov"):
            with pytest.raises(ServiceError) as refused:
                await room.call("Invoke", FunctionName=ARN.replace("arn:aws", f"arn:{partition}"))
            assert refused.value.code == "ResourceNotFoundException"

    in_room(tmp_path, test)
