"""Roles that tests give to their functions."""

import json
from typing import Any

STARTER_ROLE = "cosset-basic"
LAMBDA_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)


def starter_role(server: Any) -> str:
    """ARN of the role that every installation begins with."""
    return f"arn:aws:iam::{server.account}:role/{STARTER_ROLE}"


def make_role(server: Any, name: str, *actions: str) -> str:
    """Makes a role that Lambda may take on, by stock boto3, and gives its ARN. It may do `actions`, on everything."""
    iam = server.client("iam")
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=LAMBDA_TRUST)
    if actions:
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_role_policy(RoleName=name, PolicyName="allowed", PolicyDocument=document)
    return str(made["Role"]["Arn"])
