"""Access logs arrive: a bucket's requests, told in objects of another bucket that lets log delivery in."""

import json
import shlex
from collections.abc import Callable
from typing import Any

from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer

NAMES = (
    *("owner", "bucket", "time", "ip", "requester", "request", "operation", "key", "uri", "status", "error", "sent"),
    *("size", "total", "turn", "referer", "agent", "version", "host id", "signature", "cipher", "kind", "host"),
    *("tls", "point", "acl"),
)


def test_access_logs(new_server: Callable[..., CossetServer]) -> None:
    server = new_server()
    s3 = server.client("s3")
    for name in ("source", "logs", "shut"):
        s3.create_bucket(Bucket=f"{name}-bucket")
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::logs-bucket/*",
        "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::source-bucket"}},
    }
    s3.put_bucket_policy(Bucket="logs-bucket", Policy=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}))
    partitioned = {"PartitionedPrefix": {"PartitionDateSource": "EventTime"}}
    enabled = {"TargetBucket": "logs-bucket", "TargetPrefix": "of/", "TargetObjectKeyFormat": partitioned}
    s3.put_bucket_logging(Bucket="source-bucket", BucketLoggingStatus={"LoggingEnabled": enabled})
    elsewhere = {"LoggingEnabled": {"TargetBucket": "shut-bucket", "TargetPrefix": ""}}
    s3.put_bucket_logging(Bucket="logs-bucket", BucketLoggingStatus=elsewhere)
    s3.put_object(Bucket="source-bucket", Key="a b", Body=b"12345")
    s3.get_object(Bucket="source-bucket", Key="a b")["Body"].read()
    s3.get_bucket_acl(Bucket="source-bucket")
    nobody = server.client("s3", config=Config(signature_version=UNSIGNED, user_agent='"evil"'))
    try:
        nobody.list_objects_v2(Bucket="source-bucket")
    except ClientError as error:
        refused = error.response["ResponseMetadata"]["RequestId"]
    s3.list_objects_v2(Bucket="logs-bucket")
    server.restart()
    s3 = server.client("s3")
    assert s3.list_objects_v2(Bucket="shut-bucket")["KeyCount"] == 0
    found = s3.list_objects_v2(Bucket="logs-bucket")["Contents"]
    assert len(found) == 1
    assert found[0]["Key"].startswith(f"of/{server.account}/us-east-1/source-bucket/20")
    text = s3.get_object(Bucket="logs-bucket", Key=found[0]["Key"])["Body"].read().decode()
    lines = [dict(zip(NAMES, _fields(line), strict=True)) for line in text.splitlines()]
    told = {each["operation"]: each for each in lines}
    put, got, denied = told["REST.PUT.OBJECT"], told["REST.GET.OBJECT"], told["REST.GET.BUCKET"]
    assert (put["key"], put["status"], put["signature"], put["kind"]) == ("a%20b", "200", "SigV4", "AuthHeader")
    assert (got["sent"], got["size"], got["bucket"]) == ("5", "5", "source-bucket")
    assert told["REST.GET.ACL"]["uri"] == "GET /source-bucket?acl HTTP/1.1"
    assert (denied["status"], denied["error"], denied["requester"]) == ("403", "AccessDenied", "-")
    assert (denied["request"], denied["agent"][:7], denied["kind"]) == (refused, "%22evil", "-")


def _fields(line: str) -> list[Any]:
    """The time is two words in brackets."""
    lexer = shlex.shlex(line.replace("[", '"').replace("]", '"'), posix=True)
    lexer.whitespace_split, lexer.commenters, lexer.quotes = True, "", '"'
    return list(lexer)
