"""AWS's policies over everything, and over IAM. ReadOnlyAccess: reading.py."""

from cosset.services.iam.aws_policies.document import ManagedPolicy, allow, policy

_ORGANIZATION_READS = (
    *(
        "organizations:DescribeAccount",
        "organizations:DescribeOrganization",
        "organizations:DescribeOrganizationalUnit",
    ),
    *("organizations:DescribePolicy", "organizations:ListChildren", "organizations:ListParents"),
    *("organizations:ListPoliciesForTarget", "organizations:ListRoots", "organizations:ListPolicies"),
    "organizations:ListTargetsForPolicy",
)


def policies() -> list[ManagedPolicy]:
    return [*_everything(), *_identity()]


def _identity() -> list[ManagedPolicy]:
    return [
        policy(
            "IAMFullAccess",
            "/",
            2,
            "Provides full access to IAM via the AWS Management Console.",
            "2015-02-06 18:40",
            "2019-06-21 19:40",
            allow("iam:*", *_ORGANIZATION_READS),
        ),
        policy(
            "IAMReadOnlyAccess",
            "/",
            4,
            "Provides read only access to IAM via the AWS Management Console.",
            "2015-02-06 18:40",
            "2018-01-25 19:11",
            allow(
                *("iam:GenerateCredentialReport", "iam:GenerateServiceLastAccessedDetails", "iam:Get*", "iam:List*"),
                *("iam:SimulateCustomPolicy", "iam:SimulatePrincipalPolicy"),
            ),
        ),
        policy(
            "IAMUserChangePassword",
            "/",
            2,
            "Provides the ability for an IAM user to change their own password.",
            "2016-11-15 00:25",
            "2016-11-15 23:18",
            allow("iam:ChangePassword", resource=["arn:aws:iam::*:user/${aws:username}"]),
            allow("iam:GetAccountPasswordPolicy"),
        ),
    ]


def _everything() -> list[ManagedPolicy]:
    return [
        policy(
            "AdministratorAccess",
            "/",
            1,
            "Provides full access to AWS services and resources.",
            "2015-02-06 18:39",
            "2015-02-06 18:39",
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
        ),
        policy(
            "PowerUserAccess",
            "/",
            12,
            "Provides full access to AWS services and resources, but does not allow management of Users and groups.",
            "2015-02-06 18:39",
            "2026-02-12 17:59",
            {"Effect": "Allow", "NotAction": ["iam:*", "organizations:*", "account:*"], "Resource": "*"},
            allow(
                *("account:GetAccountInformation", "account:GetGovCloudAccountInformation", "account:GetPrimaryEmail"),
                *("account:ListRegions", "iam:CreateServiceLinkedRole", "iam:DeleteServiceLinkedRole", "iam:ListRoles"),
                *("organizations:DescribeEffectivePolicy", "organizations:DescribeOrganization"),
            ),
        ),
    ]
