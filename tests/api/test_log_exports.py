"""Logs are exported to buckets that let CloudWatch Logs in. Stock boto3 on a live server."""

import gzip
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer

PATIENCE_S = 240
BUCKET, GROUP = "exports-of-logs", "/exports/of-logs"


@pytest.fixture(scope="module")
def logs(server: CossetServer) -> Iterator[Any]:
    logs = server.client("logs")
    logs.create_log_group(logGroupName=GROUP)
    yield logs
    logs.delete_log_group(logGroupName=GROUP)


@pytest.fixture(scope="module")
def now_ms(logs: Any) -> int:
    now = int(time.time() * 1000)
    for stream, count in (("2026/01/01/[1]abc", 3), ("other", 1), ("empty", 0)):
        logs.create_log_stream(logGroupName=GROUP, logStreamName=stream)
        events = [{"timestamp": now + n, "message": f"{stream} ü {n}"} for n in range(count)]
        if events:
            logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=events)
    return now


@pytest.fixture(scope="module")
def bucket(server: CossetServer) -> Iterator[str]:
    s3 = server.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    yield BUCKET
    for each in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        s3.delete_object(Bucket=BUCKET, Key=each["Key"])
    s3.delete_bucket(Bucket=BUCKET)


def let_in(server: CossetServer, *actions: str, account: str | None = None) -> None:
    condition = {"StringEquals": {"aws:SourceAccount": account or server.account}}
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "logs.us-east-1.amazonaws.com"},
        "Action": actions,
        "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
        "Condition": condition,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    server.client("s3").put_bucket_policy(Bucket=BUCKET, Policy=policy)


def export(logs: Any, now_ms: int, bucket: str = BUCKET, **more: Any) -> str:
    span = {"from": now_ms, "to": now_ms + 1000}
    made = logs.create_export_task(logGroupName=GROUP, destination=bucket, **span, **more)
    return str(made["taskId"])


def ended(logs: Any, task_id: str) -> dict[str, Any]:
    until = time.monotonic() + PATIENCE_S
    while True:
        (task,) = logs.describe_export_tasks(taskId=task_id)["exportTasks"]
        if task["status"]["code"] not in ("PENDING", "RUNNING", "PENDING_CANCEL"):
            return dict(task)
        assert time.monotonic() < until, task
        time.sleep(0.1)


def test_the_bucket_is_asked_first(server: CossetServer, logs: Any, bucket: str, now_ms: int) -> None:
    def refused(refusal: str, **given: Any) -> None:
        with pytest.raises(ClientError, match=refusal) as caught:
            export(logs, now_ms, **given)
        assert caught.value.response["Error"]["Code"] == "InvalidParameterException"

    refused("The given bucket does not exist", bucket="is-not-there")
    refused("GetBucketAcl call on the given bucket failed")
    let_in(server, "s3:GetBucketAcl")
    refused("PutObject call on the given bucket failed")
    let_in(server, "s3:*", account="999999999999")
    refused("GetBucketAcl call on the given bucket failed")
    assert GROUP not in {each["logGroupName"] for each in logs.describe_export_tasks()["exportTasks"]}


def test_streams_become_packed_objects(server: CossetServer, logs: Any, bucket: str, now_ms: int) -> None:
    let_in(server, "s3:GetBucketAcl", "s3:PutObject")
    task_id = export(logs, now_ms, taskName="nightly", destinationPrefix="kept/here")
    task = ended(logs, task_id)
    assert (task["status"]["code"], task["taskName"], task["destination"]) == ("COMPLETED", "nightly", bucket)
    assert task["executionInfo"]["completionTime"] >= task["executionInfo"]["creationTime"]
    s3 = server.client("s3")
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket, Prefix="kept/")["Contents"]]
    assert sorted(keys) == sorted(
        [
            f"kept/here/{task_id}/2026-01-01-[1]abc/000000.gz",
            f"kept/here/{task_id}/other/000000.gz",
            "kept/here/aws-logs-write-test",
        ]
    )
    body = s3.get_object(Bucket=bucket, Key=f"kept/here/{task_id}/2026-01-01-[1]abc/000000.gz")["Body"].read()
    lines = gzip.decompress(body).decode().splitlines()
    assert [line.partition(" ")[2] for line in lines] == [f"2026/01/01/[1]abc ü {n}" for n in range(3)]
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now_ms / 1000))
    assert lines[0].startswith(f"{at}.{now_ms % 1000:03d}Z ")
    with pytest.raises(ClientError, match="already finished"):
        logs.cancel_export_task(taskId=task_id)
    with pytest.raises(ClientError, match="does not exist"):
        logs.cancel_export_task(taskId="00000000-0000-4000-8000-000000000000")
    shown = logs.describe_export_tasks(statusCode="COMPLETED")["exportTasks"]
    assert task_id in [each["taskId"] for each in shown]


def test_only_the_streams_asked_for(server: CossetServer, logs: Any, bucket: str, now_ms: int) -> None:
    let_in(server, "s3:GetBucketAcl", "s3:PutObject")
    task_id = export(logs, now_ms, logStreamNamePrefix="oth")
    assert ended(logs, task_id)["status"]["code"] == "COMPLETED"
    found = server.client("s3").list_objects_v2(Bucket=bucket, Prefix=f"exportedlogs/{task_id}/")["Contents"]
    assert [each["Key"] for each in found] == [f"exportedlogs/{task_id}/other/000000.gz"]
