"""AWS's policies for CloudWatch, its logs and X-Ray."""

from cosset.services.iam.aws_policies.document import ManagedPolicy, allow, named, policy

_QUOTAS = [
    f"arn:aws:servicequotas:*:*:{service}/*"
    for service in ("s3", "dynamodb", "kinesis", "sns", "bedrock", "lambda", "fargate", "elasticloadbalancing", "ec2")
]
_SIGNALS_CHANNEL = "arn:aws:cloudtrail:*:*:channel/aws-service-channel/application-signals/*"
_SIGNALS_ROLE = (
    "arn:aws:iam::*:role/aws-service-role/application-signals.cloudwatch.amazonaws.com/"
    "AWSServiceRoleForCloudWatchApplicationSignals"
)
_EVENTS_ROLE = "arn:aws:iam::*:role/aws-service-role/events.amazonaws.com/AWSServiceRoleForCloudWatchEvents*"
_SINKS = "arn:aws:oam:*:*:sink/*"


def policies() -> list[ManagedPolicy]:
    return [*_metrics(), *_metrics_read_only(), *_logs(), *_tracing_and_insights()]


def _service_linked(service: str, role: str) -> dict[str, object]:
    return {
        "Effect": "Allow",
        "Action": "iam:CreateServiceLinkedRole",
        "Resource": role,
        "Condition": {"StringLike": {"iam:AWSServiceName": service}},
    }


def _metrics() -> list[ManagedPolicy]:
    return [
        policy(
            "CloudWatchFullAccess",
            "/",
            4,
            "Provides full access to CloudWatch.",
            "2015-02-06 18:40",
            "2022-11-27 13:23",
            allow(
                *("autoscaling:Describe*", "cloudwatch:*", "logs:*", "sns:*", "iam:GetPolicy", "iam:GetPolicyVersion"),
                *("iam:GetRole", "oam:ListSinks"),
            ),
            _service_linked("events.amazonaws.com", _EVENTS_ROLE),
            allow("oam:ListAttachedLinks", resource=_SINKS),
        ),
        policy(
            "CloudWatchFullAccessV2",
            "/",
            4,
            "Provides full access to CloudWatch.",
            "2023-08-01 11:32",
            "2025-10-08 17:34",
            named(
                "CloudWatchFullAccessPermissions",
                allow(
                    *("application-autoscaling:DescribeScalingPolicies", "application-signals:*"),
                    *("autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribePolicies", "cloudwatch:*"),
                    *("logs:*", "sns:CreateTopic", "sns:ListSubscriptions", "sns:ListSubscriptionsByTopic"),
                    *("sns:ListTopics", "sns:Subscribe", "iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRole"),
                    *("oam:ListSinks", "rum:*", "synthetics:*", "xray:*"),
                ),
            ),
            named(
                "CloudWatchApplicationSignalsServiceLinkedRolePermissions",
                _service_linked("application-signals.cloudwatch.amazonaws.com", _SIGNALS_ROLE),
            ),
            named("EventsServicePermissions", _service_linked("events.amazonaws.com", _EVENTS_ROLE)),
            named("OAMReadPermissions", allow("oam:ListAttachedLinks", resource=_SINKS)),
            named(
                "CloudWatchCloudTrailPermissions",
                allow("cloudtrail:CreateServiceLinkedChannel", "cloudtrail:GetChannel", resource=_SIGNALS_CHANNEL),
            ),
            named("CloudWatchApplicationSignalsCloudTrailListPermissions", allow("cloudtrail:ListChannels")),
            named("CloudWatchServiceQuotaPermissions", allow("servicequotas:GetServiceQuota", resource=_QUOTAS)),
        ),
    ]


def _metrics_read_only() -> list[ManagedPolicy]:
    views = "arn:aws:resource-explorer-2:*::view/AWSServiceViewForApplicationSignals"
    return [
        policy(
            "CloudWatchReadOnlyAccess",
            "/",
            14,
            "Provides read only access to CloudWatch.",
            "2015-02-06 18:40",
            "2025-12-02 16:49",
            named(
                "CloudWatchReadOnlyAccessPermissions",
                allow(
                    *("application-autoscaling:DescribeScalingPolicies", "application-signals:BatchGet*"),
                    *("application-signals:Get*", "application-signals:List*", "autoscaling:Describe*"),
                    *("cloudtrail:ListChannels", "cloudwatch:BatchGet*", "cloudwatch:Describe*"),
                    *("cloudwatch:GenerateQuery", "cloudwatch:Get*", "cloudwatch:List*", "logs:Get*", "logs:List*"),
                    *("logs:StartQuery", "logs:StopQuery", "logs:Describe*", "logs:TestMetricFilter"),
                    *("logs:FilterLogEvents", "logs:StartLiveTail", "logs:StopLiveTail", "oam:ListSinks"),
                    *("observabilityadmin:GetCentralizationRuleForOrganization",),
                    *("observabilityadmin:ListCentralizationRulesForOrganization",),
                    *("observabilityadmin:GetTelemetryEvaluationStatus",),
                    *("observabilityadmin:GetTelemetryEvaluationStatusForOrganization",),
                    *("observabilityadmin:GetTelemetryRule", "observabilityadmin:GetTelemetryRuleForOrganization"),
                    *("observabilityadmin:ListResourceTelemetry",),
                    *("observabilityadmin:ListResourceTelemetryForOrganization",),
                    *("observabilityadmin:ListTelemetryRules", "observabilityadmin:ListTelemetryRulesForOrganization"),
                    *("observabilityadmin:GetTelemetryEnrichmentStatus", "observabilityadmin:ListTagsForResource"),
                    *("observabilityadmin:GetTelemetryPipeline", "observabilityadmin:ListTelemetryPipelines"),
                    *("observabilityadmin:TestTelemetryPipeline",),
                    *("observabilityadmin:ValidateTelemetryPipelineConfiguration",),
                    *("observabilityadmin:GetS3TableIntegration", "observabilityadmin:ListS3TableIntegrations"),
                    *("sns:Get*", "sns:List*", "rum:BatchGet*", "rum:Get*", "rum:List*", "synthetics:Describe*"),
                    *("synthetics:Get*", "synthetics:List*", "xray:BatchGet*", "xray:Get*", "xray:List*"),
                    *("xray:StartTraceRetrieval", "xray:CancelTraceRetrieval"),
                ),
            ),
            named("OAMReadPermissions", allow("oam:ListAttachedLinks", resource=_SINKS)),
            {
                "Sid": "CloudWatchReadOnlyGetRolePermissions",
                "Effect": "Allow",
                "Action": "iam:GetRole",
                "Resource": _SIGNALS_ROLE,
            },
            named("CloudWatchCloudTrailPermissions", allow("cloudtrail:GetChannel", resource=_SIGNALS_CHANNEL)),
            named("CloudWatchServiceQuotaPermissions", allow("servicequotas:GetServiceQuota", resource=_QUOTAS)),
            named(
                "CloudWatchResourceExplorerPermissions",
                allow(
                    *("resource-explorer-2:ListIndexes", "resource-explorer-2:Search"),
                    resource=[f"{views}/service-view", f"{views}OrgScopeProd/service-view"],
                ),
            ),
        ),
    ]


def _logs() -> list[ManagedPolicy]:
    return [
        policy(
            "CloudWatchLogsFullAccess",
            "/",
            3,
            "Provides full access to CloudWatch Logs",
            "2015-02-06 18:40",
            "2025-05-20 17:07",
            named(
                "CloudWatchLogsFullAccess",
                allow("logs:*", "cloudwatch:GenerateQuery", "cloudwatch:GenerateQueryResultsSummary"),
            ),
        ),
        policy(
            "CloudWatchLogsReadOnlyAccess",
            "/",
            8,
            "Provides read only access to CloudWatch Logs",
            "2015-02-06 18:40",
            "2025-12-02 16:34",
            named(
                "CloudWatchLogsReadOnlyAccess",
                allow(
                    *("logs:Describe*", "logs:Get*", "logs:List*", "logs:StartQuery", "logs:StopQuery"),
                    *("logs:TestMetricFilter", "logs:FilterLogEvents", "logs:StartLiveTail", "logs:StopLiveTail"),
                    *("cloudwatch:GenerateQuery", "cloudwatch:GenerateQueryResultsSummary"),
                    *("observabilityadmin:ListS3TableIntegrations", "observabilityadmin:GetS3TableIntegration"),
                    "observabilityadmin:ListTelemetryPipelines",
                ),
            ),
        ),
        policy(
            "CloudWatchAgentServerPolicy",
            "/",
            3,
            "Permissions required to use AmazonCloudWatchAgent on servers",
            "2018-03-07 01:06",
            "2024-02-06 16:37",
            named(
                "CWACloudWatchServerPermissions",
                allow(
                    *("cloudwatch:PutMetricData", "ec2:DescribeVolumes", "ec2:DescribeTags", "logs:PutLogEvents"),
                    *("logs:PutRetentionPolicy", "logs:DescribeLogStreams", "logs:DescribeLogGroups"),
                    *("logs:CreateLogStream", "logs:CreateLogGroup", "xray:PutTraceSegments"),
                    *("xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets"),
                    "xray:GetSamplingStatisticSummaries",
                ),
            ),
            named(
                "CWASSMServerPermissions",
                allow("ssm:GetParameter", resource="arn:aws:ssm:*:*:parameter/AmazonCloudWatch-*"),
            ),
        ),
    ]


def _tracing_and_insights() -> list[ManagedPolicy]:
    return [
        policy(
            "AWSXRayDaemonWriteAccess",
            "/",
            2,
            "Allow the AWS X-Ray Daemon to relay raw trace segments data to the service's API and retrieve sampling "
            "data (rules, targets, etc.) to be used by the X-Ray SDK.",
            "2018-08-28 23:00",
            "2024-02-13 21:58",
            {"Sid": "AWSXRayDaemonWriteAccess"}
            | allow(
                *("xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules"),
                *("xray:GetSamplingTargets", "xray:GetSamplingStatisticSummaries"),
                resource=["*"],
            ),
        ),
        policy(
            "CloudWatchLambdaInsightsExecutionRolePolicy",
            "/",
            1,
            "Policy required for the Lambda Insights Extension",
            "2020-10-07 19:27",
            "2020-10-07 19:27",
            {"Effect": "Allow", "Action": "logs:CreateLogGroup", "Resource": "*"},
            allow(
                *("logs:CreateLogStream", "logs:PutLogEvents"),
                resource="arn:aws:logs:*:*:log-group:/aws/lambda-insights:*",
            ),
        ),
    ]
