"""AWS's policies for SQS, SNS and Kinesis."""

from cosset.services.iam.aws_policies.document import ManagedPolicy, allow, named, policy


def policies() -> list[ManagedPolicy]:
    return [*_sqs(), *_sns(), *_kinesis()]


def _sqs() -> list[ManagedPolicy]:
    return [
        policy(
            "AmazonSQSFullAccess",
            "/",
            1,
            "Provides full access to Amazon SQS via the AWS Management Console.",
            "2015-02-06 18:41",
            "2015-02-06 18:41",
            allow("sqs:*"),
        ),
        policy(
            "AmazonSQSReadOnlyAccess",
            "/",
            4,
            "Provides read only access to Amazon SQS via the AWS Management Console.",
            "2015-02-06 18:41",
            "2024-05-24 18:16",
            named(
                "AmazonSQSReadOnlyAccess",
                allow(
                    *("sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ListDeadLetterSourceQueues", "sqs:ListQueues"),
                    *("sqs:ListMessageMoveTasks", "sqs:ListQueueTags"),
                ),
            ),
        ),
    ]


def _sns() -> list[ManagedPolicy]:
    return [
        policy(
            "AmazonSNSFullAccess",
            "/",
            2,
            "Provides full access to Amazon SNS via the AWS Management Console.",
            "2015-02-06 18:41",
            "2024-09-24 22:32",
            {"Sid": "SNSFullAccess", "Effect": "Allow", "Action": "sns:*", "Resource": "*"},
            named(
                "SMSAccessViaSNS",
                allow(
                    *("sms-voice:DescribeVerifiedDestinationNumbers", "sms-voice:CreateVerifiedDestinationNumber"),
                    *("sms-voice:SendDestinationNumberVerificationCode", "sms-voice:SendTextMessage"),
                    *("sms-voice:DeleteVerifiedDestinationNumber", "sms-voice:VerifyDestinationNumber"),
                    *("sms-voice:DescribeAccountAttributes", "sms-voice:DescribeSpendLimits"),
                    *("sms-voice:DescribePhoneNumbers", "sms-voice:SetTextMessageSpendLimitOverride"),
                    *("sms-voice:DescribeOptedOutNumbers", "sms-voice:DeleteOptedOutNumber"),
                    Condition={"StringEquals": {"aws:CalledViaLast": "sns.amazonaws.com"}},
                ),
            ),
        ),
        policy(
            "AmazonSNSReadOnlyAccess",
            "/",
            1,
            "Provides read only access to Amazon SNS via the AWS Management Console.",
            "2015-02-06 18:41",
            "2015-02-06 18:41",
            allow("sns:GetTopicAttributes", "sns:List*"),
        ),
    ]


def _kinesis() -> list[ManagedPolicy]:
    return [
        policy(
            "AmazonKinesisFullAccess",
            "/",
            1,
            "Provides full access to all streams via the AWS Management Console.",
            "2015-02-06 18:40",
            "2015-02-06 18:40",
            {"Effect": "Allow", "Action": "kinesis:*", "Resource": "*"},
        ),
        policy(
            "AmazonKinesisReadOnlyAccess",
            "/",
            1,
            "Provides read only access to all streams via the AWS Management Console.",
            "2015-02-06 18:40",
            "2015-02-06 18:40",
            allow("kinesis:Get*", "kinesis:List*", "kinesis:Describe*"),
        ),
    ]
