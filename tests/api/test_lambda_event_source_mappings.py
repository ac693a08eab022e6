"""Event source mappings through the door: AWS's refusals first, then ours by name."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer
from support.role import starter_role
from support.zip import make_zip

NAME = "mapped"
UUID = "00000000-0000-4000-8000-00000000ffff"


@pytest.fixture(scope="module")
def client(server: CossetServer) -> Iterator[Any]:
    client = server.client("lambda")
    client.create_function(
        FunctionName=NAME,
        Runtime="python3.12",
        Role=starter_role(server),
        Handler="index.handler",
        Code={"ZipFile": make_zip({"index.py": "def handler(event, context): ...\n"})},
    )
    yield client
    client.delete_function(FunctionName=NAME)


def refusal(call: Any, **given: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**given)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_what_is_wrong_is_said_as_on_aws(server: CossetServer, client: Any) -> None:
    # recorded: TestLambdaEventSourceMappings::test_event_source_mapping_exceptions, ::test_create_event_source_...
    queue = f"arn:aws:sqs:{server.region}:{server.account}:q"
    stream = f"arn:aws:kinesis:{server.region}:{server.account}:stream/s"
    create = client.create_event_source_mapping
    wrong = "InvalidParameterValueException"
    assert refusal(create, FunctionName=NAME) == (wrong, "Unrecognized event source.")
    assert refusal(create, FunctionName="none", EventSourceArn=queue) == (wrong, "Function does not exist")
    assert refusal(create, FunctionName=NAME, EventSourceArn=stream)[1].startswith(
        "1 validation error detected: Value null at 'startingPosition'"
    )
    code, message = refusal(create, FunctionName=NAME, EventSourceArn=stream, StartingPosition="invalid")
    assert code == "ValidationException"
    assert message.endswith("Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]")
    missing = ("ResourceNotFoundException", "The resource you requested does not exist.")
    assert refusal(client.get_event_source_mapping, UUID=UUID) == missing
    assert refusal(client.update_event_source_mapping, UUID=UUID, BatchSize=1) == missing
    assert refusal(client.delete_event_source_mapping, UUID=UUID) == missing


def test_a_source_that_is_not_there_is_said_by_name(server: CossetServer, client: Any) -> None:
    broker = f"arn:aws:mq:{server.region}:{server.account}:broker:b:b-1"
    code, message = refusal(client.create_event_source_mapping, FunctionName=NAME, EventSourceArn=broker)
    assert code == "NotImplementedException"
    assert "Amazon MQ as an event source" in message
    assert client.list_event_source_mappings(FunctionName=NAME)["EventSourceMappings"] == []
