"""AWS's policies for Lambda: for functions' roles, and for those who work with functions."""

from cosset.services.iam.aws_policies.document import LOG_WRITES, SERVICE_ROLE, ManagedPolicy, allow, policy

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


def policies() -> list[ManagedPolicy]:
    return [*_execution_roles(), *_access()]


def _execution_roles() -> list[ManagedPolicy]:
    return [
        policy(
            "AWSLambdaBasicExecutionRole",
            SERVICE_ROLE,
            1,
            "Provides write permissions to CloudWatch Logs.",
            "2015-04-09 15:03",
            "2015-04-09 15:03",
            allow(*LOG_WRITES),
        ),
        policy(
            "AWSLambdaVPCAccessExecutionRole",
            SERVICE_ROLE,
            3,
            "Provides minimum permissions for a Lambda function to execute while accessing a resource within a VPC - "
            "create, describe, delete network interfaces and write permissions to CloudWatch Logs.",
            "2016-02-11 23:15",
            "2024-01-05 22:38",
            {"Sid": "AWSLambdaVPCAccessExecutionPermissions"}
            | allow(
                *LOG_WRITES,
                *("ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"),
                *("ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"),
            ),
        ),
        policy(
            "AWSLambdaKinesisExecutionRole",
            SERVICE_ROLE,
            2,
            "Provides list and read access to Kinesis streams and write permissions to CloudWatch logs.",
            "2015-04-09 15:14",
            "2018-11-19 20:09",
            allow(
                *("kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:GetRecords"),
                *("kinesis:GetShardIterator", "kinesis:ListShards", "kinesis:ListStreams", "kinesis:SubscribeToShard"),
                *LOG_WRITES,
            ),
        ),
        policy(
            "AWSLambdaDynamoDBExecutionRole",
            SERVICE_ROLE,
            1,
            "Provides list and read access to DynamoDB streams and write permissions to CloudWatch logs.",
            "2015-04-09 15:09",
            "2015-04-09 15:09",
            allow(
                *("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"),
                *("dynamodb:ListStreams", *LOG_WRITES),
            ),
        ),
        policy(
            "AWSLambdaSQSQueueExecutionRole",
            SERVICE_ROLE,
            1,
            "Provides receive message, delete message, and read attribute access to SQS queues, and write permissions "
            "to CloudWatch logs.",
            "2018-06-14 21:50",
            "2018-06-14 21:50",
            allow("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", *LOG_WRITES),
        ),
        policy(
            "AWSLambdaRole",
            SERVICE_ROLE,
            1,
            "Default policy for AWS Lambda service role.",
            "2015-02-06 18:41",
            "2015-02-06 18:41",
            allow("lambda:InvokeFunction", resource=["*"]),
        ),
        policy(
            "AWSLambdaMSKExecutionRole",
            SERVICE_ROLE,
            2,
            "Provides permissions required to access MSK Cluster within a VPC, manage ENIs (create, describe, delete) "
            "in the VPC and write permissions to CloudWatch Logs.",
            "2020-08-11 17:35",
            "2022-08-02 20:08",
            allow(
                *("kafka:DescribeCluster", "kafka:DescribeClusterV2", "kafka:GetBootstrapBrokers"),
                *("ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeVpcs"),
                *("ec2:DeleteNetworkInterface", "ec2:DescribeSubnets", "ec2:DescribeSecurityGroups", *LOG_WRITES),
            ),
        ),
        policy(
            "AWSLambdaENIManagementAccess",
            SERVICE_ROLE,
            2,
            "Provides minimum permissions for a Lambda function to manage ENIs (create, describe, delete) used by a "
            "VPC-enabled Lambda Function.",
            "2016-12-06 00:37",
            "2020-10-01 20:07",
            allow(
                *("ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DeleteNetworkInterface"),
                *("ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"),
            ),
        ),
    ]


def _access() -> list[ManagedPolicy]:
    return [
        policy(
            "AWSLambda_FullAccess",
            "/",
            2,
            "Grants full access to AWS Lambda service, AWS Lambda console features, and other related AWS services.",
            "2020-11-17 21:14",
            "2025-03-17 21:37",
            allow(
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
            allow(
                *("logs:DescribeLogStreams", "logs:GetLogEvents", "logs:FilterLogEvents"),
                *("logs:StartLiveTail", "logs:StopLiveTail"),
                resource=_FUNCTION_LOGS,
            ),
        ),
        policy(
            "AWSLambda_ReadOnlyAccess",
            "/",
            3,
            "Grants read-only access to AWS Lambda service, AWS Lambda console features, and other related AWS "
            "services.",
            "2020-11-17 21:10",
            "2025-03-17 21:07",
            allow(
                *("cloudformation:DescribeStacks", "cloudformation:ListStacks", "cloudformation:ListStackResources"),
                *("cloudwatch:GetMetricData", "cloudwatch:ListMetrics", *_CONSOLE_READS),
                *("logs:DescribeLogGroups", "lambda:Get*", "lambda:List*", *_TRACING_READS),
            ),
            allow(
                *("logs:DescribeLogStreams", "logs:GetLogEvents", "logs:FilterLogEvents"),
                *("logs:StartQuery", "logs:StopQuery", "logs:DescribeQueries", "logs:GetLogGroupFields"),
                *("logs:GetLogRecord", "logs:GetQueryResults", "logs:StartLiveTail", "logs:StopLiveTail"),
                resource=_FUNCTION_LOGS,
            ),
        ),
        policy(
            "AWSLambdaInvocation-DynamoDB",
            "/",
            1,
            "Provides read access to DynamoDB Streams.",
            "2015-02-06 18:40",
            "2015-02-06 18:40",
            allow("lambda:InvokeFunction"),
            allow(
                *("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"),
                "dynamodb:ListStreams",
            ),
        ),
        policy(
            "AWSLambdaExecute",
            "/",
            1,
            "Provides Put, Get access to S3 and full access to CloudWatch Logs.",
            "2015-02-06 18:40",
            "2015-02-06 18:40",
            allow("logs:*", resource="arn:aws:logs:*:*:*"),
            allow("s3:GetObject", "s3:PutObject", resource="arn:aws:s3:::*"),
        ),
    ]
