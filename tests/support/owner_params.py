"""What parameters take by their names, so that each operation is asked for something of the owner's (owner.py).

Who adds a service adds what its operations ask for: a function here, and a line in `BY_SERVICE`.
"""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from support.owner import NAME, PACKAGE, POLICY, Things

Known = dict[str, Any]


def known_to_all(own: Things) -> Known:
    return {
        **dict.fromkeys(("PolicyDocument", "policyDocument", "Policy", "AssumeRolePolicyDocument"), POLICY),
        "AccessKeyId": own.key_id,
        "AccountId": own.account,
        "PolicyArn": own.policy,
        "RoleArn": own.role,
        "RoleName": NAME,
        "UserName": NAME,
        "GroupName": NAME,
        "InstanceProfileName": NAME,
        "Bucket": NAME,
        "Key": NAME,
        "UploadId": own.upload,
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


def _lambda(own: Things) -> Known:
    return {
        "FunctionName": own.function,
        "LayerName": own.layer,
        "VersionNumber": 1,
        "Qualifier": "1",
        "FunctionVersion": "1",
        "Name": NAME,
        "Role": own.role,
        "Runtime": "python3.13",
        "Handler": "app.handler",
        "Code": {"ZipFile": PACKAGE},
        "Content": {"ZipFile": PACKAGE},
        "StatementId": "s",
        "Action": "lambda:InvokeFunction",
        "Principal": "s3.amazonaws.com",
        "UUID": own.mapping,
        "CodeSigningConfigArn": own.signing,
        "AllowedPublishers": {"SigningProfileVersionArns": [own.signer]},
        "Resource": own.function,
        "ResourceArn": own.function,
        "Arn": f"{own.layer}:1",
    }


def _iam(own: Things) -> Known:
    return {
        "SerialNumber": f"arn:aws:iam::{own.account}:mfa/{NAME}",
        "AuthenticationCode1": "123456",
        "AuthenticationCode2": "123457",
        "PolicyName": NAME,
        "PermissionsBoundary": own.policy,
        "PolicySourceArn": own.user,
        "Arn": own.user,
        "ActionNames": ["s3:GetObject"],
        "PolicyInputList": [POLICY],
        "Url": "https://example.com",
        "ServiceNamespaces": ["s3"],
    }


def _sts(own: Things) -> Known:
    return {"Name": "who", "RoleSessionName": "session", "AccessKeyId": own.key_id}


def _sns(own: Things) -> Known:
    return {
        "TopicArn": own.topic,
        "ResourceArn": own.topic,
        "SubscriptionArn": own.subscription,
        "Name": NAME,
        "Endpoint": own.queue_arn,
        "Protocol": "sqs",
        "phoneNumber": "+14155550100",
        "PlatformApplicationArn": f"arn:aws:sns:{own.region}:{own.account}:app/GCM/{NAME}",
        "EndpointArn": f"arn:aws:sns:{own.region}:{own.account}:endpoint/GCM/{NAME}/x",
    }


def _sqs(own: Things) -> Known:
    return {"QueueUrl": own.queue, "QueueName": NAME, "SourceArn": own.queue_arn}


def _logs(own: Things) -> Known:
    return {
        "logGroupName": NAME,
        "logStreamName": NAME,
        "resourceArn": own.group,
        "logGroupIdentifier": own.group,
        "from": 1,
        "to": 2,
        "metricValue": "1",
    }


def _cloudwatch(own: Things) -> Known:
    return {"ResourceARN": own.alarm, "AlarmRule": f"ALARM({NAME})", "Name": NAME}


def _s3control(own: Things) -> Known:
    return {"ResourceArn": f"arn:aws:s3:::{NAME}"}


BY_SERVICE: Mapping[str, Callable[[Things], Known]] = {
    "lambda": _lambda,
    "iam": _iam,
    "sts": _sts,
    "sns": _sns,
    "sqs": _sqs,
    "logs": _logs,
    "cloudwatch": _cloudwatch,
    "s3control": _s3control,
}


def of_operations(own: Things) -> dict[str, Known]:
    return {
        "AddLayerVersionPermission": {"Action": "lambda:GetLayerVersion", "Principal": own.account},
        "CancelMessageMoveTask": {"TaskHandle": _handle(own.queue_arn)},
        "DescribeLogStreams": {"logGroupIdentifier": own.group},
        "FilterLogEvents": {"logGroupIdentifier": own.group},
        "GetLogEvents": {"logGroupIdentifier": own.group},
        "GetLogGroupFields": {"logGroupIdentifier": own.group},
        "GetQueueUrl": {"QueueOwnerAWSAccountId": own.account},
        "Publish": {"TopicArn": own.topic},
        "UpdateAccessKey": {"UserName": NAME},
    }


def _handle(queue_arn: str) -> str:
    return base64.b64encode(json.dumps({"taskId": "x", "sourceArn": queue_arn}).encode()).decode()
