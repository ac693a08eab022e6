"""ReadOnlyAccess, which is not AWS's text: that has more than a thousand actions and changes by the week.

It is written from what AWS documents of it: what reads, by AWS's naming of actions, service by service, and what reads
under other names. Services that cannot be here are left out, so it may allow less than AWS's, and nothing that changes
anything. Secrets (secretsmanager:GetSecretValue, kms:Decrypt) are not read, as on AWS.
"""

from cosset.services.iam.aws_policies.document import ManagedPolicy, allow, policy

# The service, and what reads there. `Get` stands for Get*.
_READS = """
account Get List
acm Describe Get List
apigateway =GET
appconfig Get List =ValidateConfiguration
application-autoscaling Describe List
appsync Get List
athena Batch Get List
autoscaling Describe Get
cloudformation Describe Detect Estimate Get List =ValidateTemplate
cloudfront Describe Get List
cloudtrail Describe Get List Lookup
cloudwatch Describe Get List
codecommit BatchGet BatchDescribe Describe Evaluate Get List =GitPull
codebuild BatchGet Describe List
codepipeline Get List
cognito-identity Describe GetCredentialsForIdentity GetIdentityPoolRoles GetOpenIdToken List Lookup
cognito-idp AdminGet AdminList Describe Get List
dynamodb BatchGet Describe Get List PartiQLSelect Query Scan
ec2 Describe Get List Search
ecr BatchCheck BatchGet Describe Get List
ecs Describe List
eks Describe List
elasticache Describe List
elasticfilesystem Describe List
elasticloadbalancing Describe
events Describe List Test
execute-api =GetConnection
firehose Describe List
glue BatchGet Get List Search
iam Generate Get List Simulate
iot Describe Get List
kafka Describe Get List
kinesis Describe Get List
kinesisanalytics Describe Get List
kms Describe Get List
lambda Get List
logs Describe Get List =FilterLogEvents =StartQuery =StopQuery =TestMetricFilter =StartLiveTail =StopLiveTail
mq Describe List
organizations Describe List
pipes Describe List
rds Describe List
redshift Describe Get List View
resource-groups Get List Search
route53 Get List Test
s3 Get List Describe
scheduler Get List
schemas Describe Get List Search
secretsmanager Describe List =GetResourcePolicy
serverlessrepo Get List Search
servicediscovery Discover Get List
ses Describe Get List
sns Check Get List
sqs Get List Receive
ssm Describe Get List
states Describe Get List =ValidateStateMachineDefinition
sts =GetAccessKeyInfo =GetCallerIdentity =GetSessionToken
tag Get
xray BatchGet Get
"""


def policies() -> list[ManagedPolicy]:
    return [
        policy(
            "ReadOnlyAccess",
            "/",
            1,
            "Provides read-only access to AWS services and resources.",
            "2015-02-06 18:39",
            "2015-02-06 18:39",
            allow(*_actions()),
        )
    ]


def _actions() -> list[str]:
    actions = []
    for line in _READS.strip().splitlines():
        service, *reads = line.split()
        actions += [f"{service}:{each[1:] if each.startswith('=') else each + '*'}" for each in reads]
    return actions
