"""Every operation of every service, asked for by a user without any policy, and by the administrator of another
account: the one is denied whatever they ask, the other is shown and moves nothing that is not their own.

What is served is read from docs/operations.md, which a test holds against the code: who adds an operation adds it here,
too, and it must be denied.
"""

import base64
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock
from urllib.parse import urlsplit, urlunsplit

import boto3
import pytest
from botocore import xform_name
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session

from cosset.cli.reference import TITLES
from cosset.services.installation.service import installation_service
from cosset.testing.server import CossetServer
from support.command import cosset
from support.least_params import least_params
from support.role import LAMBDA_TRUST
from support.zip import make_zip

AS_IT_IS = Config(
    retries={"total_max_attempts": 1},
    read_timeout=60,
    parameter_validation=False,
    s3={"addressing_style": "path"},
)
PACKAGE = make_zip({"app.py": "def handler(event, context):\n    return event\n"})
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]})
NAME = "thing-of-the-owner"
SECRET = "only-for-the-owner"
"""In what of the owner's can be read."""
DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation", "403"}
OPEN = {
    ("sts", "GetCallerIdentity"): "says who signed, to whoever signed",
    ("sts", "GetSessionToken"): "gives the caller's own rights",
    ("sts", "AssumeRoleWithWebIdentity"): "carries its own proof",
    ("s3", "DeleteObjects"): "answers for each object",
}


TOLD = {
    ("sts", "GetAccessKeyInfo"): "says of any key whose it is, as on AWS",
    ("lambda", "CreateCodeSigningConfig"): "repeats whom the caller trusts to sign",
    ("lambda", "ListCodeSigningConfigs"): "likewise",
}


def served() -> Iterator[tuple[str, str]]:
    names = {title: name for name, title in TITLES.items()}
    service = ""
    for line in (Path(__file__).parents[2] / "docs" / "operations.md").read_text().splitlines():
        if line.startswith("## "):
            service = names[line[3:]]
        elif found := re.match(r"\| (\w+) \| yes \|", line):
            yield service, found[1]


@dataclass(frozen=True)
class House:
    """An account that has one of everything, in values that parameters take by their names."""

    server: CossetServer
    known: Mapping[str, Any]
    by_service: Mapping[str, Mapping[str, Any]]
    by_operation: Mapping[str, Mapping[str, Any]]

    def params(self, service: str, operation: str, shape: Any) -> dict[str, Any]:
        known = {**self.known, **self.by_service.get(service, {})}
        more = self.by_operation.get(operation, {})
        return {**least_params(shape, known | more), **{name: more[name] for name in more if name in shape.members}}

    def ask_everything(self, client: Callable[..., Any], tell: Callable[[str, str, str, str], None]) -> None:
        """`tell` is called with service, operation, error code (empty: none), and the whole answer."""
        clients: dict[str, Any] = {}
        for service, operation in served():
            if service not in clients:
                clients[service] = client(service, config=AS_IT_IS)
                clients[service].meta.events.register("before-sign", partial(_to_the_door, self.server.endpoint))
            asked = clients[service]
            shape = asked.meta.service_model.operation_model(operation).input_shape
            params = {} if shape is None else self.params(service, operation, shape)
            try:
                answer = getattr(asked, xform_name(operation))(**params)
            except ClientError as refused:
                tell(service, operation, refused.response["Error"]["Code"], "")
            else:
                answer.pop("ResponseMetadata")
                tell(service, operation, "", str({name: _read(value) for name, value in answer.items()}))
        for each in clients.values():
            each.close()


def _to_the_door(endpoint: str, request: Any, **_: Any) -> None:
    """Without the account number that clients of S3 Control put before the host."""
    parts = urlsplit(request.url)
    request.url = urlunsplit(parts._replace(netloc=urlsplit(endpoint).netloc))


def _read(value: Any) -> Any:
    return value.read() if hasattr(value, "read") else value


@pytest.fixture(scope="module")
def house(server: CossetServer) -> Iterator[House]:
    account, region = server.account, server.region
    lambda_, iam, sns, sqs = (server.client(name) for name in ("lambda", "iam", "sns", "sqs"))
    logs, s3, alarms = (server.client(name) for name in ("logs", "s3", "cloudwatch"))
    role = iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=LAMBDA_TRUST, Description=SECRET)["Role"]["Arn"]
    allowed = {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_role_policy(RoleName=NAME, PolicyName=NAME, PolicyDocument=document)
    lambda_.create_function(
        FunctionName=NAME,
        Runtime="python3.13",
        Role=role,
        Handler="app.handler",
        Code={"ZipFile": PACKAGE},
        Description=SECRET,
        Publish=True,
    )
    lambda_.create_alias(FunctionName=NAME, Name=NAME, FunctionVersion="1")
    lambda_.publish_layer_version(LayerName=NAME, Content={"ZipFile": PACKAGE}, Description=SECRET)
    signer = f"arn:aws:signer:{region}:{account}:/signing-profiles/a/b"
    signing = lambda_.create_code_signing_config(AllowedPublishers={"SigningProfileVersionArns": [signer]})
    iam.create_user(UserName=NAME)
    iam.create_group(GroupName=NAME)
    iam.create_instance_profile(InstanceProfileName=NAME)
    key = iam.create_access_key(UserName=NAME)["AccessKey"]
    policy = iam.create_policy(PolicyName=NAME, PolicyDocument=POLICY)["Policy"]["Arn"]
    queue = sqs.create_queue(QueueName=NAME)["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody=SECRET)
    queue_arn = f"arn:aws:sqs:{region}:{account}:{NAME}"
    topic = sns.create_topic(Name=NAME)["TopicArn"]
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)["SubscriptionArn"]
    mapping = lambda_.create_event_source_mapping(EventSourceArn=queue_arn, FunctionName=NAME, Enabled=False)["UUID"]
    logs.create_log_group(logGroupName=NAME)
    logs.create_log_stream(logGroupName=NAME, logStreamName=NAME)
    logs.put_log_events(
        logGroupName=NAME,
        logStreamName=NAME,
        logEvents=[{"timestamp": int(time.time() * 1000), "message": SECRET}],
    )
    s3.create_bucket(Bucket=NAME)
    s3.put_object(Bucket=NAME, Key=NAME, Body=SECRET.encode())
    upload = s3.create_multipart_upload(Bucket=NAME, Key=NAME)["UploadId"]
    alarms.put_dashboard(DashboardName=NAME, DashboardBody='{"widgets": []}')
    alarms.put_metric_alarm(
        AlarmName=NAME,
        AlarmDescription=SECRET,
        Namespace="n",
        MetricName="m",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0.0,
        ComparisonOperator="GreaterThanThreshold",
    )
    function = f"arn:aws:lambda:{region}:{account}:function:{NAME}"
    layer = f"arn:aws:lambda:{region}:{account}:layer:{NAME}"
    group = f"arn:aws:logs:{region}:{account}:log-group:{NAME}"
    user = f"arn:aws:iam::{account}:user/{NAME}"
    alarm = f"arn:aws:cloudwatch:{region}:{account}:alarm:{NAME}"
    known = {
        **dict.fromkeys(("PolicyDocument", "policyDocument", "Policy", "AssumeRolePolicyDocument"), POLICY),
        "AccessKeyId": key["AccessKeyId"],
        "AccountId": account,
        "PolicyArn": policy,
        "RoleArn": role,
        "RoleName": NAME,
        "UserName": NAME,
        "GroupName": NAME,
        "InstanceProfileName": NAME,
        "Bucket": NAME,
        "Key": NAME,
        "UploadId": upload,
        "CopySource": f"{NAME}/{NAME}",
        "DashboardName": NAME,
        "DashboardNames": [NAME],
        "AlarmName": NAME,
        "AlarmNames": [NAME],
        "DashboardBody": '{"widgets": []}',
        "VersionId": "v1",
        "StartTime": 1_700_000_000,
        "EndTime": 1_700_003_600,
    }  # fmt: skip
    by_service: dict[str, dict[str, Any]] = {
        "lambda": {
            "FunctionName": function,
            "LayerName": layer,
            "VersionNumber": 1,
            "Qualifier": "1",
            "FunctionVersion": "1",
            "Name": NAME,
            "Role": role,
            "Runtime": "python3.13",
            "Handler": "app.handler",
            "Code": {"ZipFile": PACKAGE},
            "Content": {"ZipFile": PACKAGE},
            "StatementId": "s",
            "Action": "lambda:InvokeFunction",
            "Principal": "s3.amazonaws.com",
            "UUID": mapping,
            "CodeSigningConfigArn": signing["CodeSigningConfig"]["CodeSigningConfigArn"],
            "AllowedPublishers": {"SigningProfileVersionArns": [signer]},
            "Resource": function,
            "ResourceArn": function,
            "Arn": f"{layer}:1",
        },
        "iam": {
            "SerialNumber": f"arn:aws:iam::{account}:mfa/{NAME}",
            "AuthenticationCode1": "123456",
            "AuthenticationCode2": "123457",
            "PolicyName": NAME,
            "PermissionsBoundary": policy,
            "PolicySourceArn": user,
            "Arn": user,
            "ActionNames": ["s3:GetObject"],
            "PolicyInputList": [POLICY],
            "Url": "https://example.com",
            "ServiceNamespaces": ["s3"],
        },
        "sts": {"Name": "who", "RoleSessionName": "session", "AccessKeyId": key["AccessKeyId"]},
        "sns": {
            "TopicArn": topic,
            "ResourceArn": topic,
            "SubscriptionArn": subscription,
            "Name": NAME,
            "Endpoint": queue_arn,
            "Protocol": "sqs",
            "phoneNumber": "+14155550100",
            "PlatformApplicationArn": f"arn:aws:sns:{region}:{account}:app/GCM/{NAME}",
            "EndpointArn": f"arn:aws:sns:{region}:{account}:endpoint/GCM/{NAME}/x",
        },
        "sqs": {"QueueUrl": queue, "QueueName": NAME, "SourceArn": queue_arn},
        "logs": {
            "logGroupName": NAME,
            "logStreamName": NAME,
            "resourceArn": group,
            "logGroupIdentifier": group,
            "from": 1,
            "to": 2,
            "metricValue": "1",
        },
        "cloudwatch": {"ResourceARN": alarm, "AlarmRule": f"ALARM({NAME})", "Name": NAME},
        "s3control": {"ResourceArn": f"arn:aws:s3:::{NAME}"},
    }
    by_operation: dict[str, dict[str, Any]] = {
        "AddLayerVersionPermission": {"Action": "lambda:GetLayerVersion", "Principal": account},
        "CancelMessageMoveTask": {"TaskHandle": _handle(queue_arn)},
        "DescribeLogStreams": {"logGroupIdentifier": group},
        "FilterLogEvents": {"logGroupIdentifier": group},
        "GetLogEvents": {"logGroupIdentifier": group},
        "GetLogGroupFields": {"logGroupIdentifier": group},
        "GetQueueUrl": {"QueueOwnerAWSAccountId": account},
        "Publish": {"TopicArn": topic},
        "UpdateAccessKey": {"UserName": NAME},
    }
    yield House(server, known, by_service, by_operation)
    lambda_.delete_event_source_mapping(UUID=mapping)
    lambda_.delete_function(FunctionName=NAME)
    sns.delete_topic(TopicArn=topic)
    sqs.delete_queue(QueueUrl=queue)
    logs.delete_log_group(logGroupName=NAME)
    s3.delete_object(Bucket=NAME, Key=NAME)
    s3.delete_bucket(Bucket=NAME)
    alarms.delete_alarms(AlarmNames=[NAME])
    iam.delete_access_key(UserName=NAME, AccessKeyId=key["AccessKeyId"])


def _handle(queue_arn: str) -> str:
    return base64.b64encode(json.dumps({"taskId": "x", "sourceArn": queue_arn}).encode()).decode()


def test_who_may_nothing_is_denied_every_operation(house: House) -> None:
    key = house.server.client("iam").create_access_key(UserName=NAME)["AccessKey"]
    session = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=house.server.region)
    let_in: list[tuple[str, str, str]] = []
    asked = 0

    def tell(service: str, operation: str, code: str, answer: str) -> None:
        nonlocal asked
        asked += 1
        if SECRET in answer or (code not in DENIED and (service, operation) not in OPEN):
            let_in.append((service, operation, code or answer))

    try:
        house.ask_everything(partial(session.client, endpoint_url=house.server.endpoint), tell)
        for operation in installation_service(*[MagicMock()] * 8).operations:
            status, answer = own(house.server, operation, Credentials(key["AccessKeyId"], key["SecretAccessKey"]))
            if status != 403:
                let_in.append(("cosset", operation, answer))
    finally:
        house.server.client("iam").delete_access_key(UserName=NAME, AccessKeyId=key["AccessKeyId"])
    assert let_in == []
    assert asked > 400


def test_an_administrator_of_another_account_is_shown_nothing_and_changes_nothing(house: House) -> None:
    made = json.loads(cosset(house.server, "account", "add", "--no-profile", "--json").stdout)
    session = boto3.Session(made["access_key_id"], made["secret_access_key"], region_name=house.server.region)
    before = state_of(house.server)
    shown: list[tuple[str, str, str]] = []

    def tell(service: str, operation: str, code: str, answer: str) -> None:
        if SECRET in answer or house.server.account in answer:
            shown.append((service, operation, answer))

    house.ask_everything(partial(session.client, endpoint_url=house.server.endpoint), tell)
    assert [each for each in shown if each[:2] not in TOLD] == []
    after = state_of(house.server)
    for name, value in before.items():
        assert after[name] == value, name


def own(server: CossetServer, operation: str, key: Credentials) -> tuple[int, str]:
    """One of Cosset's own operations."""
    request = AWSRequest("POST", f"{server.endpoint}/_cosset/api/{operation}", {}, b"{}")
    SigV4Auth(key, "cosset", server.region).add_auth(request)
    answer = URLLib3Session().send(request.prepare())
    return answer.status_code, answer.text


def state_of(server: CossetServer) -> Mapping[str, Any]:
    """What the owner sees of all that can be changed."""
    lambda_, iam, sns, sqs = (server.client(name) for name in ("lambda", "iam", "sns", "sqs"))
    logs, s3, alarms = (server.client(name) for name in ("logs", "s3", "cloudwatch"))
    queue = sqs.get_queue_url(QueueName=NAME)["QueueUrl"]
    topic = f"arn:aws:sns:{server.region}:{server.account}:{NAME}"
    seen: dict[str, Callable[[], dict[str, Any]]] = {
        "function": lambda: lambda_.get_function_configuration(FunctionName=NAME),
        "concurrency": lambda: lambda_.get_function_concurrency(FunctionName=NAME),
        "aliases": lambda: lambda_.list_aliases(FunctionName=NAME),
        "versions": lambda: lambda_.list_versions_by_function(FunctionName=NAME),
        "layers": lambda: lambda_.list_layer_versions(LayerName=NAME),
        "mappings": lambda: lambda_.list_event_source_mappings(),
        "signing": lambda: lambda_.list_code_signing_configs(),
        "identities": lambda: iam.get_account_authorization_details(
            Filter=["User", "Role", "Group", "LocalManagedPolicy"]
        ),
        "keys": lambda: iam.list_access_keys(UserName=NAME),
        "queue": lambda: sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"]),
        "topic": lambda: sns.get_topic_attributes(TopicArn=topic),
        "subscriptions": lambda: sns.list_subscriptions_by_topic(TopicArn=topic),
        "groups": lambda: logs.describe_log_groups(logGroupNamePrefix=NAME),
        "streams": lambda: logs.describe_log_streams(logGroupName=NAME),
        "objects": lambda: s3.list_object_versions(Bucket=NAME),
        "uploads": lambda: s3.list_multipart_uploads(Bucket=NAME),
        "acl": lambda: s3.get_bucket_acl(Bucket=NAME),
        "shut": lambda: s3.get_public_access_block(Bucket=NAME),
        "alarms": lambda: alarms.describe_alarms(AlarmNames=[NAME]),
        "dashboards": lambda: alarms.get_dashboard(DashboardName=NAME),
    }
    return {name: {k: v for k, v in see().items() if k != "ResponseMetadata"} for name, see in seen.items()}
