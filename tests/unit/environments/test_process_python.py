"""Real Python functions through the process tier: what the caller gets for each way a function can end."""

import json
from functools import partial

import pytest

from cosset.clock import SystemClock
from cosset.environments.api import Outcome
from cosset.environments.process import ProcessTier
from cosset.runtimes.catalogue import Catalogue
from support.written import event_for, invoke_once, spec_for


@pytest.fixture(scope="module")
def tier():
    return partial(ProcessTier, Catalogue(), SystemClock())


@pytest.fixture
def code(tmp_path):
    def write(source, name="app.py"):
        (tmp_path / name).write_text(source)
        return tmp_path

    return write


def test_a_function_answers_and_what_it_printed_came_first(tier, code):
    spec = spec_for(code("def handler(event, context):\n    print('hello', event['name'])\n    return {'id': 7}\n"))
    answers, lines = invoke_once(tier, spec, event_for(b'{"name": "Ada"}'), event_for(b'{"name": "Bob"}'))
    assert [answer.outcome for answer in answers] == [Outcome.SUCCESS, Outcome.SUCCESS]
    assert json.loads(answers[0].payload) == {"id": 7}
    assert answers[0].content_type == "application/json"
    assert 0 < answers[0].max_memory_mb < 256
    assert lines.messages == ["hello Ada\n", "hello Bob\n"]
