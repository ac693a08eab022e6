"""Every operation says what IAM must allow; those that need nothing are the few that AWS lets everyone call."""

from collections.abc import Callable
from inspect import signature
from typing import Any
from unittest.mock import MagicMock

import pytest

from cosset.identity.principal import Principal, PrincipalKind
from cosset.services.cloudwatch.service import cloudwatch_service
from cosset.services.iam.service import iam_service
from cosset.services.installation.service import installation_service
from cosset.services.lambda_.service import lambda_service
from cosset.services.logs.service import logs_service
from cosset.services.operation import Service, no_requirements
from cosset.services.sts.service import sts_service

# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecuritytokenservice.html: who calls these
# proves by the call itself who it is, or asks about itself.
OPEN = {
    "sts": {"GetCallerIdentity", "GetSessionToken", "AssumeRoleWithWebIdentity"},
    "iam": set[str](),
    "lambda": set[str](),
    "logs": set[str](),
    "cloudwatch": set[str](),
    "cosset": set[str](),
}


def make(maker: Callable[..., Service]) -> Service:
    """The service over nothing: only its table is looked at."""
    needed = [each for each in signature(maker).parameters.values() if each.default is each.empty]
    return maker(*(MagicMock() for _ in needed))


@pytest.mark.parametrize(
    "maker",
    [iam_service, sts_service, logs_service, lambda_service, installation_service, cloudwatch_service],
)
def test_only_what_everyone_may_needs_nothing(maker: Callable[..., Service]) -> None:
    service = make(maker)
    needing_nothing = {name for name, each in service.operations.items() if each.requirements is no_requirements}
    assert needing_nothing == OPEN[service.name]


@pytest.mark.parametrize(
    ("operation", "params", "called"),
    [
        ("GetRole", {"RoleName": "worker"}, "role worker"),
        ("DeleteUser", {"UserName": "ann"}, "user ann"),
        ("UpdateGroup", {"GroupName": "team"}, "group team"),
        ("GetInstanceProfile", {"InstanceProfileName": "p"}, "instance profile p"),
        ("GetPolicy", {"PolicyArn": "arn:aws:iam::aws:policy/P"}, "policy arn:aws:iam::aws:policy/P"),
        ("CreateRole", {"RoleName": "worker"}, ""),
        ("ListRoles", {}, ""),
    ],
)
def test_iam_calls_what_there_is_by_its_kind(operation: str, params: dict[str, Any], called: str) -> None:
    """AWS: `iam:GetRole on resource: role worker`, but `iam:CreateRole on resource: arn:aws:iam::...:role/worker`."""
    caller = Principal(PrincipalKind.USER, "111111111111", "arn:aws:iam::111111111111:user/ann", "AIDA")
    requirements = make(iam_service).operations[operation].requirements
    needed = requirements(MagicMock(account="111111111111", principal=caller), params)
    assert [each.called for each in needed] == [called]
