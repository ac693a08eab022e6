"""Custom runtimes through the process tier: a `bootstrap` file that speaks the Runtime API itself."""

import asyncio
import json
import sys
from functools import partial

import pytest

from cosset.clock import SystemClock
from cosset.environments.api import InitError, Outcome
from cosset.environments.process import ProcessTier
from cosset.environments.response_stream import ResponseStream
from cosset.runtimes.catalogue import Catalogue
from support.written import event_for, invoke_once, spec_for

SHELL = """#!/bin/sh
# AWS's own tutorial in short: curl is not everywhere, so the shell talks to the socket through Python.
while true; do
  exec 3<>/dev/null
  event=$(%(python)s "$LAMBDA_TASK_ROOT/call.py" next) || exit 1
  echo "got $event from $_HANDLER"
  %(python)s "$LAMBDA_TASK_ROOT/call.py" answer "{\\"echo\\": $event}"
done
"""
CALL = """
import http.client, os, sys
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
root = "/2018-06-01/runtime/invocation/"
kept = os.path.join(os.environ["TMPDIR"], "id")
if sys.argv[1] == "next":
    api.request("GET", root + "next")
    answer = api.getresponse()
    open(kept, "w").write(answer.getheader("Lambda-Runtime-Aws-Request-Id"))
    print(answer.read().decode())
else:
    api.request("POST", root + open(kept).read() + "/response", sys.argv[2])
    assert api.getresponse().status == 202
"""
PYTHON = """#!%(python)s
import http.client, json, os
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
def call(method, path, body=None, headers={}):
    api.request(method, "/2018-06-01/" + path, body, headers, encode_chunked="Transfer-Encoding" in headers)
    answer = api.getresponse()
    return answer.status, answer.headers, answer.read()
while True:
    _, headers, event = call("GET", "runtime/invocation/next")
    path = "runtime/invocation/" + headers["Lambda-Runtime-Aws-Request-Id"]
    event = json.loads(event)
    if event == "fail":
        call("POST", path + "/error", json.dumps({"errorMessage": "no", "errorType": "Mine"}),
             {"Lambda-Runtime-Function-Error-Type": "Mine.Failed"})
    elif event == "chunks":
        call("POST", path + "/response", iter([b"a", b"b"]), {"Transfer-Encoding": "chunked",
             "Lambda-Runtime-Function-Response-Mode": "streaming", "Content-Type": "text/plain"})
    elif event == "impatient":
        status, _, body = call("GET", "runtime/invocation/next")
        call("POST", path + "/response", json.dumps([status, json.loads(body)["errorType"]]))
    else:
        call("POST", path + "/response", json.dumps(event))
"""


@pytest.fixture
def provided(tmp_path):
    def invoke(bootstrap, *events, mode=0o755, folder="", **changes):
        (tmp_path / folder).mkdir(exist_ok=True)
        path = tmp_path / folder / "bootstrap"
        path.write_text(bootstrap % {"python": sys.executable} if bootstrap in (SHELL, PYTHON) else bootstrap)
        path.chmod(mode)
        (tmp_path / "call.py").write_text(CALL)
        tier = partial(ProcessTier, Catalogue(), SystemClock())
        spec = spec_for(tmp_path, "provided.al2023", "function.handler", **changes)
        return invoke_once(tier, spec, *events)

    return invoke


def test_a_shell_script_is_a_runtime(provided):
    answers, lines = provided(SHELL, event_for(b'{"a": 1}'), event_for(b"2"))
    assert [json.loads(answer.payload) for answer in answers] == [{"echo": {"a": 1}}, {"echo": 2}]
    assert lines.messages == ['got {"a": 1} from function.handler\n', "got 2 from function.handler\n"]


def test_a_runtime_reports_errors_streams_and_is_told_what_is_not_there(provided):
    names = ("fail", "chunks", "impatient", "again")
    answers, _ = provided(PYTHON, *(event_for(json.dumps(name).encode()) for name in names))
    failed, chunks, impatient, again = answers
    assert (failed.outcome, failed.error_type) == (Outcome.ERROR, "Mine.Failed")
    assert json.loads(failed.payload) == {"errorMessage": "no", "errorType": "Mine"}
    assert (chunks.payload, chunks.content_type) == (b"ab", "text/plain")
    assert json.loads(impatient.payload) == [403, "InvalidStateTransition"]
    assert again.payload == b'"again"'


def test_a_layer_may_bring_the_bootstrap(provided, tmp_path):
    answers, _ = provided(PYTHON, event_for(b"1"), folder="layer", layer_dirs=(tmp_path / "layer",))
    assert answers[0].payload == b"1"


@pytest.mark.parametrize(
    ("bootstrap", "mode", "message"),
    [
        ("#!/bin/sh\n", 0o644, "fork/exec /var/task/bootstrap: permission denied"),
        ("echo no interpreter named\n", 0o755, "fork/exec /var/task/bootstrap: exec format error"),
        ("", 0o755, "fork/exec /var/task/bootstrap: exec format error"),
    ],
)
def test_a_bootstrap_that_cannot_run(provided, bootstrap, mode, message):
    with pytest.raises(InitError) as raised:
        provided(bootstrap, event_for(), mode=mode)
    assert raised.value.error_type == "Runtime.InvalidEntrypoint"
    assert json.loads(raised.value.payload_for("r"))["errorMessage"] == f"RequestId: r Error: {message}"


def test_no_bootstrap_at_all(tmp_path):
    with pytest.raises(InitError) as raised:
        invoke_once(partial(ProcessTier, Catalogue(), SystemClock()), spec_for(tmp_path, "provided.al2"), event_for())
    assert raised.value.error_type == "Runtime.InvalidEntrypoint"


def test_a_bootstrap_that_ends_at_once(provided):
    with pytest.raises(InitError) as raised:
        provided("#!/bin/sh\necho bye\nexit 127\n", event_for())
    assert json.loads(raised.value.payload_for("r")) == {
        "errorType": "Runtime.ExitError",
        "errorMessage": "RequestId: r Error: Runtime exited with error: exit status 127",
    }


def test_chunks_of_a_custom_runtime_go_to_the_stream_of_who_takes_one(provided):
    stream = ResponseStream()
    answers, _ = provided(PYTHON, event_for(b'"chunks"', stream=stream), event_for(b'"chunks"'))
    assert [(answer.payload, answer.streamed) for answer in answers] == [(b"", True), (b"ab", False)]
    stream.close()

    async def read():
        return [chunk async for chunk in stream]

    assert (b"".join(asyncio.run(read())), stream.content_type) == (b"ab", "text/plain")
