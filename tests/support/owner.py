"""An account that has one of everything, each with a word in it that nobody else may read.

What of it parameters take by their names: owner_params.py.
"""

import json
import time
from dataclasses import dataclass
from typing import Any

from cosset.testing.server import CossetServer
from support.role import LAMBDA_TRUST
from support.zip import make_zip

NAME = "thing-of-the-owner"
SECRET = "only-for-the-owner"
"""In what of the owner's can be read."""
PACKAGE = make_zip({"app.py": "def handler(event, context):\n    return event\n"})
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]})


@dataclass(frozen=True)
class Things:
    """What the owner has. Whatever can be named is called NAME; these are the names that the server gave."""

    account: str
    region: str
    role: str
    policy: str
    key_id: str
    signing: str
    queue: str
    topic: str
    subscription: str
    mapping: str
    upload: str

    @property
    def function(self) -> str:
        return f"arn:aws:lambda:{self.region}:{self.account}:function:{NAME}"

    @property
    def layer(self) -> str:
        return f"arn:aws:lambda:{self.region}:{self.account}:layer:{NAME}"

    @property
    def signer(self) -> str:
        return f"arn:aws:signer:{self.region}:{self.account}:/signing-profiles/a/b"

    @property
    def group(self) -> str:
        return f"arn:aws:logs:{self.region}:{self.account}:log-group:{NAME}"

    @property
    def user(self) -> str:
        return f"arn:aws:iam::{self.account}:user/{NAME}"

    @property
    def alarm(self) -> str:
        return f"arn:aws:cloudwatch:{self.region}:{self.account}:alarm:{NAME}"

    @property
    def queue_arn(self) -> str:
        return f"arn:aws:sqs:{self.region}:{self.account}:{NAME}"


def make_things(server: CossetServer) -> Things:
    made = {"account": server.account, "region": server.region, **_identities(server.client("iam"))}
    made |= _functions(server.client("lambda"), made)
    made |= _messages(server, made)
    _logs(server.client("logs"))
    made |= _objects(server.client("s3"))
    _alarms(server.client("cloudwatch"))
    return Things(**made)


def _identities(iam: Any) -> dict[str, str]:
    role = iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=LAMBDA_TRUST, Description=SECRET)["Role"]["Arn"]
    allowed = {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_role_policy(RoleName=NAME, PolicyName=NAME, PolicyDocument=document)
    iam.create_user(UserName=NAME)
    iam.create_group(GroupName=NAME)
    iam.create_instance_profile(InstanceProfileName=NAME)
    key_id = iam.create_access_key(UserName=NAME)["AccessKey"]["AccessKeyId"]
    policy = iam.create_policy(PolicyName=NAME, PolicyDocument=POLICY)["Policy"]["Arn"]
    return {"role": role, "policy": policy, "key_id": key_id}


def _functions(lambda_: Any, made: dict[str, str]) -> dict[str, str]:
    lambda_.create_function(
        FunctionName=NAME,
        Runtime="python3.13",
        Role=made["role"],
        Handler="app.handler",
        Code={"ZipFile": PACKAGE},
        Description=SECRET,
        Publish=True,
    )
    lambda_.create_alias(FunctionName=NAME, Name=NAME, FunctionVersion="1")
    lambda_.publish_layer_version(LayerName=NAME, Content={"ZipFile": PACKAGE}, Description=SECRET)
    signer = f"arn:aws:signer:{made['region']}:{made['account']}:/signing-profiles/a/b"
    signing = lambda_.create_code_signing_config(AllowedPublishers={"SigningProfileVersionArns": [signer]})
    return {"signing": signing["CodeSigningConfig"]["CodeSigningConfigArn"]}


def _messages(server: CossetServer, made: dict[str, str]) -> dict[str, str]:
    sqs, sns, lambda_ = (server.client(name) for name in ("sqs", "sns", "lambda"))
    queue = sqs.create_queue(QueueName=NAME)["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody=SECRET)
    arn = f"arn:aws:sqs:{made['region']}:{made['account']}:{NAME}"
    topic = sns.create_topic(Name=NAME)["TopicArn"]
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)["SubscriptionArn"]
    mapping = lambda_.create_event_source_mapping(EventSourceArn=arn, FunctionName=NAME, Enabled=False)["UUID"]
    return {"queue": queue, "topic": topic, "subscription": subscription, "mapping": mapping}


def _logs(logs: Any) -> None:
    logs.create_log_group(logGroupName=NAME)
    logs.create_log_stream(logGroupName=NAME, logStreamName=NAME)
    event = {"timestamp": int(time.time() * 1000), "message": SECRET}
    logs.put_log_events(logGroupName=NAME, logStreamName=NAME, logEvents=[event])


def _objects(s3: Any) -> dict[str, str]:
    s3.create_bucket(Bucket=NAME)
    s3.put_object(Bucket=NAME, Key=NAME, Body=SECRET.encode())
    return {"upload": s3.create_multipart_upload(Bucket=NAME, Key=NAME)["UploadId"]}


def _alarms(cloudwatch: Any) -> None:
    cloudwatch.put_dashboard(DashboardName=NAME, DashboardBody='{"widgets": []}')
    cloudwatch.put_metric_alarm(
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


def take_away(server: CossetServer, own: Things) -> None:
    """What other tests would meet."""
    lambda_, s3 = server.client("lambda"), server.client("s3")
    lambda_.delete_event_source_mapping(UUID=own.mapping)
    lambda_.delete_function(FunctionName=NAME)
    server.client("sns").delete_topic(TopicArn=own.topic)
    server.client("sqs").delete_queue(QueueUrl=own.queue)
    server.client("logs").delete_log_group(logGroupName=NAME)
    s3.delete_object(Bucket=NAME, Key=NAME)
    s3.delete_bucket(Bucket=NAME)
    server.client("cloudwatch").delete_alarms(AlarmNames=[NAME])
    server.client("iam").delete_access_key(UserName=NAME, AccessKeyId=own.key_id)
