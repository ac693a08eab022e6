"""The main job, as a user's first hour has it: create, invoke, log, version, alias, update, and the power goes off.

Stock boto3 on a live server. What must hold between any two calls is tests/crash.
"""

import base64
import json
import re
import uuid

import pytest

from support.role import starter_role
from support.zip import make_zip

PYTHON = """
def handler(event, context):
    print("greeting", event.get("name"))
    return f"{GREETING} {event.get('name', 'World')}!"
"""
NODE = """
export const handler = async (event) => {
  console.log("greeting", event.name);
  return `Hello ${event.name ?? "World"}!`;
};
"""


def python_zip(greeting="Hello"):
    return make_zip({"index.py": f"GREETING = {greeting!r}\n{PYTHON}"})


@pytest.fixture
def create(server):
    """Creates functions by stock boto3, each under a name of its own, and deletes them again."""
    client = server.client("lambda")
    made = []

    def make(package, *, runtime="python3.13", handler="index.handler", **more):
        name = f"first-{uuid.uuid4().hex[:8]}"
        role = starter_role(server)
        arguments = {"FunctionName": name, "Runtime": runtime, "Role": role, "Handler": handler, **more}
        client.create_function(Code={"ZipFile": package}, **arguments)
        made.append(name)
        client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
        return name

    yield make
    for name in made:
        client.delete_function(FunctionName=name)


def invoke(server, name, event=None, **more):
    answer = server.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event or {}), **more)
    assert "FunctionError" not in answer
    return json.loads(answer["Payload"].read())


@pytest.mark.parametrize(
    ("package", "runtime"), [(python_zip(), "python3.13"), (make_zip({"index.mjs": NODE}), "nodejs24.x")]
)
def test_a_function_is_created_invoked_and_logged(server, create, package, runtime):
    name = create(package, runtime=runtime)
    answer = server.client("lambda").invoke(FunctionName=name, Payload='{"name": "Ada"}', LogType="Tail")
    assert json.loads(answer["Payload"].read()) == "Hello Ada!"
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    request = answer["ResponseMetadata"]["RequestId"]
    tail = base64.b64decode(answer["LogResult"]).decode()
    assert f"START RequestId: {request} Version: $LATEST\n" in tail
    assert "greeting Ada" in tail
    assert f"END RequestId: {request}\n" in tail
    assert re.search(rf"REPORT RequestId: {request}\tDuration: [\d.]+ ms\t.*\tInit Duration: [\d.]+ ms", tail)
    assert invoke(server, name) == "Hello World!"


def test_prod_answers_the_old_way_while_latest_answers_the_new(server, create):
    client = server.client("lambda")
    name = create(python_zip())
    version = client.publish_version(FunctionName=name)["Version"]
    arn = client.create_alias(FunctionName=name, Name="Prod", FunctionVersion=version)["AliasArn"]
    client.update_function_code(FunctionName=name, ZipFile=python_zip("Good evening,"))
    client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    assert invoke(server, name, {"name": "Ada"}) == "Good evening, Ada!"
    assert invoke(server, name, {"name": "Ada"}, Qualifier="Prod") == "Hello Ada!"
    assert invoke(server, arn, {"name": "Ada"}) == "Hello Ada!"
    assert invoke(server, f"{name}:{version}", {"name": "Ada"}) == "Hello Ada!"


def test_what_is_not_implemented_says_so_by_name(server):
    client = server.client("lambda")
    with pytest.raises(client.exceptions.ClientError, match="CreateCodeSigningConfig"):
        client.create_code_signing_config(AllowedPublishers={"SigningProfileVersionArns": ["arn:aws:signer:x:1:/p/q"]})


def test_after_the_power_went_off_everything_is_there(new_server):
    running = new_server()
    client = running.client("lambda")
    arguments = {"Runtime": "python3.13", "Role": starter_role(running), "Handler": "index.handler"}
    client.create_function(FunctionName="kept", Code={"ZipFile": python_zip()}, **arguments)
    client.get_waiter("function_active_v2").wait(FunctionName="kept", WaiterConfig={"Delay": 1})
    assert invoke(running, "kept", {"name": "Ada"}) == "Hello Ada!"
    version = client.publish_version(FunctionName="kept")["Version"]
    endpoint, keys = running.endpoint, running.credentials
    running.kill9()
    running.start()
    assert (running.endpoint, running.credentials) == (endpoint, keys)
    assert running.ready["first_start"] is False
    assert invoke(running, "kept", {"name": "Ada"}) == "Hello Ada!"
    assert invoke(running, "kept", Qualifier=version) == "Hello World!"
