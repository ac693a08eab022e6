"""What caused what: keys and steps, the buffer before the disk, trees and the map of them."""

import asyncio
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from cosset.observe.cause_buffer import MAX_TRIES, CauseBuffer, pack, read_events, read_steps
from cosset.observe.cause_map import Place, count_edges
from cosset.observe.cause_tree import Node, Steps, related
from cosset.observe.causes import (
    MAX_CAUSES,
    Ran,
    RecordedEvent,
    Step,
    StepKind,
    Unkept,
    cause_in,
    dead_letter_id,
    key_of,
    root_in,
)
from cosset.store.journal import Journal, JournalBounds
from support.clock import ManualClock

QUEUE = "arn:aws:sqs:us-east-1:111111111111:q"
F = "arn:aws:lambda:us-east-1:111111111111:function:f"
G = "arn:aws:lambda:us-east-1:111111111111:function:g"


ODD_LINES = (
    b"",
    b"null",
    b"{}",
    b'{"of": 7}',
    b'{"of": [], "runs": [[]]}',
    b'{"of": ["", "", "", "", "", ""]}',
    b'{"of": ["a", "b", "c", null, null], "runs": [["r", 1, 7]]}',
    b"[[[[[",
    b"[null]",
    b'["x"]',
    b"\xff\xfe",
)


def step(id_: str, kind: str = StepKind.INVOCATION, *causes: str, at_ms: int = 0, **values: object) -> Step:
    given = {"account": "111111111111", "region": "us-east-1", "resource": F} | values
    return Step(kind=kind, id=id_, at_ms=at_ms, causes=causes, **given)  # type: ignore[arg-type]


def shape(nodes: Sequence[Node]) -> list[object]:
    return [(node.step.id, shape(node.children)) if node.children else node.step.id for node in nodes]


def tree_of(steps: Sequence[Step], name: str) -> list[object]:
    known = Steps(related(lambda: [*steps, step("stranger")], name))
    return shape(known.tree(known.find(name)).roots)


def event(request_id: str = "r", payload: bytes = b"{}") -> RecordedEvent:
    return RecordedEvent(
        request_id=request_id,
        account="111111111111",
        region="us-east-1",
        function_name="f",
        qualifier=None,
        at_ms=5,
        client_context=None,
        payload=payload,
    )


def run(request_id: str = "r", payload: bytes | None = b"{}", **values: object) -> Ran:
    """What `event` is made of."""
    given: dict[str, object] = {
        "account": "111111111111",
        "region": "us-east-1",
        "function_arn": F,
        "version": "$LATEST",
        "source": QUEUE,
        "causes": ("0123456789abcdef",),
        "ended_ms": 7,
        "duration_ms": 2.25,
        "error": "",
        "trace_id": "Root=1-a-b;Parent=0123456789abcdef",
        "function_name": "f",
        "qualifier": None,
        "client_context": None,
    }
    return Ran(request_id=request_id, payload=payload, **given | values)  # type: ignore[arg-type]


class Lines:
    """A journal in memory, which fails as often as it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.written: list[list[bytes]] = []
        self.failures = failures

    async def append(self, lines: Sequence[bytes]) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError("no room")
        self.written.append(list(lines))

    async def prune(self) -> None:
        pass

    def lines(self) -> Iterator[bytes]:
        for batch in self.written:
            yield from batch


@pytest.mark.parametrize(
    ("header", "cause", "root"),
    [
        ("Root=1-a-b;Parent=0123456789abcdef;Sampled=0", ("0123456789abcdef",), "1-a-b"),
        (" Sampled=0 ; Parent=0123456789abcdef", ("0123456789abcdef",), ""),
        ("Root=1;Parent=short", (), "1"),
        ("XParent=0123456789abcdef", (), ""),
        ("", (), ""),
        (None, (), ""),
    ],
)
def test_what_a_header_says(header: str | None, cause: tuple[str, ...], root: str) -> None:
    assert (cause_in(header), root_in(header)) == (cause, root)


def test_steps_come_back_as_they_were_and_torn_lines_are_none() -> None:
    whole = step("r", StepKind.CALL, "a" * 16, name="sqs:SendMessage", error="Odd\n\u2028", resource="arn:\ud800")
    ((line,), _) = pack([whole, whole])
    assert b"\n" not in line
    lines = Lines()
    lines.written = [[line, line[:-5], b"", b"[]", b"{}", b"[1,2]", b"[[1]]", b"\xff"]]
    assert list(CauseBuffer(lines, None, ManualClock(0)).steps()) == [whole, whole]


def test_a_chain_is_one_tree_wherever_one_asks() -> None:
    chain = [
        step("call", StepKind.CALL, at_ms=1),
        step("m", StepKind.MESSAGE, key_of("call"), at_ms=1),
        step("f", StepKind.INVOCATION, key_of("m", StepKind.MESSAGE), at_ms=2),
        step("g", StepKind.INVOCATION, key_of("f"), at_ms=3),
    ]
    whole: list[object] = [("call", [("m", [("f", ["g"])])])]
    for name in ("call", "m", "f", "g"):
        assert tree_of(chain, name) == whole
        assert tree_of(chain[::-1], name) == whole


def test_who_is_named_twice_stands_under_the_nearer_cause() -> None:
    """A message names its call; who took it also names the sender that the trace header told of."""
    steps = [
        step("f"),
        step("call", StepKind.CALL, key_of("f"), at_ms=1),
        step("m", StepKind.MESSAGE, key_of("call"), at_ms=2),
        step("g", StepKind.INVOCATION, key_of("m", StepKind.MESSAGE), key_of("f"), at_ms=3),
    ]
    assert tree_of(steps, "g") == [("f", [("call", [("m", ["g"])])])]
    assert tree_of([steps[0], steps[3]], "g") == [("f", ["g"])]  # where the sending was lost


def test_dead_letters_and_redrives_stand_under_what_was_moved() -> None:
    """Who takes a message that was moved names how it stood there, and the sender that the trace header tells of."""
    dead = dead_letter_id("m", QUEUE)
    steps = [
        step("f"),
        step("call", StepKind.CALL, key_of("f"), at_ms=1),
        step("m", StepKind.MESSAGE, key_of("call"), at_ms=2),
        step(dead, StepKind.DEAD_LETTER, key_of("m", StepKind.MESSAGE), at_ms=3),
        step("m2", StepKind.MESSAGE, key_of(dead, StepKind.DEAD_LETTER), at_ms=4),
        step("g", StepKind.INVOCATION, key_of("m2", StepKind.MESSAGE), key_of("f"), at_ms=5),
    ]
    assert tree_of(steps, "m") == [("f", [("call", [("m", [(dead, [("m2", ["g"])])])])])]
    causes = (key_of("m", StepKind.MESSAGE), key_of(dead, StepKind.DEAD_LETTER))
    taken = [*steps[:4], step("h", StepKind.INVOCATION, *causes, key_of("f"), at_ms=5)]
    assert tree_of(taken, "m") == [("f", [("call", [("m", [(dead, ["h"])])])])]
    assert tree_of([*taken[:3], taken[4]], "m") == [("f", [("call", [("m", ["h"])])])]  # where the move was lost
    assert tree_of(steps[3:4], "m") == [dead]  # where the sending is not on record any more


def test_an_alarm_is_found_by_its_name_as_it_last_moved() -> None:
    arn = "arn:aws:cloudwatch:us-east-1:111111111111:alarm:a"
    moves = [
        step(f"{arn}#{state}@{at}", StepKind.ALARM, at_ms=at, resource=arn) for state, at in (("OK", 1), ("ALARM", 2))
    ]
    for name in (arn, "alarm:a"):
        assert Steps(moves).find(name) == [moves[1].key]
    assert Steps(moves).find("a") == []


def test_a_batch_has_all_its_causes_and_is_spelled_out_once() -> None:
    steps = [
        *(step(f"m{number}", StepKind.MESSAGE, at_ms=number) for number in range(2)),
        step("f", StepKind.INVOCATION, *(key_of(f"m{number}", StepKind.MESSAGE) for number in range(2)), at_ms=5),
        step("g", StepKind.INVOCATION, key_of("f"), at_ms=6),
    ]
    assert tree_of(steps, "g") == [("m0", [("f", ["g"])]), ("m1", ["f"])]


def test_a_retried_event_is_one_step_with_its_last_end() -> None:
    known = Steps([step("r", error="failure", at_ms=1), step("r", at_ms=9), step("r", StepKind.CALL, name="Invoke")])
    (node,) = known.tree(known.find("r")).roots
    assert (node.times, node.step.error, node.step.kind) == (2, "", StepKind.INVOCATION)


def test_rings_and_long_chains_end() -> None:
    ring = [step("a", StepKind.INVOCATION, key_of("b")), step("b", StepKind.INVOCATION, key_of("a"))]
    assert tree_of(ring, "a") == [("a", [("b", ["a"])])]
    assert tree_of([step("a", StepKind.INVOCATION, key_of("a"))], "a") == ["a"]
    chain = [step("0"), *(step(str(at), StepKind.INVOCATION, key_of(str(at - 1)), at_ms=at) for at in range(1, 3_000))]
    known = Steps(chain)
    assert known.tree(known.find("7"), limit=2_500).left_out == 1


def test_objects_are_found_by_key_and_version() -> None:
    made = [step(f"b/k@v{n}#{n}", StepKind.OBJECT, at_ms=n, resource="arn:aws:s3:::b/k") for n in (1, 2)]
    known = Steps(made)
    assert known.find("b/k") == known.find("s3://b/k@v2") == [made[1].key]
    assert known.find("b/k@v1") == [made[0].key]
    assert known.find("b/other") == []


def test_only_what_is_related_is_looked_at_and_only_so_much() -> None:
    steps = [step("root"), *(step(str(at), StepKind.INVOCATION, key_of("root")) for at in range(50)), step("other")]
    assert len(related(lambda: steps, "7")) == 51
    assert len(related(lambda: steps, "7", most=10)) <= 10
    assert related(lambda: steps, "nobody") == []


def test_the_map_counts_by_places() -> None:
    steps = [
        step("1", source=QUEUE, at_ms=10),
        step("2", source=QUEUE, at_ms=20, error="timeout"),
        step("3", source=QUEUE, at_ms=5),
        step("4", StepKind.CALL, source=f"{F}:live", resource="arn:aws:s3:::b/k", name="s3:PutObject", at_ms=20),
        step("5", StepKind.MESSAGE, at_ms=20),
    ]
    edges = count_edges(steps, since_ms=10)
    assert set(edges) == {Place(QUEUE, F), Place(F, "arn:aws:s3:::b")}
    traffic = edges[Place(QUEUE, F)]
    assert (traffic.count, traffic.errors, traffic.last_ms) == (2, 1, 20)
    assert edges[Place(F, "arn:aws:s3:::b")].means == "s3:PutObject"


def test_the_url_of_a_function_is_the_function_on_the_map() -> None:
    topic, id_ = "arn:aws:sns:us-east-1:111111111111:t", "a" * 32
    addresses = (
        f"http://{id_}.lambda-url.us-east-1.localhost:1/x",
        f"https://h/_cosset/url/{id_}/y",
        f"https://h/{id_}",
    )
    steps = [step(str(at), StepKind.POST, source=topic, resource=each) for at, each in enumerate(addresses)]
    steps.append(step("r", source=f"{F}/url"))
    (posted, ran), traffic = count_edges(steps, 0, {id_: f"{F}/url"}), count_edges(steps, 0)
    assert (posted, ran) == (Place(topic, f"{F}/url"), Place(f"{F}/url", F))
    assert len(traffic) == 4


def test_steps_are_written_together_and_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        steps, events = Lines(), Lines()
        buffer = CauseBuffer(steps, events, ManualClock(0), max_waiting=3, max_event_bytes=10)
        for number in range(2):
            buffer.happened(step(str(number)))
        buffer.ran(run("small"))
        for number in range(2):
            buffer.happened(step(str(number)))
            buffer.ran(run(str(number)))
        await buffer.flush()
        buffer.ran(run("large", b"x" * 11))
        await buffer.flush()
        await buffer.flush()
        assert [step.id for step in buffer.steps()] == ["0", "1", "small", "large"]
        assert [len(lines.written) for lines in (steps, events)] == [2, 1]
        assert "4 steps were left out" in caplog.text
        assert buffer.event("111111111111", "us-east-1", "small") == event("small")
        for account, region, name in (
            ("222222222222", "us-east-1", "small"),
            ("111111111111", "eu-west-1", "small"),
            ("111111111111", "us-east-1", "large"),
        ):
            assert buffer.event(account, region, name) is None

    asyncio.run(scenario())


def test_an_invocation_is_a_step_with_all_that_was_told_of_it() -> None:
    async def scenario() -> None:
        buffer = CauseBuffer(Lines(), Lines(), ManualClock(0))
        buffer.ran(run("a", error="timeout"))
        buffer.ran(run("b", version="3", source="", causes=(), trace_id=""))
        buffer.ran(run("c", causes=tuple(f"{number:016x}" for number in range(MAX_CAUSES + 5))))
        await buffer.flush()
        a, b, c = buffer.steps()
        assert a == step("a", StepKind.INVOCATION, "0123456789abcdef", at_ms=5, name="$LATEST", source=QUEUE,
                         duration_ms=2.25, error="timeout", root="1-a-b")  # fmt: skip
        assert b == step("b", at_ms=5, name="3", duration_ms=2.25)
        assert len(c.causes) == MAX_CAUSES

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("keeps", "payload", "why"),
    [
        (True, b"{}", ""),
        (True, None, Unkept.FUNCTION),
        (True, b"x" * 11, f"{Unkept.LARGE}11"),
        (False, b"{}", Unkept.OFF),
    ],
)
def test_why_an_event_is_not_kept_is_on_record(keeps: bool, payload: bytes | None, why: str) -> None:
    async def scenario() -> None:
        buffer = CauseBuffer(Lines(), Lines() if keeps else None, ManualClock(0), max_event_bytes=10)
        buffer.ran(run("r", payload))
        await buffer.flush()
        assert [each.unkept for each in buffer.steps()] == [why]
        assert (buffer.event("111111111111", "us-east-1", "r") is None) == bool(why)

    asyncio.run(scenario())


def test_what_waits_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        buffer = CauseBuffer(Lines(), Lines(), ManualClock(0))
        for name in ("a", "b", "c"):
            buffer.ran(run(name, b"x" * 60))
        await buffer.flush()
        buffer.ran(run("d", b"x" * 60))  # what was written leaves room
        await buffer.flush()
        assert [each.unkept for each in buffer.steps()] == ["", Unkept.FULL, Unkept.FULL, ""]

    monkeypatch.setattr("cosset.observe.cause_buffer.MAX_WAITING_BYTES", 100)
    asyncio.run(scenario())


def test_lines_of_earlier_releases_are_read() -> None:
    old = [list(step("r", at_ms=3))[:12], ["what is no step"], 7]
    event_values = [*event("r")[:-1], "{}"]
    steps, events = Lines(), Lines()
    steps.written, events.written = [[json.dumps(old).encode()]], [[json.dumps([event_values, []]).encode()]]
    buffer = CauseBuffer(steps, events, ManualClock(0))
    assert list(buffer.steps()) == [step("r", at_ms=3)]
    assert buffer.event("111111111111", "us-east-1", "r") == event("r")


@pytest.mark.parametrize("whole", [pack([run("a"), run("b", b"[1]")]), pack([step("a"), step("b")])])
def test_of_a_torn_or_twisted_line_nothing_is_read_and_nothing_breaks(whole: tuple[list[bytes], list[bytes]]) -> None:
    lines = [line for some in whole for line in some]
    for line in lines:
        for cut in range(len(line)):
            assert list(read_steps(line[:cut])) == list(read_events(line[:cut])) == []
    for odd in ODD_LINES:
        assert list(read_steps(odd)) == list(read_events(odd)) == []


def test_what_the_disk_does_not_take_holds_nothing_up(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        clock, lines = ManualClock(0), Lines(failures=MAX_TRIES + 1)
        buffer = CauseBuffer(lines, None, clock)
        buffer.happened(step("lost"))
        lost = asyncio.create_task(buffer.flush())
        while not lost.done():
            clock.advance(1)
            await asyncio.sleep(0.001)  # lets the thread work
        assert "1 steps or events are lost" in caplog.text
        buffer.happened(step("kept"))
        kept = asyncio.create_task(buffer.flush())
        while not kept.done():
            clock.advance(1)
            await asyncio.sleep(0.001)  # lets the thread work
        assert [each.id for each in buffer.steps()] == ["kept"]

    asyncio.run(scenario())


def test_switched_off_nothing_is_kept() -> None:
    async def scenario() -> None:
        buffer = CauseBuffer(None, None, ManualClock(0))
        buffer.happened(step("r"))
        buffer.ran(run())
        await buffer.flush()
        assert not buffer.keeps_runs
        assert list(buffer.steps()) == []
        assert buffer.event("111111111111", "us-east-1", "r") is None

    asyncio.run(scenario())


def test_any_bytes_run_again_from_the_disk(tmp_path: Path) -> None:
    async def scenario() -> None:
        clock = ManualClock(1_000)
        events = Journal(tmp_path, JournalBounds(10**6, 60), clock)
        buffer = CauseBuffer(None, events, clock)
        odd = run("odd", bytes(range(256)), client_context='{"a": "\n"}', qualifier="live")
        buffer.ran(odd._replace(ended_ms=1, payload=b"earlier"))
        buffer.ran(odd)
        buffer.ran(run("od"))
        await buffer.flush()
        events.close()
        found = event("odd", bytes(range(256)))._replace(client_context='{"a": "\n"}', qualifier="live")
        assert buffer.event("111111111111", "us-east-1", "odd") == found

    asyncio.run(scenario())


def test_the_record_keeps_to_its_bounds_whatever_is_told(tmp_path: Path) -> None:
    """Filled many times over, grown old, torn in the middle, and with no room left: it never holds more than it may."""

    async def scenario() -> None:
        clock = ManualClock(1_000_000)
        bounds = JournalBounds(200_000, 800)
        journals = [Journal(tmp_path / name, bounds, clock) for name in ("steps", "events")]
        buffer = CauseBuffer(*journals, clock)
        for batch in range(40):
            for number in range(500):
                buffer.ran(run(f"{batch}-{number}", b"x" * 60))
            await buffer.flush()
        sizes = [sum(path.stat().st_size for path in (tmp_path / name).iterdir()) for name in ("steps", "events")]
        assert all(150_000 < size <= 200_000 for size in sizes)
        kept = [each.id for each in buffer.steps()]
        assert kept[-1] == "39-499"
        assert kept == [f"{batch}-{number}" for batch in range(40) for number in range(500)][-len(kept) :]
        assert buffer.event("111111111111", "us-east-1", "0-0") is None
        assert buffer.event("111111111111", "us-east-1", "39-499") is not None
        newest = max((tmp_path / "steps").iterdir())
        times_ns = (newest.stat().st_mtime_ns, newest.stat().st_mtime_ns)
        newest.write_bytes(newest.read_bytes()[:-50])  # a crash in the middle of the last line
        os.utime(newest, ns=times_ns)
        torn = [each.id for each in buffer.steps()]
        assert torn == kept[: len(torn)]
        assert 0 < len(torn) < len(kept)
        clock.advance(900)
        for journal in journals:
            await journal.prune()
        assert list(buffer.steps()) == []
        assert buffer.event("111111111111", "us-east-1", "39-499") is None
        for journal in journals:
            journal.close()

    asyncio.run(scenario())


def test_with_no_room_on_the_disk_nothing_is_held_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        clock = ManualClock(0)
        full = Journal(tmp_path, JournalBounds(10**6, 60), clock, min_free_mb=2**40)
        buffer = CauseBuffer(full, full, clock)
        buffer.ran(run())
        flushed = asyncio.create_task(buffer.flush())
        while not flushed.done():
            clock.advance(1)
            await asyncio.sleep(0.001)  # lets the thread work
        assert list(buffer.steps()) == []
        assert caplog.text.count("lost to what caused what") == 2

    asyncio.run(scenario())
