"""What happens to asynchronous events in the end: retries, destinations, loops. Stock boto3 on a live server."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer
from support.logged import messages
from support.patience import until
from support.role import make_role, starter_role
from support.zip import make_zip

SOURCE = make_zip(
    {
        "index.py": "def handler(event, context):\n"
        "    print('ran', context.aws_request_id)\n"
        "    if event.get('fail'):\n"
        "        raise ValueError('as asked')\n"
        "    return {'echo': event}\n"
    }
)
WITNESS = make_zip({"index.py": "import json\ndef handler(event, context):\n    print('record', json.dumps(event))\n"})


@pytest.fixture(scope="module")
def client(server: CossetServer) -> Any:
    return server.client("lambda")


@pytest.fixture(scope="module")
def role(server: CossetServer) -> str:
    """Of functions whose ends go to other functions."""
    return make_role(server, "calls-functions", "lambda:InvokeFunction", "logs:*")


def make_function(server: CossetServer, role: str, name: str, package: bytes) -> str:
    client = server.client("lambda")
    created = client.create_function(
        FunctionName=name,
        Runtime="python3.12",
        Role=role,
        Handler="index.handler",
        Code={"ZipFile": package},
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name)
    return str(created["FunctionArn"])


@pytest.fixture(scope="module")
def source(server: CossetServer, role: str) -> Iterator[tuple[str, str]]:
    """A function whose ends go to another: their ARNs."""
    source = make_function(server, role, "ends-source", SOURCE)
    witness = make_function(server, starter_role(server), "ends-witness", WITNESS)
    yield source, witness
    for name in ("ends-source", "ends-witness"):
        server.client("lambda").delete_function(FunctionName=name)


def records(server: CossetServer, name: str, count: int) -> list[dict[str, Any]]:
    """The records that the witness printed, once there are `count`."""

    def found() -> list[dict[str, Any]]:
        lines = messages(server, f"/aws/lambda/{name}")
        return [json.loads(line.partition(" ")[2]) for line in lines if line.startswith("record ")]

    until(lambda: len(found()) >= count)
    return found()


def test_a_config_through_the_door(client: Any, source: tuple[str, str]) -> None:
    arn, witness = source
    given = {"OnSuccess": {"Destination": witness}, "OnFailure": {"Destination": witness}}
    made = client.put_function_event_invoke_config(
        FunctionName=arn, MaximumRetryAttempts=0, MaximumEventAgeInSeconds=60, DestinationConfig=given
    )
    assert (made["FunctionArn"], made["DestinationConfig"]) == (f"{arn}:$LATEST", given)
    assert client.list_function_event_invoke_configs(FunctionName=arn)["FunctionEventInvokeConfigs"][0] == {
        name: value for name, value in made.items() if name != "ResponseMetadata"
    }
    assert client.get_function_event_invoke_config(FunctionName=arn)["LastModified"] == made["LastModified"]
    with pytest.raises(ClientError) as caught:
        client.put_function_event_invoke_config(
            FunctionName=arn, DestinationConfig={"OnFailure": {"Destination": "arn:aws:_-/!x"}}
        )
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert "at 'destinationConfig.onFailure.destination' failed to satisfy" in str(caught.value)


def test_ends_reach_the_function_that_is_their_destination(
    server: CossetServer, client: Any, source: tuple[str, str]
) -> None:
    arn, witness = source
    to_witness = {"Destination": witness}
    client.put_function_event_invoke_config(
        FunctionName=arn,
        MaximumRetryAttempts=0,
        DestinationConfig={"OnSuccess": to_witness, "OnFailure": to_witness},
    )
    ids = {}
    for event in ({"fail": True}, {"fail": False}):
        answer = client.invoke(FunctionName=arn, InvocationType="Event", Payload=json.dumps(event))
        ids[answer["ResponseMetadata"]["RequestId"]] = event
    found = {record["requestContext"]["requestId"]: record for record in records(server, "ends-witness", 2)}
    assert found.keys() == ids.keys()
    failed, succeeded = (found[each] for each in ids)
    assert failed["requestContext"]["condition"] == "RetriesExhausted"
    assert failed["requestContext"]["functionArn"] == f"{arn}:$LATEST"
    assert failed["requestPayload"] == {"fail": True}
    assert failed["responsePayload"]["errorMessage"] == "as asked"
    assert succeeded["requestContext"]["condition"] == "Success"
    assert succeeded["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST"}
    assert succeeded["responsePayload"] == {"echo": {"fail": False}}


def test_a_role_must_allow_what_is_sent_for_it(server: CossetServer, client: Any, source: tuple[str, str]) -> None:
    arn, witness = source
    with pytest.raises(ClientError) as caught:
        client.put_function_event_invoke_config(
            FunctionName=witness, DestinationConfig={"OnSuccess": {"Destination": arn}}
        )
    assert caught.value.response["Error"]["Message"] == (
        f"The function's execution role does not have permissions to call InvokeFunction on {arn}"
    )


@pytest.fixture(scope="module")
def queue(server: CossetServer) -> Iterator[tuple[str, str]]:
    """A queue for what could not be done: its URL and ARN."""
    sqs = server.client("sqs")
    url = sqs.create_queue(QueueName="ends-queue")["QueueUrl"]
    yield url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sqs.delete_queue(QueueUrl=url)


@pytest.fixture(scope="module")
def to_queue(server: CossetServer) -> Iterator[str]:
    """A function that may send to queues: its name."""
    role = make_role(server, "sends-to-queues", "sqs:SendMessage", "logs:*")
    make_function(server, role, "ends-to-queue", SOURCE)
    yield "ends-to-queue"
    server.client("lambda").delete_function(FunctionName="ends-to-queue")


def receive(server: CossetServer, url: str) -> dict[str, Any]:
    """The next message; it is gone from the queue then."""
    sqs = server.client("sqs")
    until = time.monotonic() + 240
    while True:
        found = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=2, MessageAttributeNames=["All"]).get("Messages")
        if found:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=found[0]["ReceiptHandle"])
            return dict(found[0])
        assert time.monotonic() < until


def test_an_event_that_failed_for_good_goes_to_the_dead_letter_queue(
    server: CossetServer, client: Any, to_queue: str, queue: tuple[str, str]
) -> None:
    # recorded: TestLambdaDLQ::test_dead_letter_queue
    url, arn = queue
    client.update_function_configuration(FunctionName=to_queue, DeadLetterConfig={"TargetArn": arn})
    client.get_waiter("function_updated_v2").wait(FunctionName=to_queue, WaiterConfig={"Delay": 1})
    client.put_function_event_invoke_config(FunctionName=to_queue, MaximumRetryAttempts=0)
    sent = client.invoke(FunctionName=to_queue, InvocationType="Event", Payload=b'{"fail": 1}')
    message = receive(server, url)
    assert message["Body"] == '{"fail": 1}'
    assert message["MessageAttributes"] == {
        "RequestID": {"StringValue": sent["ResponseMetadata"]["RequestId"], "DataType": "String"},
        "ErrorCode": {"StringValue": "200", "DataType": "Number"},
        "ErrorMessage": {"StringValue": "as asked", "DataType": "String"},
    }
    kept = client.update_function_configuration(FunctionName=to_queue, DeadLetterConfig={})
    assert kept["DeadLetterConfig"] == {"TargetArn": arn}
    client.get_waiter("function_updated_v2").wait(FunctionName=to_queue, WaiterConfig={"Delay": 1})
    client.update_function_configuration(FunctionName=to_queue, DeadLetterConfig={"TargetArn": ""})
    client.get_waiter("function_updated_v2").wait(FunctionName=to_queue, WaiterConfig={"Delay": 1})


def test_an_event_for_a_function_that_may_not_run_ends_at_once(
    server: CossetServer, client: Any, to_queue: str, queue: tuple[str, str]
) -> None:
    # recorded: TestLambdaConcurrency::test_reserved_concurrency
    url, arn = queue
    client.put_function_concurrency(FunctionName=to_queue, ReservedConcurrentExecutions=0)
    client.put_function_event_invoke_config(
        FunctionName=to_queue, DestinationConfig={"OnFailure": {"Destination": arn}}
    )
    client.invoke(FunctionName=to_queue, InvocationType="Event", Payload=b"{}")
    record = json.loads(receive(server, url)["Body"])
    assert record.pop("timestamp")
    assert record["requestContext"].pop("requestId")
    assert record == {
        "version": "1.0",
        "requestContext": {
            "functionArn": client.get_function_configuration(FunctionName=to_queue, Qualifier="$LATEST")["FunctionArn"],
            "condition": "ZeroReservedConcurrency",
            "approximateInvokeCount": 0,
        },
        "requestPayload": {},
    }
    client.delete_function_concurrency(FunctionName=to_queue)


def test_a_loop_of_destinations_is_stopped_after_16_runs(server: CossetServer, client: Any, role: str) -> None:
    names = ("loop-a", "loop-b")
    arns = [make_function(server, role, name, WITNESS) for name in names]
    for name, other in zip(names, reversed(arns), strict=True):
        client.put_function_event_invoke_config(
            FunctionName=name, MaximumRetryAttempts=0, DestinationConfig={"OnSuccess": {"Destination": other}}
        )
        assert client.get_function_recursion_config(FunctionName=name)["RecursiveLoop"] == "Terminate"
    client.invoke(FunctionName="loop-a", InvocationType="Event")
    assert len(records(server, "loop-b", 16)) == 16
    time.sleep(0.5)  # time for one run too many
    assert [len(records(server, name, 16)) for name in names] == [16, 16]
    answer = client.put_function_recursion_config(FunctionName="loop-a", RecursiveLoop="Allow")
    assert answer["RecursiveLoop"] == "Allow"
    for name in names:
        client.delete_function(FunctionName=name)


ITSELF = make_zip(
    {
        "index.py": "import json\nimport boto3\n\nclient = boto3.client('lambda')\n\n\ndef handler(event, context):\n"
        "    print('record', json.dumps(event))\n"
        "    again = json.dumps({'n': event.get('n', 0) + 1})\n"
        "    client.invoke(FunctionName=context.function_name, InvocationType='Event', Payload=again)\n"
    }
)


def test_a_function_that_calls_itself_by_its_sdk_is_stopped_too(server: CossetServer, client: Any, role: str) -> None:
    make_function(server, role, "calls-itself", ITSELF)
    client.update_function_configuration(FunctionName="calls-itself", Timeout=30)
    client.get_waiter("function_updated_v2").wait(FunctionName="calls-itself", WaiterConfig={"Delay": 1})
    client.invoke(FunctionName="calls-itself", InvocationType="Event", Payload="{}")
    found = records(server, "calls-itself", 16)
    time.sleep(0.5)  # time for one run too many
    assert sorted(each.get("n", 0) for each in records(server, "calls-itself", 16)) == list(range(16)), found
    client.delete_function(FunctionName="calls-itself")
