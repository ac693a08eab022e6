"""What caused what: keys and steps, the buffer before the disk, trees and the map of them."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from cosset.observe.cause_buffer import MAX_TRIES, CauseBuffer, pack_steps
from cosset.observe.cause_map import Place, count_edges
from cosset.observe.cause_tree import Node, Steps, related
from cosset.observe.causes import RecordedEvent, Step, StepKind, cause_in, dead_letter_id, key_of, root_in
from cosset.store.journal import Journal, JournalBounds
from support.clock import ManualClock

QUEUE = "arn:aws:sqs:us-east-1:111111111111:q"
F = "arn:aws:lambda:us-east-1:111111111111:function:f"
G = "arn:aws:lambda:us-east-1:111111111111:function:g"


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
    (line,) = pack_steps([whole, whole])
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
    assert len(related(lambda: steps, "7", most=10)) < 60
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


def test_steps_are_written_together_and_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        steps, events = Lines(), Lines()
        buffer = CauseBuffer(steps, events, ManualClock(0), max_waiting=3, max_event_bytes=10)
        for number in range(5):
            buffer.happened(step(str(number)))
        buffer.ran_with(event("small"))
        buffer.ran_with(event("large", b"x" * 11))
        await buffer.flush()
        await buffer.flush()
        assert [step.id for step in buffer.steps()] == ["0", "1", "2"]
        assert len(steps.written) == 1
        assert "2 steps were left out" in caplog.text
        assert buffer.event("111111111111", "us-east-1", "small") == event("small")
        for account, region, name in (
            ("222222222222", "us-east-1", "small"),
            ("111111111111", "eu-west-1", "small"),
            ("111111111111", "us-east-1", "large"),
        ):
            assert buffer.event(account, region, name) is None

    asyncio.run(scenario())


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
        buffer.ran_with(event())
        await buffer.flush()
        assert list(buffer.steps()) == []
        assert buffer.event("111111111111", "us-east-1", "r") is None

    asyncio.run(scenario())


def test_any_bytes_run_again_from_the_disk(tmp_path: Path) -> None:
    async def scenario() -> None:
        clock = ManualClock(1_000)
        events = Journal(tmp_path, JournalBounds(10**6, 60), clock)
        buffer = CauseBuffer(None, events, clock)
        odd = event("odd", bytes(range(256)))._replace(client_context='{"a": "\n"}', qualifier="live")
        buffer.ran_with(odd._replace(at_ms=1, payload=b"earlier"))
        buffer.ran_with(odd)
        buffer.ran_with(event("od"))
        await buffer.flush()
        events.close()
        assert buffer.event("111111111111", "us-east-1", "odd") == odd

    asyncio.run(scenario())
