"""Metric filters and resource policies of CloudWatch Logs, with stock boto3 against a live server."""

import json
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer

TRANSFORMATION = {"metricName": "m", "metricNamespace": "n", "metricValue": "1", "defaultValue": 0}


@pytest.fixture
def logs(server: CossetServer) -> Any:
    return server.client("logs")


@pytest.fixture
def group(logs: Any) -> Iterator[str]:
    name = f"measured-{uuid.uuid4().hex[:8]}"
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="s")
    yield name
    logs.delete_log_group(logGroupName=name)


def put(logs: Any, group: str, name: str = "f", pattern: str = "ERROR", **transformation: Any) -> None:
    logs.put_metric_filter(
        logGroupName=group,
        filterName=name,
        filterPattern=pattern,
        metricTransformations=[{**TRANSFORMATION, **transformation}],
    )


def refusal(call: Any, *given: Any, **params: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(*given, **params)
    return f"{caught.value.response['Error']['Code']}: {caught.value.response['Error']['Message']}"


def test_what_a_group_takes_in_is_measured(server: CossetServer, logs: Any, group: str) -> None:
    namespace = f"Measured/{group}"
    put(logs, group, pattern="{ $.level = E* }", metricNamespace=namespace, metricValue="$.ms", unit="Milliseconds")
    now_ms = int(time.time() * 1000)
    messages = [json.dumps({"level": level, "ms": ms}) for level, ms in (("ERROR", 5), ("INFO", 100), ("E", 7))]
    events = [{"timestamp": now_ms, "message": message} for message in messages]
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)
    hour = timedelta(hours=1)
    (point,) = server.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName="m",
        StartTime=datetime.now(UTC) - hour,
        EndTime=datetime.now(UTC) + hour,
        Period=7200,
        Statistics=["Sum", "SampleCount"],
    )["Datapoints"]
    assert (point["Sum"], point["SampleCount"], point["Unit"]) == (12, 2, "Milliseconds")


def test_filters_are_put_shown_and_deleted(logs: Any, group: str) -> None:
    """Recorded: test_put_metric_filter_basic."""
    put(logs, group, pattern=" ")
    (shown,) = logs.describe_metric_filters(logGroupName=group)["metricFilters"]
    assert isinstance(shown.pop("creationTime"), int)
    assert shown == {
        "filterName": "f",
        "filterPattern": " ",
        "logGroupName": group,
        "metricTransformations": [TRANSFORMATION],
        "applyOnTransformedLogs": False,
    }
    put(logs, group, pattern="ERROR")
    put(logs, group, "other", metricName="another")
    (listed,) = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert listed["metricFilterCount"] == 2
    page = logs.describe_metric_filters(logGroupName=group, limit=1)
    assert [each["filterPattern"] for each in page["metricFilters"]] == ["ERROR"]
    rest = logs.describe_metric_filters(logGroupName=group, nextToken=page["nextToken"])
    assert [each["filterName"] for each in rest["metricFilters"]] == ["other"]
    named = logs.describe_metric_filters(metricName="another", metricNamespace="n")["metricFilters"]
    assert "other" in [each["filterName"] for each in named]
    logs.delete_metric_filter(logGroupName=group, filterName="f")
    gone = refusal(logs.delete_metric_filter, logGroupName=group, filterName="f")
    assert gone == "ResourceNotFoundException: The specified metric filter does not exist."


@pytest.mark.parametrize(
    ("pattern", "transformation", "sentence"),
    [
        ("ERROR", {"metricValue": "$.size"}, "'$.size' is neither a number nor a field of the filter pattern."),
        ("{ $.a = 1 }", {"metricValue": "$."}, "'$.' is neither a number nor a field of the filter pattern."),
        ("[a, b]", {"metricValue": "x"}, "'x' is neither a number nor a field of the filter pattern."),
        (
            "{ $.a = 1 }",
            {"dimensions": {"d": "$.a"}},
            "dimensions and default value are mutually exclusive properties.",
        ),
        ("{ $.a = }", {}, "Invalid JSON filter pattern"),
        ("[a", {}, "Invalid space-delimited filter pattern"),
    ],
)
def test_filters_that_are_refused(
    logs: Any, group: str, pattern: str, transformation: dict[str, Any], sentence: str
) -> None:
    said = refusal(put, logs, group, pattern=pattern, **transformation)
    assert said.startswith("InvalidParameterException: ")
    assert sentence in said


def test_a_name_that_is_too_long(logs: Any, group: str) -> None:
    said = refusal(put, logs, group, "X" * 513)
    assert said == (
        f"InvalidParameterException: 1 validation error detected: Value '{'X' * 513}' at 'filterName' failed to "
        "satisfy constraint: Member must have length less than or equal to 512"
    )


def test_a_pattern_is_tried(logs: Any) -> None:
    messages = ['127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /a.gif HTTP/1.0" 404 23', "something else"]
    (match,) = logs.test_metric_filter(
        filterPattern="[ip, id, user, timestamp, request, status=4*, size]", logEventMessages=messages
    )["matches"]
    assert (match["eventNumber"], match["eventMessage"]) == (1, messages[0])
    assert match["extractedValues"]["$request"] == "GET /a.gif HTTP/1.0"
    assert match["extractedValues"]["$timestamp"] == "10/Oct/2000:13:25:15 -0700"
    events = ['{"level":"ERROR","n":1}', '{"level":"INFO"}']
    (found,) = logs.test_metric_filter(filterPattern="{ $.level = ERROR }", logEventMessages=events)["matches"]
    assert found["extractedValues"] == {"$.level": "ERROR"}


def test_a_resource_policy_lets_in_whom_it_names(server: CossetServer, logs: Any, group: str) -> None:
    iam, name = server.client("iam"), f"{group}-reader"
    user = iam.create_user(UserName=name)["User"]["Arn"]
    key = iam.create_access_key(UserName=name)["AccessKey"]
    reader = server.client("logs", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    assert refusal(reader.describe_log_streams, logGroupName=group).startswith("AccessDenied")
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": user},
        "Action": "logs:DescribeLogStreams",
        "Resource": f"arn:aws:logs:{server.region}:{server.account}:log-group:{group}:*",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    put = logs.put_resource_policy(policyName=name, policyDocument=document)["resourcePolicy"]
    assert (put["policyName"], put["policyDocument"], put["policyScope"]) == (name, document, "ACCOUNT")
    assert put in logs.describe_resource_policies()["resourcePolicies"]
    assert [each["logStreamName"] for each in reader.describe_log_streams(logGroupName=group)["logStreams"]] == ["s"]
    assert refusal(reader.delete_log_group, logGroupName=group).startswith("AccessDenied")
    logs.delete_resource_policy(policyName=name)
    assert refusal(reader.describe_log_streams, logGroupName=group).startswith("AccessDenied")
    gone = refusal(logs.delete_resource_policy, policyName=name)
    assert gone == f"ResourceNotFoundException: Policy with name [{name}] does not exist."
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName=name)


def test_resource_policies_are_ten(server: CossetServer) -> None:
    """Recorded: test_put_resource_policy_limit_exceeded."""
    logs = server.client("logs", region_name="eu-south-2")
    statement = {"Effect": "Allow", "Principal": {"Service": "es.amazonaws.com"}, "Action": "logs:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    for number in range(10):
        logs.put_resource_policy(policyName=f"p{number}", policyDocument=document)
    logs.put_resource_policy(policyName="p0", policyDocument=document)
    said = refusal(logs.put_resource_policy, policyName="one more", policyDocument=document)
    assert said == "LimitExceededException: Resource limit exceeded."
    for bad in ("no json", "{}", document.replace("logs:", "s3:")):
        assert refusal(logs.put_resource_policy, policyName="p0", policyDocument=bad).startswith("InvalidParameter")
    page = logs.describe_resource_policies(limit=4)
    rest = logs.describe_resource_policies(nextToken=page["nextToken"])
    kept = [each["policyName"] for each in page["resourcePolicies"] + rest["resourcePolicies"]]
    assert kept == [f"p{number}" for number in range(10)]
    for name in kept:
        logs.delete_resource_policy(policyName=name)
