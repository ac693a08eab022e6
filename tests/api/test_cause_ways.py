"""Every way on which events travel leaves its steps: dead letters, redrives, alarms, logs, exports, failures. One tree
each, and edges of the map."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from cosset.cli.failure import Failure
from cosset.cli.own import call_own
from cosset.testing.server import CossetServer
from support.command import cosset
from support.role import make_role
from support.s3_buckets import new_bucket
from support.zip import make_zip

SOURCE = make_zip(
    {
        "index.py": "def handler(event, context):\n"
        "    if 'say' in event:\n"
        "        print(event['say'])\n"
        "    if event.get('fail'):\n"
        "        raise ValueError('as asked')\n"
    }
)
WITHIN_S = 240
Shown = list[tuple[int, str, str]]


@dataclass(frozen=True)
class Sink:
    """A function that everything leads to. It fails and prints as its event says."""

    name: str
    arn: str


@pytest.fixture(scope="module")
def sink(server: CossetServer) -> Iterator[Sink]:
    functions = server.client("lambda")
    role = make_role(server, "ways", "sqs:*", "logs:*", "s3:*", "lambda:InvokeFunction")
    arn = functions.create_function(
        FunctionName="ways", Runtime="python3.12", Role=role, Handler="index.handler", Code={"ZipFile": SOURCE}
    )["FunctionArn"]
    functions.get_waiter("function_active_v2").wait(FunctionName="ways")
    for principal in ("lambda.alarms.cloudwatch.amazonaws.com", "logs.amazonaws.com"):
        functions.add_permission(
            FunctionName="ways",
            StatementId=principal.replace(".", "-"),
            Action="lambda:InvokeFunction",
            Principal=principal,
        )
    yield Sink("ways", arn)
    functions.delete_function(FunctionName="ways")


def tree(server: CossetServer, id_: str, is_whole: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    until = time.monotonic() + WITHIN_S
    while True:
        steps: list[dict[str, Any]] = []
        with suppress(Failure):  # nothing is on record yet
            steps = call_own(server.data, "GetTrace", id=id_)["steps"]
        if is_whole(steps):
            return steps
        assert time.monotonic() < until, f"the tree did not become whole: {json.dumps(steps, indent=1)}"
        time.sleep(0.2)


def kinds(*wanted: str) -> Callable[[list[dict[str, Any]]], bool]:
    return lambda steps: set(wanted) <= {step["kind"] for step in steps}


def shape(steps: list[dict[str, Any]]) -> Shown:
    return [(step["depth"], step["kind"], step["resource"]) for step in steps]


def edge(server: CossetServer, source: str, target: str) -> dict[str, Any]:
    told = call_own(server.data, "GetMap", since_s=3600)
    edges = {(each["source"], each["target"]): each for each in told["edges"]}
    assert (source, target) in edges, sorted(edges)
    return edges[source, target]


def queue(sqs: Any, name: str, **attributes: str) -> tuple[str, str]:
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def exhaust(sqs: Any, url: str) -> None:
    """Receives the message of the queue until it is moved."""
    for _ in range(2):
        sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)


def test_a_dead_letter_leads_on_and_comes_back_by_a_redrive(server: CossetServer, sink: Sink) -> None:
    sqs, functions = server.client("sqs"), server.client("lambda")
    dead_url, dead = queue(sqs, "ways-dead")
    policy = json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 1})
    url, source = queue(sqs, "ways-source", RedrivePolicy=policy)
    assert edge(server, source, dead) | {"count": 0} == edge(server, source, dead)  # silent, and there
    header = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"
    sent = sqs.send_message(
        QueueUrl=url,
        MessageBody="x",
        MessageSystemAttributes={"AWSTraceHeader": {"DataType": "String", "StringValue": header}},
    )["MessageId"]
    exhaust(sqs, url)
    sqs.start_message_move_task(SourceArn=dead)
    steps = tree(server, sent, lambda steps: len(steps) == 4)
    assert shape(steps)[1:] == [(1, "message", source), (2, "dead-letter", dead), (3, "message", source)]
    assert steps[3]["name"] == "redrive"
    assert {step.get("trace_id") for step in steps[1:]} == {None, "1-5759e988-bd862e3fe1be46a994272793"}
    # And on: the message that came back is moved again, and this time a function takes it.
    exhaust(sqs, url)
    mapping = functions.create_event_source_mapping(EventSourceArn=dead, FunctionName=sink.name)["UUID"]
    steps = tree(server, sent, kinds("invocation"))
    assert shape(steps)[3:] == [(3, "message", source), (4, "dead-letter", dead), (5, "invocation", sink.arn)]
    assert [step["trace_id"] for step in steps if step["kind"] == "invocation"] == [header[5:40]]
    functions.delete_event_source_mapping(UUID=mapping)
    lines = cosset(server, "trace", sent).stdout
    assert "dead letter in queue ways-dead" in lines
    assert "message in queue ways-source (redrive)" in lines
    counted = edge(server, source, dead)
    assert (counted["count"], counted["configured"], counted["means"]) == (2, True, "dead-letter queue")
    assert edge(server, dead, source)["means"] == "redrive"
    assert edge(server, dead, sink.arn)["count"] == 1
    for each in (url, dead_url):
        sqs.delete_queue(QueueUrl=each)


def test_what_failed_leads_to_its_dead_letters_and_to_its_bucket(server: CossetServer, sink: Sink) -> None:
    sqs, functions, s3 = server.client("sqs"), server.client("lambda"), server.client("s3")
    url, dead = queue(sqs, "ways-failed")
    with new_bucket(s3) as bucket:
        destinations = {"OnFailure": {"Destination": f"arn:aws:s3:::{bucket}"}}
        functions.put_function_event_invoke_config(
            FunctionName=sink.name, MaximumRetryAttempts=0, DestinationConfig=destinations
        )
        functions.update_function_configuration(FunctionName=sink.name, DeadLetterConfig={"TargetArn": dead})
        functions.get_waiter("function_updated_v2").wait(FunctionName=sink.name)
        assert edge(server, sink.arn, dead)["means"] == "dead-letter queue"
        answer = functions.invoke(FunctionName=sink.name, InvocationType="Event", Payload=b'{"fail": true}')
        answer["Payload"].read()
        request_id = answer["ResponseMetadata"]["RequestId"]
        steps = tree(server, request_id, kinds("object", "message"))
        assert shape(steps)[0] == (0, "invocation", sink.arn)
        assert {(step["depth"], step["kind"]) for step in steps[1:]} == {(1, "object"), (1, "message")}
        assert edge(server, sink.arn, f"arn:aws:s3:::{bucket}")["count"] == 1
        assert edge(server, sink.arn, dead)["count"] == 1
        functions.delete_function_event_invoke_config(FunctionName=sink.name)
        functions.update_function_configuration(FunctionName=sink.name, DeadLetterConfig={"TargetArn": ""})
        functions.get_waiter("function_updated_v2").wait(FunctionName=sink.name)
    sqs.delete_queue(QueueUrl=url)


def test_an_alarm_leads_to_all_its_actions(server: CossetServer, sink: Sink) -> None:
    cloudwatch, sns = server.client("cloudwatch"), server.client("sns")
    topic = sns.create_topic(Name="ways-alarms")["TopicArn"]
    cloudwatch.put_metric_alarm(
        AlarmName="ways",
        Namespace="AWS/Lambda",
        MetricName="NeverMeasured",  # so it moves only where it is told to
        Dimensions=[{"Name": "FunctionName", "Value": sink.name}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",
        AlarmActions=[sink.arn, topic],
    )
    cloudwatch.put_composite_alarm(AlarmName="ways-all", AlarmRule="ALARM(ways)")
    alarm = f"arn:aws:cloudwatch:{server.region}:{server.account}:alarm:ways"
    assert [edge(server, alarm, target)["count"] for target in (sink.arn, topic)] == [0, 0]
    assert edge(server, alarm, f"{alarm}-all")["configured"]
    assert edge(server, sink.arn, alarm)["means"] == "metric"
    cloudwatch.set_alarm_state(AlarmName="ways", StateValue="ALARM", StateReason="a test")
    steps = tree(server, "alarm:ways", kinds("invocation", "topic-message"))
    assert shape(steps)[:2] == [(0, "call", alarm), (1, "alarm", alarm)]
    found = {(step["depth"], step["kind"], step["resource"]) for step in steps}
    assert {(2, "invocation", sink.arn), (2, "topic-message", topic)} <= found
    assert tree(server, alarm, kinds("alarm"))[0]["id"] == steps[0]["id"]
    assert "alarm ways" in cosset(server, "trace", alarm).stdout
    assert edge(server, alarm, sink.arn)["count"] == 1
    assert edge(server, alarm, topic)["means"] == "alarm action"
    cloudwatch.delete_alarms(AlarmNames=["ways-all"])
    cloudwatch.delete_alarms(AlarmNames=["ways"])
    sns.delete_topic(TopicArn=topic)


def test_what_a_function_prints_leads_to_who_subscribes(server: CossetServer, sink: Sink) -> None:
    logs, functions = server.client("logs"), server.client("lambda")
    group = f"/aws/lambda/{sink.name}"
    arn = f"arn:aws:logs:{server.region}:{server.account}:log-group:{group}:*"
    with suppress(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(logGroupName=group)
    logs.put_subscription_filter(
        logGroupName=group, filterName="shouts", filterPattern="SHOUT", destinationArn=sink.arn
    )
    silent = edge(server, arn, sink.arn)
    assert (silent["count"], silent["means"]) == (0, "subscription filter shouts")
    assert edge(server, sink.arn, arn)["configured"]
    answer = functions.invoke(FunctionName=sink.name, Payload=b'{"say": "SHOUT"}')
    answer["Payload"].read()
    request_id = answer["ResponseMetadata"]["RequestId"]
    steps = tree(server, request_id, lambda steps: len(steps) == 3)
    assert shape(steps) == [(0, "invocation", sink.arn), (1, "log-events", arn), (2, "invocation", sink.arn)]
    assert f"events of log group {group} by subscription filter shouts" in cosset(server, "trace", request_id).stdout
    assert all(edge(server, *each)["count"] for each in ((sink.arn, arn), (arn, sink.arn)))
    logs.delete_subscription_filter(logGroupName=group, filterName="shouts")


def test_an_export_of_logs_leads_to_its_objects(server: CossetServer) -> None:
    logs, s3, now_ms = server.client("logs"), server.client("s3"), int(time.time() * 1000)
    group = "/ways/exported"
    arn = f"arn:aws:logs:{server.region}:{server.account}:log-group:{group}:*"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=[{"timestamp": now_ms, "message": "exported"}])
    with new_bucket(s3) as bucket:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "logs.amazonaws.com"},
            "Action": "s3:*",
            "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        }
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
        until = time.monotonic() + 2 * WITHIN_S
        task = {"logGroupName": group, "fromTime": now_ms - 1000, "to": now_ms + 60_000, "destination": bucket}
        while True:  # one task of an account at a time
            try:
                task_id = logs.create_export_task(**task)["taskId"]
                break
            except logs.exceptions.LimitExceededException:
                assert time.monotonic() < until
                time.sleep(0.3)
        steps = tree(server, task_id, lambda steps: len(steps) == 4)
        assert [step["kind"] for step in steps] == ["call", "log-export", "object", "object"]
        assert [step["depth"] for step in steps] == [0, 1, 2, 2]
        assert steps[1]["resource"] == arn
        assert any(step["resource"].endswith("000000.gz") for step in steps)
        assert edge(server, arn, f"arn:aws:s3:::{bucket}")["means"] == "export"
        # There is room for another's task again.
        while logs.describe_export_tasks(taskId=task_id)["exportTasks"][0]["status"]["code"] != "COMPLETED":
            assert time.monotonic() < until
            time.sleep(0.2)
    logs.delete_log_group(logGroupName=group)
