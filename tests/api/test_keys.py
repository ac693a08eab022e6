"""`cosset key`: the root key and lost keys, from this host's console only; what a data folder holds of secrets."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer
from support.command import cosset

DENY = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}


def holds(folder: Path, secret: str) -> list[str]:
    """The files below the folder with this text in them, but for the AWS profile."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "aws"]
    return [str(path) for path in found if secret.encode() in path.read_bytes()]


def test_keys_outlive_rotations_and_are_nowhere_in_clear(new_server: Callable[..., CossetServer]) -> None:
    server = new_server()
    iam = server.client("iam")
    iam.create_user(UserName="u")
    key = iam.create_access_key(UserName="u")["AccessKey"]
    session = server.client("sts").get_session_token()["Credentials"]
    running = cosset(server, "key", "rotate")
    assert running.returncode == 1
    assert "stop the server first" in running.stderr
    administrator = server.credentials.secret_access_key
    assert server.kill9() is None
    assert holds(server.data, key["SecretAccessKey"]) == []
    assert holds(server.data, administrator) == []
    former = (server.data / "root.key").read_bytes()
    rotated = cosset(server, "key", "rotate", "--json")
    assert rotated.returncode == 0, rotated.stderr
    assert json.loads(rotated.stdout)["sealed"] >= 3
    assert (server.data / "root.key").read_bytes() != former
    assert (server.data / "root.key").stat().st_mode & 0o777 == 0o600
    assert administrator not in rotated.stdout + rotated.stderr
    server.start()
    for made in (key, session):
        client = boto3.client(
            "sts",
            endpoint_url=server.endpoint,
            region_name=server.region,
            aws_access_key_id=made["AccessKeyId"],
            aws_secret_access_key=made["SecretAccessKey"],
            aws_session_token=made.get("SessionToken"),
        )
        assert client.get_caller_identity()["Account"] == server.account


def test_a_root_key_that_lies_elsewhere(new_server: Callable[..., CossetServer]) -> None:
    server = new_server()
    server.stop()
    folder = server.root / "keys"
    folder.mkdir(mode=0o700)
    os.chown(folder, server.data.stat().st_uid, -1)
    key_file = (server.data / "root.key").rename(folder / "root.key")
    server._flags += ["--key-file", str(key_file)]
    server.start()
    assert server.client("sts").get_caller_identity()["Account"] == server.account
    server.stop()
    rotated = cosset(server, "key", "rotate", "--key-file", str(key_file))
    assert rotated.returncode == 0, rotated.stderr
    assert not (server.data / "root.key").exists()
    server.start()
    assert server.client("sts").get_caller_identity()["Account"] == server.account


def test_a_locked_out_administrator_comes_back(new_server: Callable[..., CossetServer]) -> None:
    server = new_server()
    former = server.credentials
    session = server.client("sts").get_session_token()["Credentials"]
    iam = server.client("iam")
    iam.create_group(GroupName="g")
    iam.add_user_to_group(GroupName="g", UserName="administrator")
    iam.put_group_policy(GroupName="g", PolicyName="deny", PolicyDocument=json.dumps(DENY))
    with pytest.raises(ClientError, match="explicit deny"):
        iam.list_users()
    server.stop()
    recovered = cosset(server, "key", "recover", "--json")
    assert recovered.returncode == 0, recovered.stderr
    said = json.loads(recovered.stdout)
    assert said["account"] == server.account
    assert said["lost"] == 0
    assert cosset(server, "key", "rotate", "--sessions").returncode == 0
    assert cosset(server, "key", "recover", "123456789012").stderr.startswith("cosset: There is no account")
    server.start()
    assert server.credentials.access_key_id == said["access_key_id"] != former.access_key_id
    assert len(server.client("iam").list_users()["Users"]) == 1
    for key_id, secret, token in (
        (former.access_key_id, former.secret_access_key, None),
        (session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"]),
    ):
        lost = boto3.client(
            "sts",
            "us-east-1",
            endpoint_url=server.endpoint,
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            aws_session_token=token,
        )
        with pytest.raises(ClientError, match="InvalidClientTokenId"):
            lost.get_caller_identity()


def test_a_lost_root_key_is_said_and_can_be_left_behind(new_server: Callable[..., CossetServer]) -> None:
    server = new_server()
    server.client("iam").create_role(
        RoleName="kept",
        AssumeRolePolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}]}
        ),
    )
    server.stop()
    (server.data / "root.key").unlink()
    refused = subprocess.run(
        [sys.executable, "-m", "cosset.cli", "up", "--no-profile", "--port", "0", "--data", str(server.data)],
        env=server.environ,
        cwd=server.root,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert refused.returncode != 0
    assert "is sealed under the root key" in refused.stderr
    assert not (server.data / "root.key").exists()
    recovered = cosset(server, "key", "recover", "--root-key-lost", "--json")
    assert recovered.returncode == 0, recovered.stderr
    assert json.loads(recovered.stdout)["lost"] >= 2
    server.start()
    assert server.client("iam").get_role(RoleName="kept")["Role"]["RoleName"] == "kept"
