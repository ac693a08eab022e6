"""The condition keys of a call, and decisions kept by them."""

from dataclasses import replace
from typing import Any

import pytest

from cosset.identity.evaluation.context import CallContext, RequestValues
from cosset.identity.evaluation.decision import Decision
from cosset.identity.evaluation.decision_cache import DecisionCache
from cosset.identity.principal import Principal, PrincipalKind, SessionGrant

ACCOUNT = "111111111111"
USER = Principal(PrincipalKind.USER, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/team/ada", "AIDAADA")
ROLE = Principal(
    PrincipalKind.ROLE,
    ACCOUNT,
    f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/s1",
    "AROAW:s1",
    role_arn=f"arn:aws:iam::{ACCOUNT}:role/worker",
    is_temporary=True,
)
ROOT = Principal(PrincipalKind.ROOT, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT)
SERVICE = Principal(PrincipalKind.SERVICE, "", "s3.amazonaws.com", "")
NOBODY = Principal(PrincipalKind.ANONYMOUS, "", "", "")
CALL = CallContext(
    now_ms=1_767_323_045_678,
    region="eu-west-1",
    source_ip="192.0.2.1",
    user_agent="aws-cli/2",
    referer="https://example.com/",
    is_secure=True,
)


def ask(caller: Principal, key: str, own: dict[str, Any] | None = None, call: CallContext = CALL) -> Any:
    found = RequestValues(caller, call, {"Team": "blue"}, own or {}).get(key.lower())
    return found[0] if found is not None and len(found) == 1 else found


@pytest.mark.parametrize(
    ("key", "user", "role", "root", "service", "nobody"),
    [
        ("aws:PrincipalArn", USER.arn, ROLE.role_arn, ROOT.arn, None, None),
        ("aws:PrincipalAccount", ACCOUNT, ACCOUNT, ACCOUNT, None, None),
        ("aws:PrincipalType", "User", "AssumedRole", "Account", None, "Anonymous"),
        ("aws:username", "ada", None, None, None, None),
        ("aws:userid", "AIDAADA", "AROAW:s1", ACCOUNT, None, "anonymous"),
        ("aws:PrincipalIsAWSService", "false", "false", "false", "true", "false"),
        ("aws:PrincipalServiceName", None, None, None, "s3.amazonaws.com", None),
        ("aws:MultiFactorAuthPresent", None, "false", None, None, None),
    ],
)
def test_what_is_known_of_the_caller(key: str, user: Any, role: Any, root: Any, service: Any, nobody: Any) -> None:
    assert [ask(each, key) for each in (USER, ROLE, ROOT, SERVICE, NOBODY)] == [user, role, root, service, nobody]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("aws:CurrentTime", "2026-01-02T03:04:05Z"),
        ("aws:EpochTime", "1767323045"),
        ("aws:SourceIp", "192.0.2.1"),
        ("aws:UserAgent", "aws-cli/2"),
        ("aws:Referer", "https://example.com/"),
        ("aws:SecureTransport", "true"),
        ("aws:RequestedRegion", "eu-west-1"),
        ("aws:ViaAWSService", "false"),
        ("aws:CalledViaFirst", None),
        ("aws:PrincipalTag/team", "blue"),
        ("aws:PrincipalTag/other", None),
        ("aws:PrincipalOrgID", None),
    ],
)
def test_what_is_known_of_the_call(key: str, value: str | None) -> None:
    assert ask(USER, key) == value


def test_what_services_do_for_a_caller_says_so() -> None:
    call = replace(CALL, via_service="cloudformation.amazonaws.com")
    assert ask(USER, "aws:ViaAWSService", call=call) == "true"
    assert ask(USER, "aws:CalledVia", call=call) == "cloudformation.amazonaws.com"


def test_what_an_operation_says() -> None:
    own = {"iam:PassedToService": "lambda.amazonaws.com", "aws:TagKeys": ["a", "b"], "aws:ResourceTag/Team": "red"}
    assert ask(USER, "iam:PassedToService", own) == "lambda.amazonaws.com"
    assert ask(USER, "aws:TagKeys", own) == ("a", "b")
    assert ask(USER, "aws:ResourceTag/team", own) == "red"


def test_what_a_session_says_of_itself() -> None:
    grant = SessionGrant(source_identity="alice", context=(("cognito-identity.amazonaws.com:sub", "me"),))
    session = replace(ROLE, session=grant, issued_at_ms=1_767_323_045_000)
    assert ask(session, "aws:SourceIdentity") == "alice"
    assert ask(session, "aws:TokenIssueTime") == "2026-01-02T03:04:05Z"
    assert ask(session, "cognito-identity.amazonaws.com:sub", {"cognito-identity.amazonaws.com:sub": "you"}) == "me"
    assert [ask(USER, key) for key in ("aws:SourceIdentity", "aws:TokenIssueTime")] == [None, None]
    lent = Principal(PrincipalKind.FEDERATED, ACCOUNT, "arn:aws:sts::1:federated-user/b", "1:b", lender_arn=USER.arn)
    assert [ask(lent, key) for key in ("aws:PrincipalType", "aws:username")] == ["FederatedUser", None]


def test_no_operation_says_who_calls() -> None:
    own = {"aws:username": "root", "aws:PrincipalTag/team": "red", "aws:SourceIp": "10.0.0.1"}
    assert [ask(ROLE, key, own) for key in own] == [None, "blue", "192.0.2.1"]


YES, NO = Decision(True), Decision(False)
QUESTION = (USER, "s3:GetObject", "*")


def test_decisions_are_kept_by_the_keys_that_matter() -> None:
    cache = DecisionCache()
    cache.keep(QUESTION, frozenset({"k"}), {"k": ("1",), "x": ("y",)}, YES, cache.generation)
    cache.keep(QUESTION, frozenset({"k"}), {}, NO, cache.generation)
    assert cache.find(QUESTION, {"k": ("1",)}) is YES
    assert cache.find(QUESTION, {}) is NO
    assert cache.find(QUESTION, {"k": ("2",)}) is None
    assert cache.find((ROLE, *QUESTION[1:]), {"k": ("1",)}) is None


def test_nothing_survives_a_change() -> None:
    cache = DecisionCache()
    before = cache.generation
    cache.keep(QUESTION, frozenset(), {}, YES, before)
    cache.drop()
    assert cache.find(QUESTION, {}) is None
    # Decided with policies that were read before the change.
    cache.keep(QUESTION, frozenset(), {}, YES, before)
    assert cache.find(QUESTION, {}) is None


def test_the_time_of_day_is_not_kept() -> None:
    cache = DecisionCache()
    cache.keep(QUESTION, frozenset({"aws:currenttime"}), {}, YES, cache.generation)
    assert cache.find(QUESTION, {}) is None


def test_what_callers_make_long_is_not_kept() -> None:
    cache = DecisionCache()
    long = "x" * 3_000
    cache.keep(QUESTION, frozenset({"k"}), {"k": (long,)}, YES, cache.generation)
    cache.keep((USER, "s3:GetObject", long), frozenset(), {}, YES, cache.generation)
    assert cache.find(QUESTION, {"k": (long,)}) is None
    assert cache.find((USER, "s3:GetObject", long), {}) is None
    # What policies do not ask for may be as long as it likes.
    cache.keep(QUESTION, frozenset(), {"k": (long,)}, YES, cache.generation)
    assert cache.find(QUESTION, {"k": (long,)}) is YES


def test_what_is_kept_is_bounded() -> None:
    cache = DecisionCache(limit=10)
    for at in range(100):
        cache.keep(QUESTION, frozenset({"k"}), {"k": (str(at),)}, YES, cache.generation)
        cache.keep((USER, "s3:GetObject", str(at)), frozenset(), {}, YES, cache.generation)
        assert sum(len(known.decisions) for known in cache._known.values()) <= 10
