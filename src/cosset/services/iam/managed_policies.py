"""The policies that AWS itself manages and that functions commonly use: facts, from the AWS Managed Policy Reference.

A policy that is not here answers NoSuchEntity, rather than an invented document. AWS publishes no ids for them, so
those are derived from the ARN.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_LOGS = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")
_CONSOLE_READS = (
    *("ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs", "kms:ListAliases"),
    *("iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies"),
    *("iam:ListRolePolicies", "iam:ListRoles"),
)
_TRACING_READS = (
    *("states:DescribeStateMachine", "states:ListStateMachines", "tag:GetResources"),
    *("xray:GetTraceSummaries", "xray:BatchGetTraces"),
)
_FUNCTION_LOGS = "arn:aws:logs:*:*:log-group:/aws/lambda/*"


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    """One AWS managed policy at its default version. Times are epoch milliseconds."""

    name: str
    path: str
    version: int
    description: str
    created_ms: int
    updated_ms: int
    document: str

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::aws:policy{self.path}{self.name}"

    @property
    def policy_id(self) -> str:
        return "ANPA" + hashlib.sha256(self.arn.encode()).hexdigest()[:17].upper()


def managed_policies() -> dict[str, ManagedPolicy]:
    """All of them, by ARN."""
    return {policy.arn: policy for policy in _policies()}


def _allow(*actions: str, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}


def _policy(
    name: str, path: str, version: int, description: str, created: str, updated: str, *statements: dict[str, Any]
) -> ManagedPolicy:
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, indent=4)
    return ManagedPolicy(name, path, version, description, _epoch_ms(created), _epoch_ms(updated), document)


def _epoch_ms(text: str) -> int:
    return int(datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=UTC).timestamp()) * 1000


def _policies() -> list[ManagedPolicy]:
    return [*_account_wide(), *_execution_roles(), *_lambda_access(), *_tracing_and_insights()]


def _account_wide() -> list[ManagedPolicy]:
    return [
        _policy(
            "AdministratorAccess",
            "/",
            1,
            "Provides full access to AWS services and resources.",
            "2015-02-06 18:39",
            "2015-02-06 18:39",
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
        ),
        _policy(
            "PowerUserAccess",
            "/",
            12,
            "Provides full access to AWS services and resources, but does not allow management of Users and groups.",
            "2015-02-06 18:39",
            "2026-02-12 17:59",
            {"Effect": "Allow", "NotAction": ["iam:*", "organizations:*", "account:*"], "Resource": "*"},
            _allow(
                *("account:GetAccountInformation", "account:GetGovCloudAccountInformation", "account:GetPrimaryEmail"),
                *("account:ListRegions", "iam:CreateServiceLinkedRole", "iam:DeleteServiceLinkedRole", "iam:ListRoles"),
                *("organizations:DescribeEffectivePolicy", "organizations:DescribeOrganization"),
            ),
        ),
    ]


def _execution_roles() -> list[ManagedPolicy]:
    service_role = "/service-role/"
    return [
        _policy(
            "AWSLambdaBasicExecutionRole",
            service_role,
            1,
            "Provides write permissions to CloudWatch Logs.",
            "2015-04-09 15:03",
            "2015-04-09 15:03",
            _allow(*_LOGS),
        ),
        _policy(
            "AWSLambdaVPCAccessExecutionRole",
            service_role,
            3,
            "Provides minimum permissions for a Lambda function to execute while accessing a resource within a VPC - "
            "create, describe, delete network interfaces and write permissions to CloudWatch Logs.",
            "2016-02-11 23:15",
            "2024-01-05 22:38",
            {"Sid": "AWSLambdaVPCAccessExecutionPermissions"}
            | _allow(
                *_LOGS,
                *("ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"),
                *("ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"),
            ),
        ),
        _policy(
            "AWSLambdaKinesisExecutionRole",
            service_role,
            2,
            "Provides list and read access to Kinesis streams and write permissions to CloudWatch logs.",
            "2015-04-09 15:14",
            "2018-11-19 20:09",
            _allow(
                *("kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:GetRecords"),
                *("kinesis:GetShardIterator", "kinesis:ListShards", "kinesis:ListStreams", "kinesis:SubscribeToShard"),
                *_LOGS,
            ),
        ),
        _policy(
            "AWSLambdaDynamoDBExecutionRole",
            service_role,
            1,
            "Provides list and read access to DynamoDB streams and write permissions to CloudWatch logs.",
            "2015-04-09 15:09",
            "2015-04-09 15:09",
            _allow(
                *("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"),
                *("dynamodb:ListStreams", *_LOGS),
            ),
        ),
        _policy(
            "AWSLambdaSQSQueueExecutionRole",
            service_role,
            1,
            "Provides receive message, delete message, and read attribute access to SQS queues, and write permissions "
            "to CloudWatch logs.",
            "2018-06-14 21:50",
            "2018-06-14 21:50",
            _allow("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", *_LOGS),
        ),
        _policy(
            "AWSLambdaRole",
            service_role,
            1,
            "Default policy for AWS Lambda service role.",
            "2015-02-06 18:41",
            "2015-02-06 18:41",
            _allow("lambda:InvokeFunction", resource=["*"]),
        ),
    ]


def _lambda_access() -> list[ManagedPolicy]:
    return [
        _policy(
            "AWSLambda_FullAccess",
            "/",
            2,
            "Grants full access to AWS Lambda service, AWS Lambda console features, and other related AWS services.",
            "2020-11-17 21:14",
            "2025-03-17 21:37",
            _allow(
                *("cloudformation:DescribeStacks", "cloudformation:ListStackResources"),
                *("cloudwatch:ListMetrics", "cloudwatch:GetMetricData", *_CONSOLE_READS),
                *("lambda:*", "logs:DescribeLogGroups", *_TRACING_READS),
            ),
            {
                "Effect": "Allow",
                "Action": "iam:PassRole",
                "Resource": "*",
                "Condition": {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}},
            },
            _allow(
                *("logs:DescribeLogStreams", "logs:GetLogEvents", "logs:FilterLogEvents"),
                *("logs:StartLiveTail", "logs:StopLiveTail"),
                resource=_FUNCTION_LOGS,
            ),
        ),
        _policy(
            "AWSLambda_ReadOnlyAccess",
            "/",
            3,
            "Grants read-only access to AWS Lambda service, AWS Lambda console features, and other related AWS "
            "services.",
            "2020-11-17 21:10",
            "2025-03-17 21:07",
            _allow(
                *("cloudformation:DescribeStacks", "cloudformation:ListStacks", "cloudformation:ListStackResources"),
                *("cloudwatch:GetMetricData", "cloudwatch:ListMetrics", *_CONSOLE_READS),
                *("logs:DescribeLogGroups", "lambda:Get*", "lambda:List*", *_TRACING_READS),
            ),
            _allow(
                *("logs:DescribeLogStreams", "logs:GetLogEvents", "logs:FilterLogEvents"),
                *("logs:StartQuery", "logs:StopQuery", "logs:DescribeQueries", "logs:GetLogGroupFields"),
                *("logs:GetLogRecord", "logs:GetQueryResults", "logs:StartLiveTail", "logs:StopLiveTail"),
                resource=_FUNCTION_LOGS,
            ),
        ),
    ]


def _tracing_and_insights() -> list[ManagedPolicy]:
    return [
        _policy(
            "AWSXRayDaemonWriteAccess",
            "/",
            2,
            "Allow the AWS X-Ray Daemon to relay raw trace segments data to the service's API and retrieve sampling "
            "data (rules, targets, etc.) to be used by the X-Ray SDK.",
            "2018-08-28 23:00",
            "2024-02-13 21:58",
            {"Sid": "AWSXRayDaemonWriteAccess"}
            | _allow(
                *("xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules"),
                *("xray:GetSamplingTargets", "xray:GetSamplingStatisticSummaries"),
                resource=["*"],
            ),
        ),
        _policy(
            "CloudWatchLambdaInsightsExecutionRolePolicy",
            "/",
            1,
            "Policy required for the Lambda Insights Extension",
            "2020-10-07 19:27",
            "2020-10-07 19:27",
            {"Effect": "Allow", "Action": "logs:CreateLogGroup", "Resource": "*"},
            _allow(
                *("logs:CreateLogStream", "logs:PutLogEvents"),
                resource="arn:aws:logs:*:*:log-group:/aws/lambda-insights:*",
            ),
        ),
    ]
