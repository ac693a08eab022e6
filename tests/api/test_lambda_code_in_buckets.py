"""Functions and layers whose code lies in a bucket: read by the rights of who asks, in the function's own region."""

import json

import pytest
from botocore.exceptions import ClientError

from support.role import starter_role
from support.zip import make_zip

CODE = make_zip({"index.py": "def handler(event, context):\n    return 'from a bucket'\n"})


@pytest.fixture(scope="module")
def client(server):
    return server.client("lambda")


@pytest.fixture(scope="module")
def bucket(server):
    s3 = server.client("s3")
    s3.create_bucket(Bucket="code-of-functions")
    s3.put_object(Bucket="code-of-functions", Key="fn.zip", Body=CODE)
    yield "code-of-functions"
    s3.delete_object(Bucket="code-of-functions", Key="fn.zip")
    s3.delete_bucket(Bucket="code-of-functions")


def create(server, client, name, **place):
    return client.create_function(
        FunctionName=name, Runtime="python3.12", Handler="index.handler", Role=starter_role(server), Code=place
    )


def test_a_function_runs_from_a_bucket(server, client, bucket):
    # recorded: TestLambdaFunction::test_lambda_code_location_s3
    created = create(server, client, "from-a-bucket", S3Bucket=bucket, S3Key="fn.zip")
    assert created["CodeSize"] == len(CODE)
    client.get_waiter("function_active_v2").wait(FunctionName="from-a-bucket")
    assert json.loads(client.invoke(FunctionName="from-a-bucket")["Payload"].read()) == "from a bucket"
    updated = client.update_function_code(FunctionName="from-a-bucket", S3Bucket=bucket, S3Key="fn.zip")
    assert updated["CodeSha256"] == created["CodeSha256"]
    layer = client.publish_layer_version(LayerName="from-a-bucket", Content={"S3Bucket": bucket, "S3Key": "fn.zip"})
    assert layer["Content"]["CodeSize"] == len(CODE)
    client.delete_layer_version(LayerName="from-a-bucket", VersionNumber=layer["Version"])
    client.delete_function(FunctionName="from-a-bucket")


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (
            {"S3Bucket": "code-of-functions", "S3Key": "none.zip"},
            "S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist.",
        ),
        (
            {"S3Bucket": "there-is-no-such-bucket", "S3Key": "fn.zip"},
            "S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does not exist",
        ),
    ],
)
def test_what_s3_says_is_passed_on(server, client, bucket, place, said):
    with pytest.raises(ClientError) as refused:
        create(server, client, "from-nowhere", **place)
    error = refused.value.response["Error"]
    assert (error["Code"], error["Message"]) == (
        "InvalidParameterValueException",
        f"Error occurred while GetObject. {said}",
    )


def test_a_bucket_of_another_region_is_out_of_reach(server, client):
    away = server.session().client("s3", endpoint_url=server.endpoint, region_name="eu-west-1")
    place = {"LocationConstraint": "eu-west-1"}
    away.create_bucket(Bucket="code-far-away", CreateBucketConfiguration=place)
    away.put_object(Bucket="code-far-away", Key="fn.zip", Body=CODE)
    with pytest.raises(ClientError, match="The bucket is in this region: eu-west-1") as refused:
        create(server, client, "from-far-away", S3Bucket="code-far-away", S3Key="fn.zip")
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValueException"
    away.delete_object(Bucket="code-far-away", Key="fn.zip")
    away.delete_bucket(Bucket="code-far-away")


def test_who_may_not_read_the_object_makes_no_function_of_it(server, bucket):
    iam = server.client("iam")
    iam.create_user(UserName="makes-functions")
    statement = {"Effect": "Allow", "Action": ["lambda:*", "iam:PassRole"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="makes-functions", PolicyName="own", PolicyDocument=document)
    key = iam.create_access_key(UserName="makes-functions")["AccessKey"]
    theirs = server.session().client(
        "lambda",
        endpoint_url=server.endpoint,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    with pytest.raises(ClientError) as refused:
        create(server, theirs, "from-a-locked-bucket", S3Bucket=bucket, S3Key="fn.zip")
    error = refused.value.response["Error"]
    assert error["Code"] == "AccessDeniedException"
    assert error["Message"].endswith("S3 Error Code: AccessDenied. S3 Error Message: Access Denied")
    iam.delete_access_key(UserName="makes-functions", AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName="makes-functions", PolicyName="own")
    iam.delete_user(UserName="makes-functions")
