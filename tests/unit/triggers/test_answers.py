"""Answers that no JSON encoder of a function would give: custom runtimes may."""

import pytest

from cosset.triggers.answers import failed_ids

IDS = ("a", "b")


@pytest.mark.parametrize(
    ("payload", "failed"),
    [
        (b"", ()),
        (b"null", ()),
        (b'""', ()),
        (b"not json", IDS),
        (b'{"batchItemFailures":', IDS),
        (b"\xff\xfe", IDS),
        (b"[" * 100_000, IDS),
        (b'{"batchItemFailures":[{"itemIdentifier":"b"}]}', ("b",)),
        (b'{"batchItemFailures":[{"itemIdentifier":"b"},{"itemIdentifier":"b"}]}', ("b",)),
        (b'{"batchItemFailures":[{"itemIdentifier":1}]}', IDS),
        (b'{"batchItemFailures":[null]}', IDS),
        (b'{"batchItemFailures":false}', IDS),
        (b"false", IDS),
        (b"0", IDS),
    ],
)
def test_what_failed(payload: bytes, failed: tuple[str, ...]) -> None:
    assert failed_ids(payload, IDS) == frozenset(failed)
