"""Which services trust policies let in."""

import json
from typing import Any

import pytest

from cosset.identity.trust import trusts_service

ACCOUNT = "111111111111"
ALL_BUT_LAMBDA = {"Effect": "Deny", "NotPrincipal": {"Service": "lambda.amazonaws.com"}, "Action": "*"}
ALL_BUT_X = {"Effect": "Deny", "NotPrincipal": {"AWS": "x"}, "Action": "*"}
ROLE = f"arn:aws:iam::{ACCOUNT}:role/r"
LAMBDA = "lambda.amazonaws.com"


def statement(principal: Any, effect: str = "Allow", action: Any = "sts:AssumeRole", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Principal": principal, "Action": action, **more}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([statement({"Service": LAMBDA})], True),
        ([statement({"Service": ["ec2.amazonaws.com", LAMBDA]})], True),
        ([statement({"Service": LAMBDA}, action=["sts:TagSession", "sts:assumerole"])], True),
        ([statement({"Service": LAMBDA}, action="sts:*")], True),
        ([statement("*")], True),
        ([statement({"Service": "ec2.amazonaws.com"})], False),
        ([statement({"AWS": ACCOUNT})], False),
        ([statement({"Service": LAMBDA}, action="sts:TagSession")], False),
        ([statement({"Service": LAMBDA}), statement({"Service": LAMBDA}, effect="Deny")], False),
        # AWS: `"*"` and `{"AWS": "*"}` are the same.
        ([statement({"Service": LAMBDA}), statement({"AWS": "*"}, effect="Deny")], False),
        ([statement({"Service": LAMBDA}, Condition={"StringEquals": {"a": "b"}})], False),
        (
            [
                statement({"Service": LAMBDA}),
                statement({"Service": LAMBDA}, effect="Deny", Condition={"StringEquals": {"a": "b"}}),
            ],
            True,
        ),
        (
            [statement({"Service": LAMBDA}), {"Effect": "Deny", "NotPrincipal": {"Service": LAMBDA}, "Action": "*"}],
            True,
        ),
        ([statement({"Service": LAMBDA}), ALL_BUT_X], False),
        ([{"Effect": "Allow", "NotPrincipal": {"AWS": "x"}, "Action": "sts:AssumeRole"}], False),
    ],
)
def test_services(statements: list[dict[str, Any]], expected: bool) -> None:
    assert trusts_service(policy(*statements), ROLE, LAMBDA, 0) is expected


def test_for_whom_a_service_works() -> None:
    """A trust policy may say for which function Lambda takes the role on."""
    function = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:greet"
    text = policy(statement({"Service": LAMBDA}, Condition={"ArnLike": {"aws:SourceArn": function}}))
    assert trusts_service(text, ROLE, LAMBDA, 0, {"aws:SourceArn": function})
    assert not trusts_service(text, ROLE, LAMBDA, 0, {"aws:SourceArn": f"{function}2"})
    assert not trusts_service(text, ROLE, LAMBDA, 0)


def test_a_policy_that_is_none_trusts_nobody() -> None:
    assert not trusts_service("{", ROLE, LAMBDA, 0)
