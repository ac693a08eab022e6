"""What a function prints, as log events: lines, records, drains, and what it may write to break them."""

import asyncio
import itertools
import os
import struct
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosset.environments.log_pipe import MAX_EVENT_BYTES, FrameDecoder, LineDecoder, LogPipe
from support.clock import ManualClock
from support.written import Lines

NOW_MS = ManualClock().now_ms()


def frame(message, timestamp_ms=1_700_000_000_123, kind=0xA55A0003):
    return struct.pack(">IIQ", kind, len(message), timestamp_ms * 1000) + message


def lines_of(*pieces, decoder=LineDecoder):
    lines = Lines()
    decoding = decoder(lines, ManualClock())
    for piece in pieces:
        decoding.feed(piece)
    decoding.finish()
    return lines.events


def test_lines_keep_their_line_feed_and_are_stamped():
    assert lines_of(b"one\ntwo\n") == [(NOW_MS, "one\n"), (NOW_MS, "two\n")]


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_lines_do_not_depend_on_how_the_bytes_arrive(data, cuts):
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[a:b] for a, b in itertools.pairwise(edges)]
    expected = [part.decode("utf-8", "replace") for part in data.split(b"\n")]
    whole = [part + "\n" for part in expected[:-1]] + ([expected[-1]] if expected[-1] else [])
    assert [message for _, message in lines_of(*pieces)] == whole


def test_a_long_line_is_cut_between_characters():
    data = ("ü" * MAX_EVENT_BYTES).encode()
    messages = [message for _, message in lines_of(b"x" + data + b"\n")]
    assert "".join(messages) == "x" + "ü" * MAX_EVENT_BYTES + "\n"
    assert all(len(message.encode()) <= MAX_EVENT_BYTES for message in messages)


def test_a_line_without_end_is_not_kept_whole():
    lines = Lines()
    decoder = LineDecoder(lines, ManualClock())
    for _ in range(100):
        decoder.feed(b"x" * 32768)
        assert len(decoder._rest) < MAX_EVENT_BYTES
    assert sum(len(message) for message in lines.messages) >= 100 * 32768 - MAX_EVENT_BYTES


def test_a_frame_is_one_event_with_its_own_time():
    assert lines_of(frame(b"two\nlines\n"), decoder=FrameDecoder) == [(1_700_000_000_123, "two\nlines\n")]


@given(st.lists(st.binary(max_size=50), max_size=4), st.lists(st.integers(0, 300), max_size=6))
def test_frames_do_not_depend_on_how_the_bytes_arrive(messages, cuts):
    data = b"".join(map(frame, messages))
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[a:b] for a, b in itertools.pairwise(edges)]
    expected = [message.decode("utf-8", "replace") for message in messages if message]
    assert [message for _, message in lines_of(*pieces, decoder=FrameDecoder)] == expected


def test_what_is_no_frame_comes_as_lines_and_the_next_frame_is_found():
    data = b"stray\nbytes\n" + frame(b"record") + b"more\n" + frame(b"another")
    assert [message for _, message in lines_of(data, decoder=FrameDecoder)] == [
        "stray\n",
        "bytes\n",
        "record",
        "more\n",
        "another",
    ]


def test_a_frame_that_lies_about_its_length_costs_no_memory():
    lines = Lines()
    decoder = FrameDecoder(lines, ManualClock())
    decoder.feed(struct.pack(">IIQ", 0xA55A0003, 0xFFFFFFFF, 0))
    for _ in range(50):
        decoder.feed(b"x" * 32768)
        assert len(decoder._rest) < MAX_EVENT_BYTES + 32768
    decoder.finish()
    assert len(lines.text) == 50 * 32768


def test_a_forged_time_is_replaced():
    data = struct.pack(">IIQ", 0xA55A0003, 1, 0xFFFFFFFFFFFFFFFF) + b"x"
    assert lines_of(data, decoder=FrameDecoder) == [(NOW_MS, "x")]


@given(st.lists(st.binary(max_size=80), max_size=5))
def test_no_bytes_break_the_frame_decoder(pieces):
    lines_of(*pieces, decoder=FrameDecoder)


@pytest.fixture
def in_loop():
    """Runs body(write end, telemetry write end, pipe, lines) in a loop."""

    def run(body):
        async def main():
            (output, output_in), (telemetry, telemetry_in) = os.pipe(), os.pipe()
            lines = Lines()
            pipe = LogPipe(lines, ManualClock(), output, telemetry)
            try:
                await body(output_in, telemetry_in, pipe, lines)
            finally:
                pipe.close()
                pipe.close()
                for fd in (output_in, telemetry_in):
                    os.close(fd)

        asyncio.run(asyncio.wait_for(main(), 60))

    return run


def test_drain_passes_on_everything_that_was_written_before_it(in_loop):
    async def body(output, telemetry, pipe, lines):
        os.write(output, b"line\nrest")
        os.write(telemetry, frame(b"record"))
        await pipe.drain()
        assert lines.messages == ["line\n", "rest", "record"]

    in_loop(body)


def test_drained_is_what_holds_nothing_any_more(in_loop):
    async def body(output, telemetry, pipe, lines):
        assert pipe.is_drained()
        os.write(telemetry, frame(b"record"))
        assert not pipe.is_drained()
        await pipe.drain()
        assert pipe.is_drained()
        os.write(output, b"rest")
        while not lines.messages[1:] and not pipe.is_drained():  # the loop reads it; the end of its line never comes
            await asyncio.sleep(0)
        assert lines.messages == ["record", "rest"]

    in_loop(body)


def test_drain_ends_though_a_child_prints_on(in_loop):
    async def body(output, telemetry, pipe, lines):
        stop = threading.Event()

        def print_on():
            while not stop.is_set():
                os.write(output, b"x" * 1000 + b"\n")

        thread = threading.Thread(target=print_on)
        thread.start()
        try:
            for _ in range(20):
                await pipe.drain()
        finally:
            stop.set()
            while thread.is_alive():
                await pipe.drain()
                thread.join(0.01)

    in_loop(body)


def test_a_full_pipe_of_empty_lines_leaves_the_loop_to_others(in_loop):
    async def body(output, telemetry, pipe, lines):
        os.write(output, b"\n" * 60_000)
        turns = 0

        async def others():
            nonlocal turns
            while len(lines.events) < 60_000:
                turns += 1
                await asyncio.sleep(0)

        await asyncio.gather(pipe.drain(), others())
        assert len(lines.events) == 60_000
        assert turns >= 4

    in_loop(body)


def test_lines_come_without_a_drain_too(in_loop):
    async def body(output, telemetry, pipe, lines):
        os.write(output, b"line\n")
        while not lines.events:
            await asyncio.sleep(0)
        assert lines.messages == ["line\n"]

    in_loop(body)


def test_the_end_of_the_writers_passes_on_the_rest():
    async def main():
        output, output_in = os.pipe()
        lines = Lines()
        pipe = LogPipe(lines, ManualClock(), output)
        os.write(output_in, b"no line feed")
        os.close(output_in)
        while not lines.events:
            await asyncio.sleep(0)
        await pipe.drain()
        pipe.close()
        assert lines.messages == ["no line feed"]

    asyncio.run(asyncio.wait_for(main(), 60))
