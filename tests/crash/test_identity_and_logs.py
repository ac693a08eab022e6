"""kill -9: what IAM and Logs answered is there after the next start, and sessions still hold."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import boto3
import pytest
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer

TRUST = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}


def test_nothing_that_was_answered_is_lost(new_server: Callable[..., CossetServer]) -> None:
    server = new_server()
    iam, logs, sts = (server.client(name) for name in ("iam", "logs", "sts"))
    trust = json.dumps({"Version": "2012-10-17", "Statement": [TRUST]})
    role = iam.create_role(RoleName="kept", AssumeRolePolicyDocument=trust, Tags=[{"Key": "k", "Value": "v"}])["Role"]
    iam.create_user(UserName="kept")
    key = iam.create_access_key(UserName="kept")["AccessKey"]
    session = sts.get_session_token()["Credentials"]
    logs.create_log_group(logGroupName="kept", tags={"a": "b"})
    logs.create_log_stream(logGroupName="kept", logStreamName="s")
    event = {"timestamp": int(time.time() * 1000), "message": "kept"}
    logs.put_log_events(logGroupName="kept", logStreamName="s", logEvents=[event])
    account = server.account

    server.kill9()
    server.start()

    assert server.account == account
    iam, logs = server.client("iam"), server.client("logs")
    again = iam.get_role(RoleName="kept")["Role"]
    assert (again["RoleId"], again["Tags"]) == (role["RoleId"], [{"Key": "k", "Value": "v"}])
    assert [each["message"] for each in logs.filter_log_events(logGroupName="kept")["events"]] == ["kept"]
    assert logs.list_tags_log_group(logGroupName="kept")["tags"] == {"a": "b"}
    for keys in (
        (key["AccessKeyId"], key["SecretAccessKey"]),
        (session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"]),
    ):
        client = boto3.Session(*keys, region_name=server.region).client("sts", endpoint_url=server.endpoint)
        assert client.get_caller_identity()["Account"] == account


def test_a_rotation_that_is_killed_loses_no_key(new_server: Callable[..., CossetServer]) -> None:
    """`cosset key rotate`, killed at one moment after another; then the server starts, and every key holds."""
    server = new_server()
    iam = server.client("iam")
    keys = [(server.credentials.access_key_id, server.credentials.secret_access_key)]
    for number in range(10):
        iam.create_user(UserName=f"u{number}")
        made = iam.create_access_key(UserName=f"u{number}")["AccessKey"]
        keys.append((made["AccessKeyId"], made["SecretAccessKey"]))
    server.stop()
    command = [sys.executable, "-m", "cosset.cli", "key", "rotate", "--data", str(server.data)]
    for tenths in range(4, 14):
        rotation = subprocess.Popen(
            command, env=server.environ, cwd=server.root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            _, said = rotation.communicate(timeout=tenths / 10)
        except subprocess.TimeoutExpired:
            rotation.kill()
            _, said = rotation.communicate()
        assert rotation.returncode in (0, -signal.SIGKILL), said
    server.start()
    for key_id, secret in keys:
        client = boto3.Session(key_id, secret, region_name=server.region).client("sts", endpoint_url=server.endpoint)
        assert client.get_caller_identity()["Account"] == server.account


def test_the_development_key_is_good_for_nothing_outside_it(new_server: Callable[..., CossetServer]) -> None:
    """The same data folder, first with --dev and then without."""
    server = new_server("--dev")
    development = boto3.Session("test", "test", region_name=server.region)
    assert development.client("sts", endpoint_url=server.endpoint).get_caller_identity()["Account"] == "000000000000"
    server.stop()
    server._flags.remove("--dev")
    server.start()
    assert server.account != "000000000000"
    with pytest.raises(ClientError) as caught:
        development.client("sts", endpoint_url=server.endpoint).get_caller_identity()
    assert caught.value.response["Error"]["Code"] == "InvalidClientTokenId"
    assert server.client("sts").get_caller_identity()["Account"] == server.account
