"""Events that fail end as objects in a bucket, if the function's role may put them there."""

import json
import re
import time
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer
from support.role import LAMBDA_TRUST
from support.zip import make_zip

PATIENCE_S = 240
BUCKET = "ends-of-events"
NAME = "ends-in-a-bucket"
SOURCE = make_zip({"index.py": "def handler(event, context):\n    raise ValueError('as asked')\n"})


@pytest.fixture(scope="module")
def function(server: CossetServer) -> Iterator[str]:
    client, iam = server.client("lambda"), server.client("iam")
    server.client("s3").create_bucket(Bucket=BUCKET)
    role = iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=LAMBDA_TRUST)["Role"]["Arn"]
    made = client.create_function(
        FunctionName=NAME, Runtime="python3.12", Role=role, Handler="index.handler", Code={"ZipFile": SOURCE}
    )
    client.get_waiter("function_active_v2").wait(FunctionName=NAME, WaiterConfig={"Delay": 1})
    yield made["FunctionArn"]
    client.delete_function(FunctionName=NAME)


def test_the_role_is_asked_and_the_bucket_must_be_there(server: CossetServer, function: str) -> None:
    client = server.client("lambda")
    for bucket, refusal in (("is-not-there", "is invalid"), (BUCKET, "permissions to call PutObject")):
        with pytest.raises(ClientError, match=refusal):
            client.put_function_event_invoke_config(
                FunctionName=NAME, DestinationConfig={"OnFailure": {"Destination": f"arn:aws:s3:::{bucket}"}}
            )
    with pytest.raises(ClientError, match="is invalid"):
        client.put_function_event_invoke_config(
            FunctionName=NAME, DestinationConfig={"OnSuccess": {"Destination": f"arn:aws:s3:::{BUCKET}"}}
        )


def test_what_failed_becomes_an_object(server: CossetServer, function: str) -> None:
    client, s3 = server.client("lambda"), server.client("s3")
    statement = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{BUCKET}/aws/lambda/async/*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    server.client("iam").put_role_policy(RoleName=NAME, PolicyName="ends", PolicyDocument=document)
    client.put_function_event_invoke_config(
        FunctionName=NAME,
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": f"arn:aws:s3:::{BUCKET}"}},
    )
    sent = client.invoke(FunctionName=NAME, InvocationType="Event", Payload=b'{"n": 1}')
    found: list[str] = []
    until = time.monotonic() + PATIENCE_S
    while not found and time.monotonic() < until:
        time.sleep(0.1)
        found = [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
    (key,) = found
    name = rf"aws/lambda/async/{NAME}/\d{{4}}/\d\d/\d\d/\d{{4}}-\d\d-\d\dT\d\d\.\d\d\.\d\d-[0-9a-f-]{{36}}"
    assert re.fullmatch(name, key)
    record = json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    assert record["requestPayload"] == {"n": 1}
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["requestId"] == sent["ResponseMetadata"]["RequestId"]
    assert record["responsePayload"]["errorMessage"] == "as asked"
