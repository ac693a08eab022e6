"""The rule until the evaluator exists, and the words of its refusals."""

import asyncio
from dataclasses import replace

import pytest

from cosset.identity.authorizer import MinimumAuthorizer
from cosset.identity.ports import Requirement
from cosset.identity.principal import Principal, PrincipalKind
from cosset.wire.errors import ServiceError

ACCOUNT = "111111111111"
USER = Principal(PrincipalKind.USER, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/ada", "AIDA")
ADMINISTRATOR = replace(USER, is_administrator=True)
SESSION = Principal(PrincipalKind.ROLE, ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/r/s", "AROA:s")
INVOKE = Requirement("lambda:InvokeFunction", f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:greet")


def decide(principal: Principal, *requirements: Requirement, audit: bool = False) -> ServiceError | None:
    try:
        asyncio.run(MinimumAuthorizer(audit=audit).authorize(principal, requirements))
    except ServiceError as error:
        return error
    return None


def test_administrators_may_do_everything_in_their_account() -> None:
    for resource in (INVOKE.resource, "*", "arn:aws:s3:::bucket", "arn:aws:iam::aws:policy/AdministratorAccess"):
        assert decide(ADMINISTRATOR, Requirement("x:Y", resource)) is None


def test_administrators_may_do_nothing_in_another_account() -> None:
    error = decide(ADMINISTRATOR, Requirement("lambda:GetFunction", INVOKE.resource.replace(ACCOUNT, "222222222222")))
    assert error is not None
    assert error.message.endswith("because no resource-based policy allows the lambda:GetFunction action")


def test_everyone_else_may_do_only_what_needs_nothing() -> None:
    for principal in (USER, SESSION):
        assert decide(principal) is None
        error = decide(principal, INVOKE)
        assert error is not None
        assert (error.code, error.status) == ("AccessDeniedException", 403)
        assert error.message == (
            f"User: {principal.arn} is not authorized to perform: lambda:InvokeFunction on resource: {INVOKE.resource} "
            "because no identity-based policy allows the lambda:InvokeFunction action"
        )


def test_the_first_that_is_not_allowed_is_named() -> None:
    foreign = Requirement("iam:PassRole", "arn:aws:iam::222222222222:role/r")
    error = decide(ADMINISTRATOR, INVOKE, foreign)
    assert error is not None
    assert "iam:PassRole" in error.message


@pytest.mark.parametrize(
    ("action", "code", "status"),
    [
        ("iam:GetRole", "AccessDenied", 403),
        ("sts:AssumeRole", "AccessDenied", 403),
        ("logs:GetLogEvents", "AccessDeniedException", 400),
        ("lambda:GetFunction", "AccessDeniedException", 403),
        ("sns:Publish", "AuthorizationError", 403),
    ],
)
def test_each_service_has_its_own_code(action: str, code: str, status: int) -> None:
    error = decide(USER, Requirement(action, "*"))
    assert error is not None
    assert (error.code, error.status) == (code, status)


def test_audit_lets_through_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    authorizer = MinimumAuthorizer(audit=True)
    for _ in range(3):
        asyncio.run(authorizer.authorize(SESSION, [INVOKE]))
    assert caplog.text.count("would have been denied: User: ") == 1


def test_audit_does_not_open_other_accounts_or_let_in_nobody() -> None:
    foreign = Requirement("lambda:GetFunction", INVOKE.resource.replace(ACCOUNT, "222222222222"))
    assert decide(ADMINISTRATOR, foreign, audit=True) is not None
    nobody = Principal(PrincipalKind.ANONYMOUS, ACCOUNT, "anonymous", "anonymous")
    assert decide(nobody, INVOKE, audit=True) is not None


def test_audit_lets_any_role_be_passed() -> None:
    foreign = Requirement("iam:PassRole", "arn:aws:iam::222222222222:role/r")
    assert decide(ADMINISTRATOR, foreign, audit=True) is None
    assert decide(ADMINISTRATOR, foreign) is not None
