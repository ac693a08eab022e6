"""How the commands find a server, and what they say when they cannot."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from click.testing import CliRunner

from cosset.cli import main, profile
from cosset.cli.client import find_profile, readable_errors
from cosset.cli.failure import Failure
from cosset.cli.invoke import read_payload
from cosset.cli.profile import Files, Profile
from cosset.cli.status import ask_health


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home of its own, and none of the caller's AWS or Cosset variables."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "COSSET_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def of(name):
    return Profile(f"http://{name}", "AKIA" + name, "secret/+" + name, "eu-west-1")


def test_where_a_server_is_looked_for(home):
    data, configured = home / "d", home / "c"
    environ = {"HOME": str(home), "XDG_DATA_HOME": str(home / "share")}
    with pytest.raises(Failure, match="no Cosset is known here"):
        find_profile(None, environ)
    profile.write(Files.of_user(environ), of("user"))
    assert find_profile(None, environ) == of("user")
    spoken = {
        "AWS_ENDPOINT_URL": "http://env",
        "AWS_ACCESS_KEY_ID": "AKIAenv",
        "AWS_SECRET_ACCESS_KEY": "secret/+env",
        "AWS_REGION": "eu-west-1",
    }
    assert find_profile(None, environ | spoken) == of("env")
    configured.mkdir()
    profile.write(Files.of_data(configured), of("configured"))
    assert find_profile(None, environ | spoken | {"COSSET_DATA": str(configured)}) == of("configured")
    with pytest.raises(Failure, match="holds no Cosset"):
        find_profile(data, environ)
    data.mkdir()
    profile.write(Files.of_data(data), of("data"))
    assert find_profile(data, environ | {"COSSET_DATA": str(configured)}) == of("data")


@pytest.mark.parametrize("shell", [shell for shell in ("sh", "bash", "dash", "zsh") if shutil.which(shell)])
def test_eval_of_env_points_a_shell_here(home, shell):
    profile.write(Files.of_user({"HOME": str(home)}), of("user"))
    (home / "lines").write_text(CliRunner().invoke(main, ["env"]).output)
    script = (
        "AWS_PROFILE=other AWS_SESSION_TOKEN=stale; export AWS_PROFILE AWS_SESSION_TOKEN; eval $(cat lines); exec env"
    )
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(home)}
    out = subprocess.run([shell, "-c", script], capture_output=True, text=True, check=True, env=environ, cwd=home)
    found = dict(line.split("=", 1) for line in out.stdout.splitlines() if line.startswith("AWS_"))
    assert found == {
        "AWS_ENDPOINT_URL": "http://user",
        "AWS_ACCESS_KEY_ID": "AKIAuser",
        "AWS_SECRET_ACCESS_KEY": "secret/+user",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }


def test_env_as_json(home):
    profile.write(Files.of_user({"HOME": str(home)}), of("user"))
    assert json.loads(CliRunner().invoke(main, ["env", "--json"]).output)["AWS_ENDPOINT_URL"] == "http://user"


def test_no_server_is_said_with_a_fix_and_without_a_traceback(home):
    result = CliRunner().invoke(main, ["invoke", "f", "--data", str(home)])
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"cosset: {home} holds no Cosset",
        "  fix: start one: cosset up; or name its data folder: --data DIR",
    ]


def test_a_server_that_does_not_answer(home):
    profile.write(Files.of_user({"HOME": str(home)}), Profile("http://127.0.0.1:1", "a", "b", "us-east-1"))
    result = CliRunner().invoke(main, ["invoke", "f"])
    assert result.stderr.startswith("cosset: nothing answers at http://127.0.0.1:1")
    assert "fix: start it: cosset up" in result.stderr
    result = CliRunner().invoke(main, ["status", "--json"])
    assert result.exit_code == 1
    assert json.loads(result.output)["healthy"] is False
    assert ask_health("http://127.0.0.1:1")["status"] is None


@pytest.mark.parametrize(
    "endpoint", ["not a url", "http://", "ftp://x", "127.0.0.1:4566", "http://x:0", "http://x:y", "http://[x"]
)
def test_an_endpoint_that_is_none_is_said_so(home, endpoint):
    profile.write(Files.of_user({"HOME": str(home)}), Profile(endpoint, "a", "b", "us-east-1"))
    for command in (["invoke", "f"], ["map"], ["status"]):
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"cosset: the endpoint {endpoint!r} is no URL")


def test_no_other_profile_plays_a_part(home, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    profile.write(Files.of_user({"HOME": str(home)}), Profile("http://127.0.0.1:1", "a", "b", "us-east-1"))
    result = CliRunner().invoke(main, ["invoke", "f"])
    assert result.stderr.startswith("cosset: nothing answers at http://127.0.0.1:1")


def test_an_error_of_aws_keeps_its_code_and_gains_a_fix():
    answer = {"Error": {"Code": "ResourceNotFoundException", "Message": "Function not found: x"}}
    with (
        pytest.raises(Failure, match="Invoke: ResourceNotFoundException: Function not found: x") as caught,
        readable_errors(),
    ):
        raise ClientError(answer, "Invoke")
    assert "list-functions" in caught.value.fix
    with pytest.raises(Failure, match="nothing answers at u"), readable_errors():
        raise EndpointConnectionError(endpoint_url="u")
    with pytest.raises(Failure, match="Missing required parameter"), readable_errors():
        boto3.client("lambda", region_name="x", aws_access_key_id="a", aws_secret_access_key="b").invoke()


@pytest.mark.parametrize(("given", "near"), [("invok", "invoke"), ("staus", "status"), ("zzz", "There are: up")])
def test_an_unknown_command_names_the_nearest(given, near):
    result = CliRunner().invoke(main, [given])
    assert result.exit_code == 2
    assert near in result.stderr


def test_payloads(tmp_path):
    file = tmp_path / "event.json"
    file.write_bytes(b'{"a":1}')
    assert read_payload("{}") == b"{}"
    assert read_payload(f"@{file}") == b'{"a":1}'
    with pytest.raises(Failure, match="cannot read the payload"):
        read_payload(f"@{Path('/nonexistent')}")
