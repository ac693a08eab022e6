"""The stock AWS CLI, as a user runs it: nothing but the profile that `cosset up` keeps."""

import base64
import json
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from support.role import STARTER_ROLE, starter_role
from support.zip import make_zip

AWS = Path(sys.executable).parent / "aws"
SOURCE = "def handler(event, context):\n    print('seen', event)\n    return {'twice': event['n'] * 2}\n"

pytestmark = pytest.mark.skipif(not AWS.exists(), reason="the AWS CLI is missing: make install brings it")


@pytest.fixture
def aws(server, tmp_path):
    """Runs `aws ...` and gives what it printed; JSON where it printed JSON."""

    def run(*arguments, fails=False):
        done = subprocess.run([AWS, *arguments], env=server.environ, cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode != 0) is fails, done.stderr + done.stdout
        if fails:
            return done.stderr
        return json.loads(done.stdout) if done.stdout.startswith(("{", "[")) else done.stdout

    return run


@pytest.fixture
def function(aws, server, tmp_path):
    name = f"cli-{uuid.uuid4().hex[:8]}"
    (tmp_path / "code.zip").write_bytes(make_zip({"index.py": SOURCE}))
    made = aws(
        *f"lambda create-function --function-name {name} --runtime python3.13 --handler index.handler".split(),
        *f"--role {starter_role(server)} --zip-file fileb://code.zip".split(),
    )
    assert made["FunctionName"] == name
    aws("lambda", "wait", "function-active-v2", "--function-name", name)
    yield name
    aws("lambda", "delete-function", "--function-name", name)


def test_who_am_i(aws, server):
    found = aws("sts", "get-caller-identity")
    assert found["Account"] == server.account
    assert found["Arn"].startswith(f"arn:aws:iam::{server.account}:user/")


def test_the_starter_role_is_there(aws):
    assert aws("iam", "get-role", "--role-name", STARTER_ROLE)["Role"]["RoleName"] == STARTER_ROLE


def test_invoke_and_its_log(aws, function, tmp_path):
    base = ["lambda", "invoke", "--function-name", function, "--payload", '{"n": 21}', "--log-type", "Tail"]
    answer = aws(*base, "out.json")
    assert answer["StatusCode"] == 200
    assert json.loads((tmp_path / "out.json").read_text()) == {"twice": 42}
    log = base64.b64decode(answer["LogResult"]).decode()
    assert "START RequestId" in log
    assert "seen {'n': 21}" in log
    assert "REPORT RequestId" in log


def test_versions_aliases_and_tags(aws, function):
    version = aws("lambda", "publish-version", "--function-name", function)["Version"]
    aws(*f"lambda create-alias --function-name {function} --name live --function-version {version}".split())
    arn = aws("lambda", "get-function", "--function-name", function)["Configuration"]["FunctionArn"]
    aws("lambda", "tag-resource", "--resource", arn, "--tags", "team=sheep")
    assert aws("lambda", "list-tags", "--resource", arn)["Tags"] == {"team": "sheep"}
    aliases = aws("lambda", "list-aliases", "--function-name", function)["Aliases"]
    assert [alias["Name"] for alias in aliases] == ["live"]
    out = aws("lambda", "invoke", "--function-name", f"{function}:live", "--payload", '{"n": 1}', "out.json")
    assert out["ExecutedVersion"] == version


def test_an_error_is_the_clis_own_sentence(aws):
    said = aws("lambda", "get-function", "--function-name", "not-there", fails=True)
    assert "(ResourceNotFoundException) when calling the GetFunction operation: Function not found" in said


def test_the_log_of_an_asynchronous_invocation(aws, function):
    invoked = aws(
        *f"lambda invoke --function-name {function} --payload".split(), '{"n": 3}', "--invocation-type", "Event", "o"
    )
    assert invoked["StatusCode"] == 202
    group, deadline, messages = f"/aws/lambda/{function}", time.monotonic() + 120, []
    while not any("END RequestId" in message for message in messages) and time.monotonic() < deadline:
        groups = aws("logs", "describe-log-groups", "--log-group-name-prefix", group)["logGroups"]
        if groups:
            found = aws("logs", "filter-log-events", "--log-group-name", group)
            messages = [event["message"] for event in found["events"]]
    assert "seen {'n': 3}\n" in messages
    written = [message.split()[0] for message in messages]
    assert [word for word in written if word != "COSSET"] == ["INIT_START", "START", "seen", "END", "REPORT"]
