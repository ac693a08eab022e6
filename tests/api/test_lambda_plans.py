"""What tools like Terraform do with each kind of thing that Lambda has: create it, read it, find that nothing is to be
changed, change it, read that, destroy it, and find it gone. Each thing is a class that reads like documentation."""

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.role import starter_role
from support.zip import make_zip

CODE = make_zip({"index.py": "def handler(event, context):\n    return event\n"})
OTHER_CODE = make_zip({"index.py": "def handler(event, context):\n    return 'other'\n"})


class Thing:
    """One resource. `desired` is what its owner wrote down; `changed` what it says after an edit."""

    desired: dict[str, Any]
    changed: dict[str, Any]

    def __init__(self, client: Any, role: str, function: str) -> None:
        self.client, self.role, self.function = client, role, function

    def create(self, wanted: dict[str, Any]) -> None:
        raise NotImplementedError

    def read(self) -> dict[str, Any]:
        raise NotImplementedError

    def update(self, wanted: dict[str, Any]) -> None:
        raise NotImplementedError

    def destroy(self) -> None:
        raise NotImplementedError


class Function(Thing):
    name = "planned-function"
    desired = {
        "Description": "first",
        "Runtime": "python3.12",
        "Handler": "index.handler",
        "MemorySize": 256,
        "Timeout": 10,
        "Environment": {"Variables": {"STAGE": "test"}},
        "EphemeralStorage": {"Size": 1024},
        "TracingConfig": {"Mode": "Active"},
        "LoggingConfig": {"LogFormat": "JSON", "ApplicationLogLevel": "WARN", "SystemLogLevel": "INFO"},
    }
    changed = {**desired, "Description": "second", "MemorySize": 512, "Environment": {"Variables": {"STAGE": "prod"}}}

    def create(self, wanted: dict[str, Any]) -> None:
        self.client.create_function(
            FunctionName=self.name, Role=self.role, Code={"ZipFile": CODE}, Tags={"owner": "plans"}, **wanted
        )
        self.client.get_waiter("function_active_v2").wait(FunctionName=self.name)

    def read(self) -> dict[str, Any]:
        found = self.client.get_function(FunctionName=self.name)
        assert found["Tags"] == {"owner": "plans"}
        assert self.client.get_function_code_signing_config(FunctionName=self.name).get("CodeSigningConfigArn") is None
        versions = self.client.list_versions_by_function(FunctionName=self.name)["Versions"]
        assert [each["Version"] for each in versions] == ["$LATEST"]
        configuration = found["Configuration"]
        configuration["LoggingConfig"].pop("LogGroup")
        return {name: configuration[name] for name in self.desired}

    def update(self, wanted: dict[str, Any]) -> None:
        self.client.update_function_configuration(FunctionName=self.name, **wanted)
        self.client.get_waiter("function_updated_v2").wait(FunctionName=self.name)
        self.client.update_function_code(FunctionName=self.name, ZipFile=OTHER_CODE)
        self.client.get_waiter("function_updated_v2").wait(FunctionName=self.name)

    def destroy(self) -> None:
        self.client.delete_function(FunctionName=self.name)


class Alias(Thing):
    desired = {"FunctionVersion": "1", "Description": "first"}
    changed = {
        "FunctionVersion": "2",
        "Description": "second",
        "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.1}},
    }

    def create(self, wanted: dict[str, Any]) -> None:
        self.client.create_alias(FunctionName=self.function, Name="planned", **wanted)

    def read(self) -> dict[str, Any]:
        found = self.client.get_alias(FunctionName=self.function, Name="planned")
        return {name: found[name] for name in ("FunctionVersion", "Description", "RoutingConfig") if name in found}

    def update(self, wanted: dict[str, Any]) -> None:
        self.client.update_alias(FunctionName=self.function, Name="planned", **wanted)

    def destroy(self) -> None:
        self.client.delete_alias(FunctionName=self.function, Name="planned")


class Url(Thing):
    desired = {"AuthType": "AWS_IAM", "InvokeMode": "BUFFERED"}
    changed = {
        "AuthType": "NONE",
        "InvokeMode": "RESPONSE_STREAM",
        "Cors": {"AllowOrigins": ["https://example.com"], "AllowMethods": ["GET"], "MaxAge": 60},
    }

    def create(self, wanted: dict[str, Any]) -> None:
        self.client.create_function_url_config(FunctionName=self.function, **wanted)

    def read(self) -> dict[str, Any]:
        found = self.client.get_function_url_config(FunctionName=self.function)
        return {name: found[name] for name in ("AuthType", "InvokeMode", "Cors") if name in found}

    def update(self, wanted: dict[str, Any]) -> None:
        self.client.update_function_url_config(FunctionName=self.function, **wanted)

    def destroy(self) -> None:
        self.client.delete_function_url_config(FunctionName=self.function)


class EventInvokeConfig(Thing):
    desired = {"MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 120}
    changed = {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 600}

    def create(self, wanted: dict[str, Any]) -> None:
        self.client.put_function_event_invoke_config(FunctionName=self.function, **wanted)

    def read(self) -> dict[str, Any]:
        found = self.client.get_function_event_invoke_config(FunctionName=self.function)
        assert found["DestinationConfig"] == {"OnSuccess": {}, "OnFailure": {}}
        return {name: found[name] for name in self.desired}

    def update(self, wanted: dict[str, Any]) -> None:
        self.client.update_function_event_invoke_config(FunctionName=self.function, **wanted)

    def destroy(self) -> None:
        self.client.delete_function_event_invoke_config(FunctionName=self.function)


class ProvisionedConcurrency(Thing):
    desired = {"RequestedProvisionedConcurrentExecutions": 1, "Status": "READY"}
    changed = {"RequestedProvisionedConcurrentExecutions": 2, "Status": "READY"}

    def create(self, wanted: dict[str, Any]) -> None:
        count = wanted["RequestedProvisionedConcurrentExecutions"]
        named = {"FunctionName": self.function, "Qualifier": "1"}
        self.client.put_provisioned_concurrency_config(ProvisionedConcurrentExecutions=count, **named)
        deadline = time.monotonic() + 240
        while self.read()["Status"] == "IN_PROGRESS":
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def read(self) -> dict[str, Any]:
        found = self.client.get_provisioned_concurrency_config(FunctionName=self.function, Qualifier="1")
        return {name: found[name] for name in self.desired}

    update = create

    def destroy(self) -> None:
        self.client.delete_provisioned_concurrency_config(FunctionName=self.function, Qualifier="1")


class Permission(Thing):
    """Tools replace a statement; it is never changed."""

    desired = {"Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com", "SourceAccount": "111111111111"}
    changed = {"Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com", "SourceAccount": "222222222222"}

    def create(self, wanted: dict[str, Any]) -> None:
        self.client.add_permission(FunctionName=self.function, StatementId="planned", **wanted)

    def read(self) -> dict[str, Any]:
        policy = json.loads(self.client.get_policy(FunctionName=self.function)["Policy"])
        [statement] = [each for each in policy["Statement"] if each["Sid"] == "planned"]
        return {
            "Action": statement["Action"],
            "Principal": statement["Principal"]["Service"],
            "SourceAccount": statement["Condition"]["StringEquals"]["AWS:SourceAccount"],
        }

    def update(self, wanted: dict[str, Any]) -> None:
        self.destroy()
        self.create(wanted)

    def destroy(self) -> None:
        self.client.remove_permission(FunctionName=self.function, StatementId="planned")


class CodeSigningConfig(Thing):
    publisher = "arn:aws:signer:us-east-1:111111111111:/signing-profiles/one/abcdefghij"
    desired = {"Description": "first", "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Warn"}}
    changed = {"Description": "second", "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Enforce"}}

    def create(self, wanted: dict[str, Any]) -> None:
        publishers = {"SigningProfileVersionArns": [self.publisher]}
        made = self.client.create_code_signing_config(AllowedPublishers=publishers, **wanted)
        self.arn = made["CodeSigningConfig"]["CodeSigningConfigArn"]

    def read(self) -> dict[str, Any]:
        found = self.client.get_code_signing_config(CodeSigningConfigArn=self.arn)["CodeSigningConfig"]
        return {name: found[name] for name in self.desired}

    def update(self, wanted: dict[str, Any]) -> None:
        self.client.update_code_signing_config(CodeSigningConfigArn=self.arn, **wanted)

    def destroy(self) -> None:
        self.client.delete_code_signing_config(CodeSigningConfigArn=self.arn)


class LayerVersion(Thing):
    """A version never changes: an edit publishes another."""

    desired = {"Description": "first", "CompatibleRuntimes": ["python3.12"], "CompatibleArchitectures": ["x86_64"]}
    changed = {**desired, "Description": "second"}

    def create(self, wanted: dict[str, Any]) -> None:
        made = self.client.publish_layer_version(LayerName="planned", Content={"ZipFile": CODE}, **wanted)
        self.number = made["Version"]

    def read(self) -> dict[str, Any]:
        found = self.client.get_layer_version(LayerName="planned", VersionNumber=self.number)
        return {name: found[name] for name in self.desired}

    def update(self, wanted: dict[str, Any]) -> None:
        self.destroy()
        self.create(wanted)

    def destroy(self) -> None:
        self.client.delete_layer_version(LayerName="planned", VersionNumber=self.number)


THINGS = [
    Function,
    Alias,
    Url,
    EventInvokeConfig,
    ProvisionedConcurrency,
    Permission,
    CodeSigningConfig,
    LayerVersion,
]


@pytest.fixture(scope="module")
def client(server):
    return server.client("lambda")


@pytest.fixture(scope="module")
def role(server):
    return starter_role(server)


@pytest.fixture(scope="module")
def function(client, role):
    """A function with the versions 1 and 2, for what belongs to one."""
    name = "plans-stand-on-this"
    client.create_function(
        FunctionName=name,
        Role=role,
        Runtime="python3.12",
        Handler="index.handler",
        Code={"ZipFile": CODE},
        Publish=True,
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name)
    client.update_function_code(FunctionName=name, ZipFile=OTHER_CODE)
    client.get_waiter("function_updated_v2").wait(FunctionName=name)
    client.publish_version(FunctionName=name)
    yield name
    client.delete_function(FunctionName=name)


@pytest.mark.parametrize("kind", THINGS, ids=lambda kind: kind.__name__)
def test_the_life_of_a_thing_under_a_plan(client, role, function, kind):
    thing = kind(client, role, function)
    thing.create(thing.desired)
    assert thing.read() == thing.desired
    assert thing.read() == thing.desired, "a second plan is empty"
    thing.update(thing.changed)
    assert thing.read() == thing.changed
    thing.update(thing.desired | {name: {} for name in set(thing.changed) - set(thing.desired)})
    thing.destroy()
    with pytest.raises(ClientError) as gone:
        thing.read()
    assert gone.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
