"""Real Python functions through the process tier: what the caller gets for each way a function can end."""

import asyncio
import json
import os
import time
from functools import partial
from pathlib import Path

import pytest

from cosset.clock import SystemClock
from cosset.environments.api import EnvironmentGoneError, EnvironmentState, InitError, Outcome
from cosset.environments.child import marked
from cosset.environments.process import ProcessTier
from cosset.runtimes.catalogue import Catalogue
from support.processes import is_running, left_of
from support.written import Lines, event_for, invoke_once, run, running, spec_for

CATALOGUE = Catalogue()
INSTALLED = [interpreter.version for interpreter in CATALOGUE.installed("python")]


@pytest.fixture(scope="module")
def tier():
    return partial(ProcessTier, CATALOGUE, SystemClock())


@pytest.fixture
def python(tier, tmp_path):
    def invoke(source, *events, **changes):
        (tmp_path / "app.py").write_text(source)
        return invoke_once(tier, spec_for(tmp_path, **changes), *(events or [event_for()]))

    return invoke


def test_a_function_answers_and_what_it_printed_came_first(python):
    source = "def handler(event, context):\n    print('hello', event['name'])\n    return {'id': 7}\n"
    answers, lines = python(source, event_for(b'{"name": "Ada"}'), event_for(b'{"name": "Bob"}'))
    assert [answer.outcome for answer in answers] == [Outcome.SUCCESS, Outcome.SUCCESS]
    assert json.loads(answers[0].payload) == {"id": 7}
    assert answers[0].content_type == "application/json"
    assert 0 < answers[0].max_memory_mb < 256
    assert lines.messages == ["hello Ada\n", "hello Bob\n"]


def test_the_context_and_the_environment(python):
    source = """
import os
def handler(event, context):
    return [context.aws_request_id, context.invoked_function_arn, context.function_name, context.function_version,
            context.memory_limit_in_mb, context.log_group_name, context.client_context.custom["\\u00fc"],
            context.identity.cognito_identity_id, context.get_remaining_time_in_millis() > 0,
            os.environ["_X_AMZN_TRACE_ID"], os.environ["MINE"], os.environ["AWS_EXECUTION_ENV"], os.environ.get("HOME")]
"""
    event = event_for(
        client_context='{"custom": {"ü": "b"}}',
        cognito_identity='{"cognitoIdentityId":"i","cognitoIdentityPoolId":"p"}',
    )
    answers, _ = python(source, event, variables={"MINE": "own"})
    assert json.loads(answers[0].payload) == [
        event.request_id, event.invoked_arn, "greetingsOnDemand", "$LATEST", "256", "/aws/lambda/greetingsOnDemand",
        "b", "i", True, event.trace_id, "own", "AWS_Lambda_python3.11", None,
    ]  # fmt: skip


def test_an_exception_has_awss_shape_and_is_logged_as_one_event(python):
    source = "def handler(event, context):\n    raise KeyError('missing')\n"
    event = event_for()
    answers, lines = python(source, event)
    error = json.loads(answers[0].payload)
    assert answers[0].outcome is Outcome.ERROR
    assert answers[0].error_type == "KeyError"
    assert error["errorMessage"] == "'missing'"
    assert error["errorType"] == "KeyError"
    assert error["requestId"] == event.request_id
    assert error["stackTrace"] == [f"  File \"{_app(error)}\", line 2, in handler\n    raise KeyError('missing')\n"]
    assert len(lines.messages) == 1
    assert lines.messages[0].startswith("[ERROR] KeyError: 'missing'\nTraceback (most recent call last):\n")


def _app(error):
    return error["stackTrace"][0].split('"')[1]


def test_logging_records_and_printed_lines(python):
    source = """
import logging
def handler(event, context):
    logging.getLogger().warning("two\\nlines")
    print("another\\rline", end="")
"""
    _, lines = python(source)
    assert sorted(message.split("\t")[-1] for message in lines.messages) == ["another\rline", "two\nlines\n"]


def test_json_logs(python):
    source = "import logging\ndef handler(event, context):\n    logging.error('x %s', 1)\n    logging.debug('hidden')\n"
    event = event_for()
    _, lines = python(source, event, log_format="JSON", application_log_level="INFO")
    [logged] = map(json.loads, lines.messages)
    assert (logged["level"], logged["message"], logged["requestId"]) == ("ERROR", "x 1", event.request_id)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("import sys; sys.exit(0)", "Runtime exited without providing a reason"),
        ("import sys; sys.exit(3)", "Runtime exited with error: exit status 3"),
        ("import os; os._exit(127)", "Runtime exited with error: exit status 127"),
        ("import os; os.kill(os.getpid(), 11)", "Runtime exited with error: signal: segmentation fault"),
        ("import os; os.abort()", "Runtime exited with error: signal: aborted"),
        ("import os; os.killpg(0, 9)", "Runtime exited with error: signal: killed"),
    ],
)
def test_a_process_that_ends_instead_of_answering(python, statement, message):
    event = event_for()
    answers, lines = python(f"def handler(event, context):\n    print('last words', end='')\n    {statement}\n", event)
    assert answers[0].outcome is Outcome.EXIT
    assert answers[0].environment_is_spent
    assert json.loads(answers[0].payload) == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {event.request_id} Error: {message}",
    }
    assert lines.messages[0] == "last words"


def test_a_timeout_ends_everything_with_awss_words(python):
    source = """
import os, subprocess, time
def handler(event, context):
    print(os.getpid(), subprocess.Popen(["sleep", "100"], start_new_session=True).pid)
    time.sleep(100)
"""
    event = event_for(timeout_s=1.0)
    answers, lines = python(source, event, timeout_s=1)
    assert answers[0].outcome is Outcome.TIMEOUT
    assert answers[0].duration_ms <= 1000
    assert json.loads(answers[0].payload) == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {event.request_id} Error: Task timed out after 1.00 seconds",
    }
    pids = lines.messages[0].split()
    assert len(pids) == 2
    assert left_of(pids) == []


def test_a_spent_environment_takes_no_more_events(tier, tmp_path):
    (tmp_path / "app.py").write_text("import os\ndef handler(event, context):\n    os._exit(1)\n")

    async def body(tier):
        async with running(tier, spec_for(tmp_path), Lines()) as environment:
            await environment.invoke(event_for())
            assert environment.state is EnvironmentState.SHUTDOWN
            with pytest.raises(EnvironmentGoneError):
                await environment.invoke(event_for())

    run(tier, body)


def test_a_process_that_dies_while_idle_takes_no_event_with_it(tier, tmp_path):
    (tmp_path / "app.py").write_text("import os\ndef handler(event, context):\n    return os.getpid()\n")

    async def body(tier):
        async with running(tier, spec_for(tmp_path), Lines()) as environment:
            answer = await environment.invoke(event_for())
            os.kill(int(answer.payload), 9)
            deadline = time.monotonic() + 60
            while environment.state is EnvironmentState.READY and time.monotonic() < deadline:
                await asyncio.sleep(0)
            with pytest.raises(EnvironmentGoneError):
                await environment.invoke(event_for())

    run(tier, body)


def test_a_hundred_megabytes_of_output_arrive_and_are_not_kept(tier, tmp_path):
    source = """
line = "x" * 1023
def handler(event, context):
    print("\\n".join([line] * 102400))
    return "done"
"""
    (tmp_path / "app.py").write_text(source)

    class Counter:
        count = size = 0

        def write(self, timestamp_ms, message):
            self.count += 1
            self.size += len(message)

    counter = Counter()

    async def body(tier):
        async with running(tier, spec_for(tmp_path, memory_mb=1024), counter) as environment:
            return await environment.invoke(event_for(timeout_s=60))

    assert run(tier, body).payload == b'"done"'
    assert (counter.count, counter.size) == (102400, 102400 * 1024)


def test_a_line_without_end_is_cut(python):
    answers, lines = python("def handler(event, context):\n    print('x' * 1_000_000)\n")
    assert answers[0].outcome is Outcome.SUCCESS
    assert [len(message) for message in lines.messages] == [262144, 262144, 262144, 1_000_001 - 3 * 262144]


def test_seven_megabytes_are_refused_with_awss_words(python):
    answers, _ = python("def handler(event, context):\n    return 'x' * 7_000_000\n")
    assert answers[0].outcome is Outcome.ERROR
    assert json.loads(answers[0].payload) == {
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
        "errorType": "Function.ResponseSizeTooLarge",
    }


def test_six_megabytes_pass(python):
    answers, _ = python("def handler(event, context):\n    return 'x' * (6291556 - 2)\n")
    assert len(answers[0].payload) == 6291556


def test_an_answer_that_is_no_json(python):
    answers, _ = python("def handler(event, context):\n    return {1, 2}\n")
    error = json.loads(answers[0].payload)
    assert error["errorType"] == "Runtime.MarshalError"
    assert error["errorMessage"] == "Unable to marshal response: Object of type set is not JSON serializable"


def test_a_function_that_closes_its_runtime_connection(python):
    event = event_for()
    answers, _ = python("import os\ndef handler(event, context):\n    os.closerange(3, 256)\n    return 1\n", event)
    assert answers[0].outcome is Outcome.EXIT
    assert json.loads(answers[0].payload)["errorType"] == "Runtime.ExitError"


def test_children_that_outlive_the_handler_hold_up_nothing_and_end_with_the_environment(tier, tmp_path):
    (tmp_path / "app.py").write_text("""
import os, subprocess
def handler(event, context):
    pid = os.fork()
    if pid == 0:
        os.setsid()
        import time
        time.sleep(100)
        os._exit(0)
    other = subprocess.Popen(["sh", "-c", "sleep 100 & sleep 100"], start_new_session=True)
    return [pid, other.pid]
""")
    spec = spec_for(tmp_path)

    async def body(tier):
        async with running(tier, spec, Lines()) as environment:
            answer = await environment.invoke(event_for())
            again = await environment.invoke(event_for())
            pids = json.loads(answer.payload) + json.loads(again.payload)
            assert all(is_running(pid) for pid in pids)
            await environment.shutdown()
            await environment.shutdown()
            return pids

    pids = run(tier, body)
    assert left_of(pids) == []
    assert marked(f"{os.getpid()}:{spec.id}") == []


@pytest.mark.parametrize(
    ("source", "handler", "error_type", "message"),
    [
        (
            "import nope",
            "app.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'app': No module named 'nope'",
        ),
        ("", "gone.handler", "Runtime.ImportModuleError", "Unable to import module 'gone': No module named 'gone'"),
        ("", "app.handler", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
        (
            "def (",
            "app.handler",
            "Runtime.UserCodeSyntaxError",
            "Syntax error in module 'app': invalid syntax (app.py, line 1)",
        ),
        (
            "",
            "app",
            "Runtime.MalformedHandlerName",
            "Bad handler 'app': not enough values to unpack (expected 2, got 1)",
        ),
        ("raise Exception('Runtime startup fails')", "app.handler", "Exception", "Runtime startup fails"),
    ],
)
def test_init_errors_have_awss_shape(python, source, handler, error_type, message):
    with pytest.raises(InitError) as raised:
        python(source, handler=handler)
    shown = json.loads(raised.value.payload_for("r"))
    assert (raised.value.error_type, shown["errorType"], shown["errorMessage"]) == (error_type, error_type, message)
    assert shown["requestId"] == ""
    assert raised.value.status == "error"


def test_an_exit_while_loading(python):
    """Recorded: test_lambda_runtime_exit."""
    with pytest.raises(InitError) as raised:
        python("import sys; sys.exit(0)")
    assert json.loads(raised.value.payload_for("r-1")) == {
        "errorType": "Runtime.ExitError",
        "errorMessage": "RequestId: r-1 Error: Runtime exited without providing a reason",
    }


def test_a_module_that_never_loads(python):
    with pytest.raises(InitError) as raised:
        python("import time; time.sleep(100)", init_timeout_s=1, timeout_s=3)
    assert raised.value.status == "timeout"
    assert raised.value.phase_ms >= 1000
    assert json.loads(raised.value.payload_for("r-1")) == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": "RequestId: r-1 Error: Task timed out after 3.00 seconds",
    }


def test_a_function_that_outgrows_its_memory(python):
    source = """
import time
def handler(event, context):
    kept = [bytearray(b"x" * 1_000_000) for _ in range(300)]
    time.sleep(30)
"""
    event = event_for()
    answers, _ = python(source, event, memory_mb=128)
    assert answers[0].outcome is Outcome.OUT_OF_MEMORY
    assert answers[0].max_memory_mb > 128
    assert json.loads(answers[0].payload) == {
        "errorType": "Runtime.OutOfMemory",
        "errorMessage": f"RequestId: {event.request_id} Error: Runtime exited with error: signal: killed",
    }


def children() -> set[str]:
    """Of this very process: other tests may keep a server."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def test_nothing_is_left_of_environments_however_they_end(tier, tmp_path):
    """Descriptors, children, tasks, folders."""
    before_all = children()
    (tmp_path / "app.py").write_text("""
import os, time
def handler(event, context):
    {"fine": lambda: 1, "exit": lambda: os._exit(1), "sleep": lambda: time.sleep(50)}[event]()
""")
    (tmp_path / "bad.py").write_text("import nope")
    holder = []

    async def one(tier, event, handler):
        async with running(tier, spec_for(tmp_path, handler=handler, timeout_s=1), Lines()) as environment:
            await environment.invoke(event_for(json.dumps(event).encode(), timeout_s=1))

    async def body(tier):
        holder.append(tier)
        await one(tier, "fine", "app.handler")  # what is opened once stays open
        before = sorted(os.listdir("/proc/self/fd"))
        ends = [one(tier, event, "app.handler") for event in ("fine", "exit", "sleep") * 3]
        failures = await asyncio.gather(*ends, one(tier, "fine", "bad.handler"), return_exceptions=True)
        assert [type(failure) for failure in failures if failure is not None] == [InitError]
        for _ in range(3):
            await asyncio.sleep(0)
        assert len(os.listdir("/proc/self/fd")) <= len(before) + 1
        others = [task.get_name() for task in asyncio.all_tasks()]
        assert not [name for name in others if name.startswith(("watch ", "deadline ", "end ", "kill ", "memory "))]

    run(tier, body)
    assert not holder[0]._folder.exists()
    assert children() <= before_all


def test_temporary_files_are_the_environments_own_and_go_with_it(python):
    answers, _ = python(
        "import tempfile, os\ndef handler(event, context):\n"
        "    path = tempfile.mkstemp()[1]\n    return [path, os.getcwd()]\n"
    )
    path, cwd = json.loads(answers[0].payload)
    assert not Path(path).exists()
    assert not Path(path).parent.exists()
    assert Path(cwd).is_dir()


def test_the_functions_own_modules_win_and_nothing_of_cossets_is_there(python, tmp_path):
    (tmp_path / "boto3.py").write_text("mine = True\n")
    (tmp_path / "logging_of_mine.py").write_text("")
    source = """
import boto3, botocore, importlib.util
def handler(event, context):
    absent = [importlib.util.find_spec(name) is None for name in ("uvicorn", "sqlalchemy", "cosset")]
    return [boto3.mine, botocore.__name__, *absent]
"""
    answers, _ = python(source, variables={"PYTHONPATH": "/nowhere"})
    assert json.loads(answers[0].payload) == [True, "botocore", True, True, True]


def test_layers_lie_under_the_functions_code_and_over_the_runtime(python, tmp_path):
    for number in (1, 2):
        folder = tmp_path / f"layer{number}" / "python"
        folder.mkdir(parents=True)
        (folder / "shared.py").write_text(f"number = {number}\n")
        (folder / f"only{number}.py").write_text("")
    source = "import shared, only1, only2\ndef handler(event, context):\n    return shared.number\n"
    answers, _ = python(source, layer_dirs=(tmp_path / "layer1", tmp_path / "layer2"))
    assert answers[0].payload == b"2"


@pytest.mark.parametrize("runtime", [f"python{major}.{minor}" for major, minor, *_ in INSTALLED])
def test_every_installed_python_serves(tier, tmp_path, runtime):
    (tmp_path / "app.py").write_text(
        "import sys, boto3\ndef handler(event, context):\n    print('hi')\n    return list(sys.version_info[:2])\n"
    )
    answers, lines = invoke_once(tier, spec_for(tmp_path, runtime), event_for(), event_for())
    assert json.loads(answers[1].payload) == [int(n) for n in runtime.removeprefix("python").split(".")]
    assert lines.messages == ["hi\n", "hi\n"]


@pytest.mark.parametrize("event", ["1", "exit"])
def test_where_the_kernel_has_no_pidfd_a_thread_waits(python, monkeypatch, event):
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    source = "import os\ndef handler(event, context):\n    return os._exit(3) if event == 'exit' else event\n"
    answers, _ = python(source, event_for(json.dumps(event).encode()))
    assert answers[0].outcome is (Outcome.EXIT if event == "exit" else Outcome.SUCCESS)


def test_a_name_that_aws_has_retired_is_served_with_a_warning(tier, tmp_path):
    (tmp_path / "app.py").write_text("def handler(event, context):\n    return 1\n")
    answers, lines = invoke_once(tier, spec_for(tmp_path, "python2.7"), event_for())
    assert answers[0].payload == b"1"
    assert lines.events[0][1].startswith("COSSET WARNING python2.7 is not to be had here: served by Python 3.")
