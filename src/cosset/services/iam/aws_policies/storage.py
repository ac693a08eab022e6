"""AWS's policies for S3 and DynamoDB."""

from cosset.services.iam.aws_policies.document import ManagedPolicy, allow, named, policy

_INSIGHTS = "arn:aws:cloudwatch:*:*:insight-rule/DynamoDBContributorInsights*"
_INSIGHT_REPORT = {"Effect": "Allow", "Action": "cloudwatch:GetInsightRuleReport", "Resource": _INSIGHTS}
_LINKED = {
    "StringEquals": {
        "iam:AWSServiceName": [
            "replication.dynamodb.amazonaws.com",
            "dax.amazonaws.com",
            "dynamodb.application-autoscaling.amazonaws.com",
            "contributorinsights.dynamodb.amazonaws.com",
            "kinesisreplication.dynamodb.amazonaws.com",
        ]
    }
}
_SCALING_READS = (
    *("application-autoscaling:DescribeScalableTargets", "application-autoscaling:DescribeScalingActivities"),
    "application-autoscaling:DescribeScalingPolicies",
)
_NETWORK_READS = ("ec2:DescribeVpcs", "ec2:DescribeSubnets", "ec2:DescribeSecurityGroups")
_KINESIS_READS = ("kinesis:ListStreams", "kinesis:DescribeStream", "kinesis:DescribeStreamSummary")


def policies() -> list[ManagedPolicy]:
    return [*_s3(), _dynamodb_full(), _dynamodb_full_v2(), _dynamodb_read_only()]


def _s3() -> list[ManagedPolicy]:
    return [
        policy(
            "AmazonS3FullAccess",
            "/",
            2,
            "Provides full access to all buckets via the AWS Management Console.",
            "2015-02-06 18:40",
            "2021-09-27 20:16",
            allow("s3:*", "s3-object-lambda:*"),
        ),
        policy(
            "AmazonS3ReadOnlyAccess",
            "/",
            3,
            "Provides read only access to all buckets via the AWS Management Console.",
            "2015-02-06 18:40",
            "2023-08-10 21:31",
            allow("s3:Get*", "s3:List*", "s3:Describe*", "s3-object-lambda:Get*", "s3-object-lambda:List*"),
        ),
    ]


def _dynamodb_full() -> ManagedPolicy:
    passing = {
        "StringLike": {
            "iam:PassedToService": [
                "application-autoscaling.amazonaws.com",
                "application-autoscaling.amazonaws.com.cn",
                "dax.amazonaws.com",
            ]
        }
    }
    return policy(
        "AmazonDynamoDBFullAccess",
        "/",
        15,
        "Provides full access to Amazon DynamoDB via the AWS Management Console.",
        "2015-02-06 18:40",
        "2021-01-29 17:38",
        allow(
            *("dynamodb:*", "dax:*", "application-autoscaling:DeleteScalingPolicy"),
            *("application-autoscaling:DeregisterScalableTarget", *_SCALING_READS),
            *("application-autoscaling:PutScalingPolicy", "application-autoscaling:RegisterScalableTarget"),
            *("cloudwatch:DeleteAlarms", "cloudwatch:DescribeAlarmHistory", "cloudwatch:DescribeAlarms"),
            *("cloudwatch:DescribeAlarmsForMetric", "cloudwatch:GetMetricStatistics", "cloudwatch:ListMetrics"),
            *("cloudwatch:PutMetricAlarm", "cloudwatch:GetMetricData", "datapipeline:ActivatePipeline"),
            *("datapipeline:CreatePipeline", "datapipeline:DeletePipeline", "datapipeline:DescribeObjects"),
            *("datapipeline:DescribePipelines", "datapipeline:GetPipelineDefinition", "datapipeline:ListPipelines"),
            *("datapipeline:PutPipelineDefinition", "datapipeline:QueryObjects", *_NETWORK_READS, "iam:GetRole"),
            *("iam:ListRoles", "kms:DescribeKey", "kms:ListAliases", "sns:CreateTopic", "sns:DeleteTopic"),
            *("sns:ListSubscriptions", "sns:ListSubscriptionsByTopic", "sns:ListTopics", "sns:Subscribe"),
            *("sns:Unsubscribe", "sns:SetTopicAttributes", "lambda:CreateFunction", "lambda:ListFunctions"),
            *("lambda:ListEventSourceMappings", "lambda:CreateEventSourceMapping", "lambda:DeleteEventSourceMapping"),
            *("lambda:GetFunctionConfiguration", "lambda:DeleteFunction", "resource-groups:ListGroups"),
            *("resource-groups:ListGroupResources", "resource-groups:GetGroup", "resource-groups:GetGroupQuery"),
            *("resource-groups:DeleteGroup", "resource-groups:CreateGroup", "tag:GetResources", *_KINESIS_READS),
        ),
        _INSIGHT_REPORT,
        allow("iam:PassRole", Condition=passing),
        allow("iam:CreateServiceLinkedRole", Condition=_LINKED),
    )


def _dynamodb_full_v2() -> ManagedPolicy:
    namespace = {"StringEquals": {"application-autoscaling:service-namespace": "dynamodb"}}
    return policy(
        "AmazonDynamoDBFullAccess_v2",
        "/",
        2,
        "Provides full access to Amazon DynamoDB",
        "2025-05-22 14:52",
        "2026-02-11 22:15",
        named("DDBAndDAXFullAccess", allow("dynamodb:*", "dax:*")),
        named("KMSIntegration", allow("kms:DescribeKey", "kms:ListAliases")),
        named("LambdaIntegration", allow("lambda:ListEventSourceMappings", "lambda:ListFunctions")),
        named("DaxSNSIntegration", allow("sns:ListTopics")),
        named(
            "ApplicationAutoscalingIntegration",
            allow(
                *("application-autoscaling:DeleteScalingPolicy", "application-autoscaling:DeregisterScalableTarget"),
                *("application-autoscaling:PutScalingPolicy", "application-autoscaling:RegisterScalableTarget"),
                Condition=namespace,
            ),
        ),
        named("ApplicationAutoscalingDescribeActions", allow(*_SCALING_READS)),
        named("TagManagement", allow("tag:GetResources")),
        named(
            "CloudwatchMonitoring",
            allow("cloudwatch:DescribeAlarms", "cloudwatch:GetMetricStatistics", "cloudwatch:GetMetricData"),
        ),
        named("ListKinesisResources", allow(*_KINESIS_READS)),
        named("ListEC2ResourcesForDaxClusterCreation", allow(*_NETWORK_READS)),
        named("CloudwatchInsightsRules", _INSIGHT_REPORT),
        named("ServiceRoleCreation", allow("iam:CreateServiceLinkedRole", Condition=_LINKED)),
        named("IamIntegration", allow("iam:ListRoles", resource=["*"])),
    )


def _dynamodb_read_only() -> ManagedPolicy:
    return policy(
        "AmazonDynamoDBReadOnlyAccess",
        "/",
        14,
        "Provides read only access to Amazon DynamoDB via the AWS Management Console.",
        "2015-02-06 18:40",
        "2024-03-20 15:45",
        named(
            "GeneralReadOnlyAccess",
            allow(
                *(*_SCALING_READS, "cloudwatch:DescribeAlarmHistory", "cloudwatch:DescribeAlarms"),
                *("cloudwatch:DescribeAlarmsForMetric", "cloudwatch:GetMetricStatistics", "cloudwatch:ListMetrics"),
                *("cloudwatch:GetMetricData", "datapipeline:DescribeObjects", "datapipeline:DescribePipelines"),
                *("datapipeline:GetPipelineDefinition", "datapipeline:ListPipelines", "datapipeline:QueryObjects"),
                *("dynamodb:BatchGetItem", "dynamodb:Describe*", "dynamodb:List*", "dynamodb:GetItem"),
                *("dynamodb:GetResourcePolicy", "dynamodb:Query", "dynamodb:Scan", "dynamodb:PartiQLSelect"),
                *("dax:Describe*", "dax:List*", "dax:GetItem", "dax:BatchGetItem", "dax:Query", "dax:Scan"),
                *(*_NETWORK_READS, "iam:GetRole", "iam:ListRoles", "kms:DescribeKey", "kms:ListAliases"),
                *("sns:ListSubscriptionsByTopic", "sns:ListTopics", "lambda:ListFunctions"),
                *("lambda:ListEventSourceMappings", "lambda:GetFunctionConfiguration", "resource-groups:ListGroups"),
                *("resource-groups:ListGroupResources", "resource-groups:GetGroup", "resource-groups:GetGroupQuery"),
                *("tag:GetResources", *_KINESIS_READS),
            ),
        ),
        named("CCIAccess", _INSIGHT_REPORT),
    )
