"""Real Node.js functions that stream their answer, through the process tier."""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import pytest

from cosset.clock import SystemClock
from cosset.environments.api import EnvironmentGoneError, Outcome
from cosset.environments.process import ProcessTier
from cosset.environments.response_stream import ResponseStream
from cosset.runtimes.catalogue import Catalogue, RuntimeNotServedError
from support.written import Lines, event_for, run, running, spec_for

CATALOGUE = Catalogue()


@pytest.fixture(scope="module")
def tier():
    try:
        CATALOGUE.serve("nodejs22.x")
    except RuntimeNotServedError as missing:
        pytest.skip(str(missing))
    return partial(ProcessTier, CATALOGUE, SystemClock())


@dataclass
class Ending:
    """What came of one streamed invocation, and how the environment was left."""

    answer: object
    body: bytes
    stream: ResponseStream
    lines: Lines
    follow_up: object = None
    chunks: list[bytes] = field(default_factory=list)


@pytest.fixture
def stream_of(tier, tmp_path):
    """Runs a streaming handler's body, reads it with `read`, then invokes it once more whole where it lives."""

    def invoke(source, read=None, timeout_s=10.0, payload=b"{}"):
        (tmp_path / "index.mjs").write_text(
            f"export const handler = awslambda.streamifyResponse(async (event, stream) => {{ {source} }});"
        )
        lines, spec = Lines(), spec_for(tmp_path, "nodejs22.x", "index.handler", timeout_s=3)

        async def body(tier):
            async with running(tier, spec, lines) as environment:
                stream = ResponseStream()
                invoked = asyncio.create_task(
                    environment.invoke(event_for(payload, timeout_s=timeout_s, stream=stream))
                )
                invoked.add_done_callback(lambda _: stream.close())
                chunks = await (read or collect)(stream)
                answer = await invoked
                ending = Ending(answer, b"".join(chunks), stream, lines, chunks=chunks)
                with suppress(EnvironmentGoneError):  # the process ends, or has ended
                    ending.follow_up = await environment.invoke(event_for(b'{"again": true}'))
                return ending

        return run(tier, body)

    return invoke


async def collect(stream):
    return [chunk async for chunk in stream]


def test_chunks_come_as_they_are_written(stream_of):
    async def read(stream):
        chunks = aiter(stream)
        first = await anext(chunks)
        return [first, *[chunk async for chunk in chunks]]

    ending = stream_of(
        "stream.setContentType('text/plain'); stream.write('one');"
        " await new Promise((r) => setTimeout(r, 30)); stream.write('two'); stream.end('three');",
        read,
    )
    assert ending.chunks[0] == b"one"
    assert ending.body == b"onetwothree"
    assert ending.stream.content_type == "text/plain"
    assert (ending.answer.outcome, ending.answer.streamed) == (Outcome.SUCCESS, True)
    assert (ending.follow_up.payload, ending.follow_up.streamed) == (b"onetwothree", False)


def test_metadata_stands_before_the_body(stream_of):
    ending = stream_of(
        "const out = awslambda.HttpResponseStream.from(stream, {statusCode: 201, cookies: ['a=b']});"
        " out.write(event.again ? 'x' : 'body'); out.end();"
    )
    prelude, _, body = ending.body.partition(b"\0" * 8)
    assert (json.loads(prelude), body) == ({"statusCode": 201, "cookies": ["a=b"]}, b"body")
    assert ending.stream.content_type == "application/vnd.awslambda.http-integration-response"


def test_metadata_alone_is_an_answer(stream_of):
    ending = stream_of("awslambda.HttpResponseStream.from(stream, {statusCode: 204}).end();")
    assert ending.body == b'{"statusCode":204}' + b"\0" * 8


def test_nothing_at_all_is_an_answer(stream_of):
    ending = stream_of("stream.end();")
    assert (ending.body, ending.answer.outcome, ending.answer.streamed) == (b"", Outcome.SUCCESS, True)


def test_a_function_waits_for_a_slow_reader(stream_of):
    async def slowly(stream):
        chunks = []
        async for chunk in stream:
            chunks.append(chunk)
            if len(chunks) < 20:
                await asyncio.sleep(0.005)
        return chunks

    ending = stream_of(
        "let waits = 0; const piece = Buffer.alloc(65536, 'x');"
        " for (let i = 0; i < (event.again ? 1 : 200); i++) {"
        "   if (!stream.write(piece)) { waits++; await new Promise((r) => stream.once('drain', r)); } }"
        " console.log('waits', waits > 0); stream.end();",
        slowly,
    )
    assert len(ending.body) == 200 * 65_536
    assert "waits true" in ending.lines.text
    assert ending.follow_up.outcome is Outcome.SUCCESS


def test_a_pipeline_streams(stream_of):
    ending = stream_of(
        "const {pipeline} = await import('node:stream/promises'); const {Readable} = await import('node:stream');"
        " await pipeline(Readable.from(['a', 'b', 'c']), stream);"
    )
    assert ending.body == b"abc"


@pytest.mark.parametrize(
    ("source", "error_type", "message", "body"),
    [
        ("throw new RangeError('early');", "RangeError", "early", b""),
        ("stream.write('half'); throw new RangeError('late');", "RangeError", "late", b"half"),
        ("stream.write('half');", "Error", "Response stream is not finished.", b"half"),
        (
            "stream.write('half'); await new Promise(() => {});",
            "Runtime.NodeJsExit",
            "unexpected Node.js exit",
            b"half",
        ),
        ("stream.write('x'); stream.setContentType('a/b');", "Runtime.InvalidStreamingOperation", "too late", None),
    ],
)
def test_an_error_ends_the_stream(stream_of, source, error_type, message, body):
    ending = stream_of("if (event.again) { stream.end('fine'); return; }" + source)
    assert ending.answer.outcome is Outcome.ERROR
    error = json.loads(ending.answer.payload)
    assert (error["errorType"], message in error["errorMessage"]) == (error_type, True)
    if body is not None:
        assert ending.body == body
    assert ending.follow_up.payload == b"fine"


@pytest.mark.parametrize(
    ("source", "outcome", "message"),
    [
        ("process.exit(3);", Outcome.EXIT, "exit status 3"),
        ("process.kill(process.pid, 'SIGKILL'); for(;;);", Outcome.EXIT, "signal: killed"),
        ("await new Promise((r) => setTimeout(r, 60000));", Outcome.TIMEOUT, "Task timed out after 3.00 seconds"),
        ("Promise.reject(new Error('lost')); await new Promise((r) => setTimeout(r, 60000));", Outcome.ERROR, "lost"),
    ],
)
def test_a_function_dies_in_the_middle(stream_of, source, outcome, message):
    ending = stream_of(f"stream.write('half'); await new Promise((r) => setTimeout(r, 100)); {source}", timeout_s=1.5)
    assert (ending.answer.outcome, ending.answer.streamed, ending.body) == (outcome, True, b"half")
    assert message in json.loads(ending.answer.payload)["errorMessage"]


def test_a_reader_that_leaves_stops_nothing(stream_of):
    async def leave(stream):
        async for chunk in stream:
            stream.abandon()
            return [chunk]
        return []

    ending = stream_of(
        "for (let i = 0; i < (event.again ? 1 : 300); i++) {"
        " if (!stream.write(Buffer.alloc(65536))) await new Promise((r) => stream.once('drain', r)); }"
        " console.log('to the end'); stream.end();",
        leave,
    )
    assert ending.answer.outcome is Outcome.SUCCESS
    assert ending.lines.text.count("to the end") == 2
