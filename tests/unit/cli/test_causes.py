"""What `cosset trace` and `cosset map` print, and what `cosset replay` asks for."""

import base64

import pytest

from cosset.cli.failure import Failure
from cosset.cli.map import dot, label, mermaid, seconds, table
from cosset.cli.replay import arguments_of
from cosset.cli.trace import tree_lines

F = "arn:aws:lambda:us-east-1:111111111111:function:f"
QUEUE = "arn:aws:sqs:us-east-1:111111111111:q"
EDGES = [
    {"source": QUEUE, "target": F, "count": 3, "errors": 1, "configured": True, "means": "event source mapping"},
    {"source": F, "target": 'arn:aws:s3:::b"x', "count": 0, "errors": 0, "configured": True, "means": "destination"},
]
EVENT = {"function": "f", "qualifier": "live", "payload": base64.b64encode(b"{}").decode(), "client_context": None}


def step(depth: int, id_: str, **more: object) -> dict[str, object]:
    return {"depth": depth, "kind": "invocation", "id": id_, "resource": F, "name": "1", "at_ms": 0} | more


def test_a_tree_has_its_branches() -> None:
    steps = [step(0, "a"), step(1, "b"), step(2, "c"), step(1, "d", asked=True), step(2, "e"), step(0, "f")]
    starts = [line[: line.index("function")] for line in tree_lines(steps)]
    assert starts == ["  ", "  ├─ ", "  │  └─ ", "> └─ ", "     └─ ", "  "]


def test_a_step_says_how_it_went() -> None:
    (line,) = tree_lines([step(0, "id", error="timeout", times=3, duration_ms=2.25, again=True)])
    assert line == "  function f [1]  (timeout)  tried 3 times  2.2 ms  00:00:00.000  id  (as above)"


@pytest.mark.parametrize(
    ("kind", "more", "shown"),
    [
        ("message", {"resource": QUEUE, "name": "redrive"}, "message in queue q (redrive)"),
        ("dead-letter", {"resource": QUEUE, "id": f"m#{QUEUE}"}, "dead letter in queue q  00:00:00.000  m"),
        ("alarm", {"resource": "arn:aws:cloudwatch:r:1:alarm:a", "name": "to OK"}, "alarm a to OK  00:00:00.000"),
        ("post", {"resource": "https://x/y", "id": "m#s"}, "post to https://x/y  00:00:00.000  m"),
        (
            "log-events",
            {"resource": "arn:aws:logs:r:1:log-group:/g:*", "name": "subscription filter s"},
            "events of log group /g by subscription filter s",
        ),
        ("log-export", {"resource": "arn:aws:logs:r:1:log-group:/g:*"}, "export of log group /g"),
        ("call", {"resource": F, "name": "sqs:SendMessage", "source": QUEUE}, "sqs:SendMessage f by q"),
        ("object", {"id": "b/k\x1b[2J\nfunction g@v#1"}, "object b/k\\x1b[2J\\nfunction g@v"),
    ],
)
def test_what_each_kind_of_step_is_called(kind: str, more: dict[str, object], shown: str) -> None:
    (line,) = tree_lines([step(0, "id", kind=kind) | more])
    assert line.startswith(f"  {shown}")


def test_the_map_as_a_table_and_drawn() -> None:
    assert next(iter(table(EDGES))) == "queue q     ->  function f  3, 1 failed  event source mapping"
    assert "silent" in list(table(EDGES))[1]
    assert list(table([])) == ["nothing triggers anything here"]
    assert list(mermaid(EDGES)) == [
        "flowchart LR",
        '  n0["queue q"]',
        '  n1["function f"]',
        '  n2["bucket b#quot;x"]',
        '  n0 -->|"3, 1 failed"| n1',
        '  n1 -.->|"silent"| n2',
    ]
    assert list(dot(EDGES))[-2:] == ['  n1 -> n2 [label="silent", style=dashed];', "}"]


@pytest.mark.parametrize(
    ("arn", "shown"),
    [
        ("arn:aws:logs:r:1:log-group:/g:*", "log group /g"),
        ("arn:aws:cloudwatch:r:1:alarm:a", "alarm a"),
        ("arn:aws:s3:::b\x1b[2J", "bucket b\\x1b[2J"),
        (F, "function f"),
        (QUEUE, "queue q"),
        ("arn:aws:iam::1:user/a", "user/a"),
        ("https://x:1/y", "https://x:1/y"),
    ],
)
def test_labels(arn: str, shown: str) -> None:
    assert label(arn) == shown


def test_spans() -> None:
    assert [seconds(span) for span in ("90s", "15m", "6h", "2d")] == [90, 900, 21_600, 172_800]
    for odd in ("", "1", "h", "-1h", "1w", "1 h", "0s", "367d", "\u0661h"):
        with pytest.raises(Failure):
            seconds(odd)


@pytest.mark.parametrize(
    ("function", "asked"),
    [
        (None, {"FunctionName": "f", "Qualifier": "live"}),
        ("f", {"FunctionName": "f"}),
        ("g:2", {"FunctionName": "g", "Qualifier": "2"}),
        (f"{F}:2", {"FunctionName": f"{F}:2"}),
    ],
)
def test_a_replay_asks_for_the_same_or_another(function: str | None, asked: dict[str, str]) -> None:
    assert arguments_of(EVENT, function) == asked | {"Payload": b"{}"}


def test_a_replay_has_the_client_context() -> None:
    given = arguments_of(EVENT | {"client_context": '{"a":1}'}, None)
    assert base64.b64decode(given["ClientContext"]) == b'{"a":1}'
