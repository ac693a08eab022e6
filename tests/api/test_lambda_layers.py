"""Layers through the door: a function imports what a layer brings."""

import json
import urllib.request

import pytest

from support.role import starter_role
from support.zip import make_zip

LAYER = make_zip({"python/tools.py": "ANSWER = 42\n", "data/file.txt": "from the layer"})
LATER = make_zip({"data/file.txt": "from the later layer"})
CODE = make_zip(
    {
        "index.py": (
            "import tools\ndef handler(event, context):\n    return [tools.ANSWER, open('/opt/data/file.txt').read()]\n"
        )
    }
)


@pytest.fixture
def client(server):
    return server.client("lambda")


def test_a_function_runs_with_its_layers(server, client):
    first = client.publish_layer_version(LayerName="test-tools", Content={"ZipFile": LAYER})
    with urllib.request.urlopen(first["Content"]["Location"]) as answer:
        assert answer.read() == LAYER
    later = client.publish_layer_version(LayerName="test-later", Content={"ZipFile": LATER})
    client.create_function(
        FunctionName="with-layers",
        Runtime="python3.12",
        Role=starter_role(server),
        Handler="index.handler",
        Code={"ZipFile": CODE},
        Layers=[first["LayerVersionArn"], later["LayerVersionArn"]],
    )
    try:
        client.get_waiter("function_active_v2").wait(FunctionName="with-layers")
        client.delete_layer_version(LayerName="test-tools", VersionNumber=first["Version"])
        answered = client.invoke(FunctionName="with-layers")
        assert json.loads(answered["Payload"].read()) == [42, "from the later layer"]
    finally:
        client.delete_function(FunctionName="with-layers")


def test_a_layer_is_found_by_its_arn(client):
    published = client.publish_layer_version(
        LayerName="test-by-arn", Content={"ZipFile": LAYER}, CompatibleRuntimes=["python3.12"]
    )
    found = client.get_layer_version_by_arn(Arn=published["LayerVersionArn"])
    assert found["Content"]["CodeSha256"] == published["Content"]["CodeSha256"]
    assert published["LayerArn"] in [layer["LayerArn"] for layer in client.list_layers()["Layers"]]
    client.delete_layer_version(LayerName="test-by-arn", VersionNumber=1)
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_layer_version(LayerName="test-by-arn", VersionNumber=1)
