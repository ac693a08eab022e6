"""AWS's policies over everything. ReadOnlyAccess is not here: more than a thousand actions that change by the week."""

from cosset.services.iam.aws_policies.document import ManagedPolicy, allow, policy


def policies() -> list[ManagedPolicy]:
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
