"""Policy documents: what is read, and what is refused in which words."""

import json
from typing import Any

import pytest

from cosset.identity.policy_document import MalformedPolicyError, parse_identity_policy, parse_trust_policy

ALLOW = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
TRUST = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}


def document(*statements: Any, **more: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **more})


def test_one_statement_or_a_list() -> None:
    alone = json.dumps({"Version": "2012-10-17", "Statement": ALLOW})
    assert parse_identity_policy(alone) == parse_identity_policy(document(ALLOW))
    statement = parse_identity_policy(alone).statements[0]
    assert (statement.allows, statement.actions, statement.resources) == (True, ("s3:GetObject",), ("*",))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "This policy contains invalid Json"),
        ("{", "This policy contains invalid Json"),
        ("[" * 100_000, "This policy contains invalid Json"),
        ("[]", "Syntax errors in policy."),
        ('{"Version": "2012-10-17"}', "Syntax errors in policy."),
        (document(), "Syntax errors in policy."),
        (document("x"), "Syntax errors in policy."),
        (document(ALLOW, Version="2020-01-01"), "Syntax errors in policy."),
        (document(ALLOW, Extra=1), "Syntax errors in policy."),
        (document(ALLOW | {"Effect": "allow"}), "Syntax errors in policy."),
        (document(ALLOW | {"Action": [1]}), "Syntax errors in policy."),
        (document(ALLOW | {"Condition": []}), "Syntax errors in policy."),
        (document(ALLOW | {"Principal": "*"}), "Policy document should not specify a principal."),
        (document({"Effect": "Allow", "Action": "s3:*"}), "Policy statement must contain resources."),
        (document({"Effect": "Allow", "Resource": "*"}), "Policy statement must contain actions."),
        (document(ALLOW | {"Resource": "bucket"}), 'Resource bucket must be in ARN format or "*".'),
        (
            document(ALLOW | {"Resource": "arn:${PARTITION}:s3:::b"}),
            'Partition "${PARTITION}" is not valid for resource "arn:${PARTITION}:s3:::b".',
        ),
        (
            document(ALLOW | {"Resource": "arn:aws:*:us-east-1:1:b"}),
            "Resource vendor must be fully qualified and cannot contain regexes.",
        ),
        (
            document(ALLOW | {"Resource": "arn:aws:iam:us-east-1:1:user/a"}),
            "IAM resource arn:aws:iam:us-east-1:1:user/a cannot contain region information.",
        ),
        (
            document(ALLOW | {"Action": "GetObject"}),
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
        ),
        (
            document(ALLOW | {"Sid": "a"}, ALLOW | {"Sid": "a"}),
            "Statement IDs (SID) in a single policy must be unique.",
        ),
        *(
            (
                document(ALLOW | {"Sid": sid}),
                "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression "
                "[0-9A-Za-z]*",
            )
            for sid in ("a b", "a-b", "\ud800", "\u0661")
        ),
        (
            json.dumps({"Statement": [ALLOW]}),
            "Policy document must be version 2012-10-17 or greater.",
        ),
    ],
)
def test_malformed_identity_policies(text: str, sentence: str) -> None:
    with pytest.raises(MalformedPolicyError) as caught:
        parse_identity_policy(text)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (document(TRUST | {"Resource": "*"}), "Has prohibited field Resource"),
        (document({"Effect": "Allow", "Action": "sts:AssumeRole"}), "Missing required field Principal"),
        (document(TRUST | {"Principal": {}}), "Missing required field Principal cannot be empty!"),
        (document(TRUST | {"Principal": {"AWS": []}}), "Missing required field Principal cannot be empty!"),
        (document(TRUST | {"Action": "s3:Get"}), "AssumeRole policy may only specify STS AssumeRole actions."),
        (document(TRUST | {"Principal": {"Who": "x"}}), "Syntax errors in policy."),
    ],
)
def test_malformed_trust_policies(text: str, sentence: str) -> None:
    with pytest.raises(MalformedPolicyError) as caught:
        parse_trust_policy(text)
    assert str(caught.value) == sentence
