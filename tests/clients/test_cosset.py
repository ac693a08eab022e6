"""The command `cosset` itself, as a user types it, against a live server."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import urllib.request
import uuid

import pytest

from support.host import tier
from support.processes import left_of
from support.role import starter_role
from support.zip import make_zip

COSSET = [sys.executable, "-m", "cosset.cli"]
SOURCE = """
def handler(event, context):
    print("seen", event)
    if event.get("fail"):
        raise ValueError("as asked")
    return event
"""


@pytest.fixture
def cosset(server, tmp_path):
    """Runs `cosset ...` with the server's profile; gives the ended process."""

    def run(*arguments, status=0, **more):
        done = subprocess.run(
            [*COSSET, *arguments], env=server.environ, cwd=tmp_path, capture_output=True, text=True, **more
        )
        assert done.returncode == status, done.stderr + done.stdout
        return done

    return run


@pytest.fixture(scope="module")
def function(server):
    name = f"command-{uuid.uuid4().hex[:8]}"
    client = server.client("lambda")
    client.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=starter_role(server),
        Handler="index.handler",
        Code={"ZipFile": make_zip({"index.py": SOURCE})},
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    yield name
    client.delete_function(FunctionName=name)


def test_invoke_prints_the_answer(cosset, function, tmp_path):
    assert cosset("invoke", function, "--payload", '{"a": 1}').stdout == '{"a": 1}'
    assert cosset("invoke", function, "--payload", "-", input="[]", status=1).stdout.startswith('{"errorMessage"')
    (tmp_path / "event.json").write_text('{"b": 2}')
    done = cosset("invoke", function, "--payload", "@event.json", "--tail")
    assert json.loads(done.stdout) == {"b": 2}
    assert "seen {'b': 2}" in done.stderr
    assert "REPORT RequestId" in done.stderr


def test_invoke_as_json_and_of_a_failing_function(cosset, function):
    found = json.loads(cosset("invoke", function, "--json", "--payload", '{"fail": true}', status=1).stdout)
    assert found["function_error"] == "Unhandled"
    assert found["payload"]["errorType"] == "ValueError"
    assert (found["status"], found["version"]) == (200, "$LATEST")


def test_invoke_of_what_is_not_there_says_what_to_do(cosset):
    said = cosset("invoke", "not-there", status=1).stderr.splitlines()
    assert said[0].startswith("cosset: Invoke: ResourceNotFoundException: Function not found: arn:aws:lambda:")
    assert said[1] == "  fix: what is there: aws --profile cosset lambda list-functions"


def test_async_and_logs(cosset, function, server):
    said = cosset("invoke", function, "--async", "--payload", '{"later": 1}').stderr
    request = said.split()[-1]
    follower = subprocess.Popen(
        [*COSSET, "logs", "-f", function, "--json"], env=server.environ, stdout=subprocess.PIPE, text=True
    )
    # Its end is ours to bring about, also when the line that we wait for never comes.
    too_late = threading.Timer(60, follower.kill)
    too_late.start()
    try:
        seen = any(f"REPORT RequestId: {request}" in json.loads(line)["message"] for line in follower.stdout)
        follower.send_signal(signal.SIGINT)
        follower.wait(60)
    finally:
        too_late.cancel()
        follower.kill()
        follower.stdout.close()
        follower.wait()
    assert seen
    assert follower.returncode == 0
    printed = cosset("logs", function).stdout
    assert f"START RequestId: {request}" in printed
    assert "seen {'later': 1}" in printed


def test_status(cosset, server):
    found = json.loads(cosset("status", "--json").stdout)
    assert (found["healthy"], found["endpoint"], found["account"]) == (True, server.endpoint, server.account)
    assert found["caller"].startswith(f"arn:aws:iam::{server.account}:user/")
    assert "ready" in cosset("status").stdout


def test_env_points_a_stock_client_here(cosset, server):
    import boto3

    found = json.loads(cosset("env", "--json", "--data", str(server.data)).stdout)
    client = boto3.client(
        "sts",
        endpoint_url=found["AWS_ENDPOINT_URL"],
        aws_access_key_id=found["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=found["AWS_SECRET_ACCESS_KEY"],
        region_name=found["AWS_REGION"],
    )
    assert client.get_caller_identity()["Account"] == server.account


def test_a_full_disk_is_said_in_a_line(server):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COSSET, "map"], env=server.environ | {"NO_COLOR": "1"}, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "cosset: cannot write: No space left on device"


def test_an_interrupted_command_ends_as_shells_have_it():
    """The signal comes while it waits for a server that has taken the call and does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        environ = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "s",
            "AWS_REGION": "us-east-1",
        }
        waiting = subprocess.Popen([*COSSET, "map"], env=os.environ | environ, stderr=subprocess.PIPE, text=True)
        connection, _ = silent.accept()
        with connection:
            assert connection.recv(1)
            waiting.send_signal(signal.SIGINT)
            assert waiting.communicate(timeout=240)[1].strip() == ""
    assert waiting.returncode == 130


def test_doctor_as_json(cosset):
    found = json.loads(cosset("doctor", "--json", "--port", "0", "--tier", "process").stdout)
    assert {each["topic"] for each in found} == {"isolation", "runtimes", "data", "database", "port"}
    assert all(each["fix"] for each in found if each["level"] != "ok")


@pytest.fixture
def start_up(tmp_path):
    """Starts `cosset up` with a home of its own; gives the process and its first line. Ends what it started."""
    started = []

    def start(*flags, lines=1):
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        environ = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "COSSET_"))}
        base = [*COSSET, "up", "--data", str(tmp_path / "data"), "--tier", tier()]
        process = subprocess.Popen(
            [*base, *flags], env=environ | {"HOME": str(home)}, cwd=tmp_path, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process, "".join(process.stdout.readline() for _ in range(lines))

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(60)
        process.stdout.close()


def test_up_adds_the_profile_and_nothing_else(start_up, tmp_path):
    tmp_path.chmod(0o711)
    home = tmp_path / "home" / ".aws"
    home.mkdir(parents=True)
    (home / "config").write_text("[default]\nregion = eu-west-1\n")
    process, banner = start_up("--port", "0", lines=4)
    assert f"isolation {tier()}   IAM enforce" in banner
    assert f"data {tmp_path / 'data'}" in banner
    config = (home / "config").read_text()
    assert config.startswith("[default]\nregion = eu-west-1\n\n[profile cosset]\nregion = us-east-1\nendpoint_url = ")
    assert stat.S_IMODE((home / "credentials").stat().st_mode) == 0o600
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    process, line = start_up("--port", "0", "--json")
    ready = json.loads(line)
    assert ready["first_start"] is False
    changed = (home / "config").read_text()
    assert changed.splitlines()[:-1] == config.splitlines()[:-1]
    assert changed.splitlines()[-1] == f"endpoint_url = {ready['endpoint']}"
    with urllib.request.urlopen(ready["endpoint"] + "/_cosset/health") as health:
        assert health.status == 200


def test_up_in_dev_mode_has_the_well_known_key(start_up, tmp_path):
    tmp_path.chmod(0o711)
    _, line = start_up("--port", "0", "--dev", "--json", "--no-profile")
    ready = json.loads(line)
    assert (ready["account"], ready["iam"], ready["profile"]) == ("000000000000", "audit", None)
    assert not (tmp_path / "home" / ".aws").exists()
    assert "aws_access_key_id = test\n" in (tmp_path / "data" / "aws" / "credentials").read_text()


def test_a_taken_port_is_said_in_a_line(server, tmp_path):
    port = server.endpoint.rpartition(":")[2]
    tmp_path.chmod(0o711)
    base = [*COSSET, "up", "--data", str(tmp_path / "data"), "--tier", tier(), "--port", port, "--no-profile"]
    done = subprocess.run(base, capture_output=True, text=True, cwd=tmp_path, env=server.environ)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"Cannot serve on 127.0.0.1:{port}" in done.stderr


def test_a_clean_stop_leaves_no_process(new_server):
    running = new_server()
    client = running.client("lambda")
    client.create_function(
        FunctionName="f",
        Runtime="python3.13",
        Role=starter_role(running),
        Handler="index.handler",
        Code={"ZipFile": make_zip({"index.py": SOURCE})},
    )
    client.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1})
    client.invoke(FunctionName="f", Payload="{}")
    pids = running.pids()
    assert len(pids) > 2
    assert running.stop() == 0
    assert left_of(pids) == []
