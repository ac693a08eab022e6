"""What client tools set, read back and plan on: networks, keys, file systems, code signing, runtime management."""

from collections.abc import Iterator
from typing import Any

import pytest

from cosset.testing.server import CossetServer
from support.role import starter_role
from support.zip import make_zip

PACKAGE = make_zip({"index.py": "def handler(event, context):\n    return 'ran'\n"})
NAME = "stored-settings"


@pytest.fixture(scope="module")
def client(server: CossetServer) -> Iterator[Any]:
    """With a function that has every setting that is kept."""
    client = server.client("lambda")
    client.create_function(
        FunctionName=NAME,
        Runtime="python3.12",
        Role=starter_role(server),
        Handler="index.handler",
        Code={"ZipFile": PACKAGE},
        VpcConfig={"SubnetIds": ["subnet-1a"], "SecurityGroupIds": ["sg-1a"]},
        KMSKeyArn=f"arn:aws:kms:{server.region}:{server.account}:key/1",
        FileSystemConfigs=[{"Arn": access_point(server), "LocalMountPath": "/mnt/data"}],
        SnapStart={"ApplyOn": "PublishedVersions"},
        TracingConfig={"Mode": "Active"},
    )
    client.get_waiter("function_active_v2").wait(FunctionName=NAME)
    yield client
    client.delete_function(FunctionName=NAME)


def access_point(server: CossetServer) -> str:
    return f"arn:aws:elasticfilesystem:{server.region}:{server.account}:access-point/fsap-0123456789abcdef0"


def test_what_was_set_is_read_back_and_the_function_runs(server: CossetServer, client: Any) -> None:
    read = client.get_function_configuration(FunctionName=NAME)
    assert read["VpcConfig"] == {
        "SubnetIds": ["subnet-1a"],
        "SecurityGroupIds": ["sg-1a"],
        "VpcId": "",
        "Ipv6AllowedForDualStack": False,
    }
    assert read["FileSystemConfigs"] == [{"Arn": access_point(server), "LocalMountPath": "/mnt/data"}]
    assert read["KMSKeyArn"].endswith(":key/1")
    assert read["TracingConfig"] == {"Mode": "Active"}
    assert read["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}
    assert client.invoke(FunctionName=NAME)["Payload"].read() == b'"ran"'


def test_a_version_with_snap_start_becomes_active(client: Any) -> None:
    version = client.publish_version(FunctionName=NAME)
    assert version["State"] == "Pending"
    client.get_waiter("published_version_active").wait(FunctionName=NAME, Qualifier=version["Version"])
    read = client.get_function_configuration(FunctionName=NAME, Qualifier=version["Version"])
    assert read["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}
    assert client.invoke(FunctionName=NAME, Qualifier=version["Version"])["StatusCode"] == 200


def test_a_runtime_is_pinned(client: Any) -> None:
    installed = client.get_function_configuration(FunctionName=NAME)["RuntimeVersionConfig"]["RuntimeVersionArn"]
    client.put_runtime_management_config(FunctionName=NAME, UpdateRuntimeOn="Manual", RuntimeVersionArn=installed)
    read = client.get_runtime_management_config(FunctionName=NAME)
    assert (read["UpdateRuntimeOn"], read["RuntimeVersionArn"]) == ("Manual", installed)
    client.put_runtime_management_config(FunctionName=NAME, UpdateRuntimeOn="Auto")
    assert "RuntimeVersionArn" not in client.get_runtime_management_config(FunctionName=NAME)


def test_code_that_must_be_signed(server: CossetServer, client: Any) -> None:
    profile = f"arn:aws:signer:{server.region}:{server.account}:/signing-profiles/mine"
    made = client.create_code_signing_config(
        AllowedPublishers={"SigningProfileVersionArns": [profile]},
        CodeSigningPolicies={"UntrustedArtifactOnDeployment": "Enforce"},
        Tags={"team": "a"},
    )
    arn = made["CodeSigningConfig"]["CodeSigningConfigArn"]
    assert client.get_code_signing_config(CodeSigningConfigArn=arn)["CodeSigningConfig"] == made["CodeSigningConfig"]
    assert client.list_tags(Resource=arn)["Tags"] == {"team": "a"}
    client.put_function_code_signing_config(FunctionName=NAME, CodeSigningConfigArn=arn)
    assert client.get_function_code_signing_config(FunctionName=NAME)["CodeSigningConfigArn"] == arn
    functions = client.list_functions_by_code_signing_config(CodeSigningConfigArn=arn)["FunctionArns"]
    assert [each.rpartition(":")[2] for each in functions] == [NAME]
    with pytest.raises(client.exceptions.CodeVerificationFailedException):
        client.update_function_code(FunctionName=NAME, ZipFile=PACKAGE)
    with pytest.raises(client.exceptions.ResourceConflictException):
        client.delete_code_signing_config(CodeSigningConfigArn=arn)
    client.delete_function_code_signing_config(FunctionName=NAME)
    assert "CodeSigningConfigArn" not in client.get_function_code_signing_config(FunctionName=NAME)
    client.delete_code_signing_config(CodeSigningConfigArn=arn)
    assert arn not in [
        each["CodeSigningConfigArn"] for each in client.list_code_signing_configs()["CodeSigningConfigs"]
    ]
    with pytest.raises(client.exceptions.ResourceNotFoundException) as caught:
        client.get_code_signing_config(CodeSigningConfigArn=arn)
    assert "Type" not in caught.value.response
