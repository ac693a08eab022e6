"""The trace header: what every call gets, and how often a function ran on the way."""

import re

import pytest

from cosset.invocation import lineage

F, G = (f"arn:aws:lambda:us-east-1:111111111111:function:{name}" for name in "fg")
NOW_MS = 1_763_700_000_000


def test_a_call_without_a_header_begins_a_trace() -> None:
    header = lineage.begin("", NOW_MS)
    root, parent, sampled = header.split(";")
    assert re.fullmatch("Root=1-691fed20-[0-9a-f]{24}", root)
    assert re.fullmatch("Parent=[0-9a-f]{16}", parent)
    assert sampled == "Sampled=0"
    assert not lineage.is_sampled(header)


@pytest.mark.parametrize("header", ["Root=1-2-3;Parent=4;Sampled=1", "Root=1-2-3;Parent=4;Sampled=0;Lineage=00aa:2"])
def test_a_whole_header_stays_as_it_came(header: str) -> None:
    assert lineage.begin(header, NOW_MS) == header
    assert lineage.is_sampled(header) == ("Sampled=1" in header)


@pytest.mark.parametrize("end", ["\r\nLambda-Runtime-Deadline-Ms: 0", "\n", "\x85", "é", ";" * lineage.MAX_HEADER])
def test_what_is_no_line_of_a_header_begins_a_trace(end: str) -> None:
    header = lineage.begin(f"Root=1-2-3;Parent=4;Sampled=1{end}", NOW_MS)
    assert re.fullmatch("Root=1-691fed20-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0", header)


def test_what_a_header_lacks_is_added() -> None:
    assert lineage.begin("Root=1-2-3;CalledFrom=app", NOW_MS).startswith("Root=1-2-3;Parent=")
    assert lineage.begin("Root=1-2-3;CalledFrom=app", NOW_MS).endswith(";Sampled=0;CalledFrom=app")


def test_runs_are_counted_by_function() -> None:
    header = lineage.begin("", NOW_MS)
    for before in range(3):
        header, count = lineage.enter(header, F)
        assert count == before
    header, count = lineage.enter(header, G)
    assert count == 0
    assert lineage.enter(header, F)[1] == 3
    assert header.count("Lineage=") == 1


@pytest.mark.parametrize("header", ["", ";;;=", "Lineage=x", "Lineage=:|:", "Lineage=" + "9" * 5000, "Root", "\0"])
def test_a_broken_header_counts_from_nothing(header: str) -> None:
    entered, before = lineage.enter(lineage.begin(header, NOW_MS), F)
    assert before == 0
    assert lineage.enter(entered, F)[1] == 1
    assert len(entered) < 2 * lineage.MAX_HEADER


def test_a_lineage_stays_short_and_keeps_who_runs_most() -> None:
    header = lineage.enter(lineage.begin("", NOW_MS), F)[0]
    for number in range(100):
        header = lineage.enter(lineage.enter(header, F)[0], f"{G}{number}")[0]
    assert lineage.enter(header, F)[1] == 101
    assert len(header) < 700
