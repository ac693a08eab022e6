"""kill -9 of every process of a node, between any two calls and in the middle of work: what was answered is there.

Stock boto3 on a real server in the strongest tier of this host. Everything is found again by its API, never in files.
"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cosset.testing.server import CossetServer
from support.logged import messages
from support.patience import until_nothing
from support.processes import left_of
from support.role import make_role, starter_role
from support.zip import make_zip

NAME = "greetingsOnDemand"
OLD = make_zip({"index.py": "def handler(event, context):\n    return 'old'\n"})
NEW = make_zip({"index.py": "def handler(event, context):\n    return 'new'\n"})
WITNESS = make_zip({"index.py": "def handler(event, context):\n    print('ran', event['n'])\n"})


def create(server: CossetServer, name: str, package: bytes, role: str | None = None) -> None:
    client = server.client("lambda")
    client.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role or starter_role(server),
        Handler="index.handler",
        Code={"ZipFile": package},
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})


def answer(server: CossetServer, qualifier: str = "$LATEST") -> Any:
    got = server.client("lambda").invoke(FunctionName=NAME, Qualifier=qualifier)
    assert "FunctionError" not in got
    return json.load(got["Payload"])


def steps(server: CossetServer) -> Iterator[Callable[[], None]]:
    """The life of a function: each step changes something, and gives a check of all that it changed."""
    client = server.client
    create(server, NAME, OLD)
    yield lambda: check(answer(server), "old")
    version = client("lambda").publish_version(FunctionName=NAME)["Version"]
    yield lambda: check(answer(server, version), "old")
    client("lambda").create_alias(FunctionName=NAME, Name="Prod", FunctionVersion=version)
    yield lambda: check(answer(server, "Prod"), "old")
    client("lambda").update_function_code(FunctionName=NAME, ZipFile=NEW)
    client("lambda").get_waiter("function_updated_v2").wait(FunctionName=NAME, WaiterConfig={"Delay": 1})
    yield lambda: check((answer(server), answer(server, "Prod")), ("new", "old"))
    client("lambda").tag_resource(Resource=arn(server), Tags={"a": "1"})
    yield lambda: check(client("lambda").list_tags(Resource=arn(server))["Tags"], {"a": "1"})
    client("lambda").update_function_configuration(FunctionName=NAME, MemorySize=256)
    yield lambda: check(client("lambda").get_function_configuration(FunctionName=NAME)["MemorySize"], 256)
    client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))
    yield lambda: check(client("iam").get_role(RoleName="r")["Role"]["RoleName"], "r")
    client("logs").create_log_group(logGroupName="g")
    client("logs").create_log_stream(logGroupName="g", logStreamName="s")
    event = {"timestamp": int(time.time() * 1000), "message": "kept"}
    client("logs").put_log_events(logGroupName="g", logStreamName="s", logEvents=[event])
    yield lambda: check(messages(server, "g"), ["kept"])
    client("lambda").delete_function(FunctionName=NAME)
    yield lambda: check(client("lambda").list_functions()["Functions"], [])


TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def arn(server: CossetServer) -> str:
    return f"arn:aws:lambda:{server.region}:{server.account}:function:{NAME}"


def check(found: object, expected: object) -> None:
    assert found == expected


def test_every_answered_call_outlives_kill_9(new_server: Callable[..., CossetServer]) -> None:
    server = new_server()
    account, key = server.account, server.credentials.access_key_id
    for verify in steps(server):
        server.kill9()
        server.start()
        verify()
        assert (server.account, server.credentials.access_key_id) == (account, key)


@pytest.mark.parametrize("pause_s", [0.0, 0.05, 0.3])
def test_accepted_events_run_after_kill_9(new_server: Callable[..., CossetServer], pause_s: float) -> None:
    server = new_server()
    create(server, "witness", WITNESS)
    client = server.client("lambda")
    accepted = []
    for n in range(40):
        answered = client.invoke(FunctionName="witness", InvocationType="Event", Payload=json.dumps({"n": n}))
        assert answered["StatusCode"] == 202
        accepted.append(f"ran {n}\n")
    time.sleep(pause_s)
    server.kill9()
    server.start()
    # A lease that died with its worker ends after a minute: the events under way then come again.
    until_nothing(lambda: set(accepted) - set(messages(server, "/aws/lambda/witness")))


def test_nothing_is_left_behind(new_server: Callable[..., CossetServer]) -> None:
    server = new_server()
    create(server, NAME, OLD)
    answer(server)
    pids = server.pids()
    assert len(pids) > 2
    server.kill9()
    server.start()
    answer(server)
    pids += server.pids()
    assert server.stop() == 0
    assert left_of(pids) == []
    assert str(server.data) not in Path("/proc/mounts").read_text()


@pytest.mark.parametrize("pause_s", [0.0, 0.05, 0.3])
def test_what_destinations_are_owed_arrives_after_kill_9(
    new_server: Callable[..., CossetServer], pause_s: float
) -> None:
    server = new_server()
    role = make_role(server, "calls-functions", "lambda:InvokeFunction", "logs:*")
    create(server, "source", make_zip({"index.py": "def handler(event, context):\n    return event\n"}), role)
    echo = "def handler(event, context):\n    print('end', event['responsePayload']['n'])\n"
    create(server, "witness", make_zip({"index.py": echo}))
    server.client("logs").create_log_group(logGroupName="/aws/lambda/witness")
    client = server.client("lambda")
    witness = client.get_function_configuration(FunctionName="witness")["FunctionArn"]
    client.put_function_event_invoke_config(
        FunctionName="source", DestinationConfig={"OnSuccess": {"Destination": witness}}
    )
    owed = []
    for n in range(30):
        client.invoke(FunctionName="source", InvocationType="Event", Payload=json.dumps({"n": n}))
        owed.append(f"end {n}\n")
    time.sleep(pause_s)
    server.kill9()
    server.start()
    until_nothing(lambda: set(owed) - set(messages(server, "/aws/lambda/witness")))
