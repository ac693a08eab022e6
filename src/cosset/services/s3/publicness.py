"""Is a bucket's policy public? What GetBucketPolicyStatus says, and what BlockPublicPolicy and RestrictPublicBuckets
go by.

A policy is public unless every Allow is for fixed principals, or on condition that something fixed about the caller
holds. Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
"""

import ipaddress
from collections.abc import Mapping
from typing import Any

from cosset.identity.policy_document import PolicyDocument, Statement

_FIXING = frozenset(
    {
        *("aws:sourceip", "aws:sourcearn", "aws:sourcevpc", "aws:sourcevpce", "aws:sourceowner", "aws:sourceaccount"),
        *("aws:userid", "aws:principalorgid", "aws:principalaccount", "aws:principalarn", "aws:vpcsourceip"),
        *("s3:x-amz-server-side-encryption-aws-kms-key-id", "s3:dataaccesspointarn", "s3:dataaccesspointaccount"),
    }
)
_OPERATORS = frozenset(
    {
        *("stringequals", "stringlike", "stringequalsignorecase", "arnequals", "arnlike", "ipaddress"),
    }
)
_WIDEST = {4: 8, 6: 32}
"""Of address ranges, the shortest prefix that still names somebody."""


def is_public(policy: PolicyDocument) -> bool:
    return any(statement.allows and _is_open(statement) for statement in policy.statements)


def _is_open(statement: Statement) -> bool:
    if statement.not_principals is not None:
        return True
    principals = statement.principals or {}
    everyone = "*" in principals or any("*" in value for value in principals.get("AWS", ()))
    return everyone and not _is_fixed(statement.conditions or {})


def _is_fixed(conditions: Mapping[str, Any]) -> bool:
    for operator, keys in conditions.items():
        if operator.lower() not in _OPERATORS:
            continue
        for key, values in keys.items():
            listed = values if isinstance(values, list) else [values]
            if key.lower() in _FIXING and listed and all(_is_literal(key.lower(), str(value)) for value in listed):
                return True
    return False


def _is_literal(key: str, value: str) -> bool:
    if "${" in value:
        return False
    if key in ("aws:sourceip", "aws:vpcsourceip"):
        try:
            network = ipaddress.ip_network(value, strict=False)
        except ValueError:
            return False
        return network.prefixlen >= _WIDEST[network.version]
    if key == "aws:userid":
        return "*" not in value.removesuffix(":*") and "?" not in value
    if key in ("aws:sourcearn", "aws:principalarn"):
        # A bucket, or whatever an account has: the account must be fixed, where the ARN has one.
        parts = value.split(":", 5)
        return len(parts) == 6 and "*" not in parts[4] and (bool(parts[4]) or "*" not in parts[5])
    return "*" not in value and "?" not in value
