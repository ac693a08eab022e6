"""Which operation a request means, and what is answered when it means none."""

import pytest

from cosset.wire.errors import ServiceError
from cosset.wire.message import Headers, Request
from cosset.wire.models import Catalogue, UnknownServiceNameError
from cosset.wire.protocols import protocol_of, route

CATALOGUE = Catalogue()
FORM = ("content-type", "application/x-www-form-urlencoded; charset=utf-8")


def routed(
    service: str,
    method: str,
    path: str,
    query: str = "",
    headers: list[tuple[str, str]] | None = None,
    body: bytes = b"",
) -> tuple[str, dict[str, str]]:
    found = route(CATALOGUE.service(service), Request(method, path, query, Headers(headers or []), body))
    return found.operation, dict(found.labels)


@pytest.mark.parametrize(
    ("method", "path", "operation", "labels"),
    [
        ("POST", "/2015-03-31/functions/f/invocations", "Invoke", {"FunctionName": "f"}),
        ("POST", "/2015-03-31/functions/f/invocations/", "Invoke", {"FunctionName": "f"}),
        ("POST", "/2015-03-31/functions", "CreateFunction", {}),
        ("GET", "/2015-03-31/functions", "ListFunctions", {}),
        ("GET", "/2015-03-31/functions/", "ListFunctions", {}),
        (
            "GET",
            "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A1%3Afunction%3Af",
            "GetFunction",
            {"FunctionName": "arn:aws:lambda:us-east-1:1:function:f"},
        ),
        ("GET", "/2015-03-31/functions/a%2Fb", "GetFunction", {"FunctionName": "a/b"}),
        ("GET", "/2015-03-31/functions/a+b%20c", "GetFunction", {"FunctionName": "a+b c"}),
        ("GET", "/2015-03-31/functions/functions", "GetFunction", {"FunctionName": "functions"}),
        (
            "GET",
            "/2015-03-31/functions/f/aliases/Prod",
            "GetAlias",
            {"FunctionName": "f", "Name": "Prod"},
        ),
    ],
)
def test_lambda_paths(method: str, path: str, operation: str, labels: dict[str, str]) -> None:
    assert routed("lambda", method, path) == (operation, labels)


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "operation"),
    [
        ("GET", "/", "", [], "ListBuckets"),
        ("GET", "/b", "", [], "ListObjects"),
        ("GET", "/b/", "list-type=2&prefix=x", [], "ListObjectsV2"),
        ("GET", "/b", "location", [], "GetBucketLocation"),
        ("PUT", "/b", "", [], "CreateBucket"),
        ("PUT", "/b", "acl", [], "PutBucketAcl"),
        ("PUT", "/b/k", "", [], "PutObject"),
        ("PUT", "/b/k", "", [("x-amz-copy-source", "/a/b")], "CopyObject"),
        ("PUT", "/b/k", "partNumber=1&uploadId=u", [], "UploadPart"),
        ("PUT", "/b/k", "partNumber=1&uploadId=u", [("x-amz-copy-source", "/a/b")], "UploadPartCopy"),
        ("POST", "/b/k", "uploads", [], "CreateMultipartUpload"),
        ("POST", "/b/k", "uploadId=u", [], "CompleteMultipartUpload"),
        ("GET", "/b/k", "uploadId=u", [], "ListParts"),
        ("GET", "/b/k", "", [], "GetObject"),
        ("GET", "/b/k", "x-id=GetObject", [], "GetObject"),
        ("DELETE", "/b/k", "", [], "DeleteObject"),
        ("POST", "/b", "delete", [], "DeleteObjects"),
    ],
)
def test_operations_that_share_a_path(
    method: str, path: str, query: str, headers: list[tuple[str, str]], operation: str
) -> None:
    assert routed("s3", method, path, query, headers)[0] == operation


@pytest.mark.parametrize(
    ("path", "key"),
    [("/b/a/b/c", "a/b/c"), ("/b/a//b", "a//b"), ("/b//a", "/a"), ("/b/folder/", "folder/"), ("/b/a%2Fb%20c", "a/b c")],
)
def test_a_greedy_label_keeps_its_slashes(path: str, key: str) -> None:
    assert routed("s3", "GET", path) == ("GetObject", {"Bucket": "b", "Key": key})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/2015-03-31/functions//invocations"),
        ("PATCH", "/2015-03-31/functions"),
        ("GET", "/"),
        ("GET", "/2015-03-31"),
        ("GET", "/2015-03-31/functions/f/nothing"),
    ],
)
def test_a_path_that_means_nothing_is_an_unknown_operation(method: str, path: str) -> None:
    with pytest.raises(ServiceError) as caught:
        routed("lambda", method, path)
    assert (caught.value.code, caught.value.status) == ("UnknownOperationException", 404)


@pytest.mark.parametrize("target", ["Logs_20140328.Nothing", "Other.PutLogEvents", "PutLogEvents", ""])
def test_a_target_that_means_nothing_is_an_unknown_operation(target: str) -> None:
    with pytest.raises(ServiceError) as caught:
        routed("logs", "POST", "/", headers=[("X-Amz-Target", target)])
    assert caught.value.code == "UnknownOperationException"


def test_an_action_that_means_nothing_is_named() -> None:
    with pytest.raises(ServiceError) as caught:
        routed("iam", "POST", "/", headers=[FORM], body=b"Action=Nothing&Version=2010-05-08")
    assert caught.value.code == "InvalidAction"
    assert caught.value.message == "Could not find operation Nothing for version 2010-05-08"


def test_a_wrong_version_is_refused_and_a_missing_one_is_not() -> None:
    with pytest.raises(ServiceError, match="for version 1999-01-01"):
        routed("iam", "POST", "/", headers=[FORM], body=b"Action=ListUsers&Version=1999-01-01")
    assert routed("iam", "POST", "/", headers=[FORM], body=b"Action=ListUsers")[0] == "ListUsers"


def test_no_action_at_all_is_said() -> None:
    with pytest.raises(ServiceError) as caught:
        routed("iam", "POST", "/", headers=[FORM])
    assert (caught.value.code, caught.value.status) == ("UnknownOperationException", 404)


def test_an_action_may_stand_in_the_query_string() -> None:
    assert routed("sts", "GET", "/", "Action=GetCallerIdentity&Version=2011-06-15")[0] == "GetCallerIdentity"


def test_a_service_of_two_protocols_answers_in_the_one_it_was_asked_in() -> None:
    sqs = CATALOGUE.service("sqs")
    target = Request("POST", "/", "", Headers([("x-amz-target", "AmazonSQS.ListQueues")]), b"{}")
    form = Request("POST", "/", "", Headers([FORM]), b"Action=ListQueues&Version=2012-11-05")
    assert sqs.protocols == ("json", "query")
    assert (route(sqs, target).protocol.name, protocol_of(sqs, target).name) == ("json", "json")
    assert (route(sqs, form).protocol.name, protocol_of(sqs, form).name) == ("query", "query")


def test_only_a_streaming_trait_makes_an_input_stream() -> None:
    """botocore calls every blob payload streaming, Lambda's Invoke too."""
    assert not CATALOGUE.service("lambda").operation("Invoke").streams_in
    assert CATALOGUE.service("s3").operation("PutObject").streams_in


def test_a_service_that_botocore_does_not_know_is_named() -> None:
    with pytest.raises(UnknownServiceNameError, match="nothing"):
        CATALOGUE.service("nothing")
