"""Whom trust policies let in."""

import json
from typing import Any

import pytest

from cosset.identity.policy_document import parse_trust_policy
from cosset.identity.principal import Principal, PrincipalKind
from cosset.identity.trust import trusts_principal, trusts_service

ACCOUNT = "111111111111"
ALL_BUT_LAMBDA = {"Effect": "Deny", "NotPrincipal": {"Service": "lambda.amazonaws.com"}, "Action": "*"}
ALL_BUT_X = {"Effect": "Deny", "NotPrincipal": {"AWS": "x"}, "Action": "*"}
USER = Principal(PrincipalKind.USER, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/ada", "AIDA")
SESSION = Principal(
    PrincipalKind.ROLE,
    ACCOUNT,
    f"arn:aws:sts::{ACCOUNT}:assumed-role/r/s",
    "AROA:s",
    role_arn=f"arn:aws:iam::{ACCOUNT}:role/r",
)
LAMBDA = "lambda.amazonaws.com"


def statement(principal: Any, effect: str = "Allow", action: Any = "sts:AssumeRole", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Principal": principal, "Action": action, **more}


def policy(*statements: dict[str, Any]) -> Any:
    return parse_trust_policy(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))


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
        ([statement({"Service": LAMBDA}), statement({"AWS": "*"}, effect="Deny")], True),
        # A condition is never met, and never spares from a denial.
        ([statement({"Service": LAMBDA}, Condition={"StringEquals": {"a": "b"}})], False),
        (
            [
                statement({"Service": LAMBDA}),
                statement({"Service": LAMBDA}, effect="Deny", Condition={"StringEquals": {"a": "b"}}),
            ],
            False,
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
    assert trusts_service(policy(*statements), LAMBDA) is expected


@pytest.mark.parametrize(
    ("principal", "named", "expected"),
    [
        (USER, {"AWS": ACCOUNT}, True),
        (USER, {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, True),
        (USER, {"AWS": USER.arn}, True),
        (USER, {"AWS": "*"}, True),
        (USER, {"AWS": f"arn:aws:iam::{ACCOUNT}:user/grace"}, False),
        (USER, {"AWS": "222222222222"}, False),
        (USER, {"Service": LAMBDA}, False),
        (SESSION, {"AWS": SESSION.role_arn}, True),
        (SESSION, {"AWS": SESSION.arn}, True),
        (SESSION, {"AWS": f"arn:aws:iam::{ACCOUNT}:role/q"}, False),
    ],
)
def test_principals(principal: Principal, named: dict[str, Any], expected: bool) -> None:
    assert trusts_principal(policy(statement(named)), principal) is expected
