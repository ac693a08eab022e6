"""The suite's own guard: what a test leaves unread does not reach the next one."""

from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from support.answers import OpenAnswers


class Raw:
    """As urllib3's, of a body of so many bytes."""

    def __init__(self, length: int) -> None:
        self.length_remaining = length
        self.connection: object | None = object()

    def drain_conn(self) -> None:
        self.connection = None

    def close(self) -> None:
        self.connection = None


@pytest.fixture
def answers() -> Any:
    watched = OpenAnswers()
    with pytest.MonkeyPatch.context() as patch:
        watched.watch(patch)
        yield watched


def test_what_is_not_read_is_closed_with_the_test(answers: OpenAnswers) -> None:
    raw = Raw(10)
    answer = AWSResponse("http://x/", 200, {}, raw)
    assert raw.connection is not None
    answers.close()
    assert raw.connection is None
    assert answer.status_code == 200


def test_an_answer_without_a_body_keeps_no_connection(answers: OpenAnswers) -> None:
    raw = Raw(0)
    AWSResponse("http://x/", 202, {}, raw)
    assert raw.connection is None


def test_those_that_were_read_are_forgotten(answers: OpenAnswers) -> None:
    for _ in range(1_000):
        raw = Raw(10)
        AWSResponse("http://x/", 200, {}, raw)
        raw.connection = None
    assert len(answers._open) < 50
