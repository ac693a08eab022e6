"""AWS's documented cases, one by one: both sides, boundaries, sessions, other accounts, services, and the sentences."""

import json
from dataclasses import replace
from typing import Any

import pytest

from cosset.identity.evaluation.decision import Decision, Layer
from cosset.identity.evaluation.evaluator import (
    AccessRequest,
    NamedPolicy,
    PrincipalPolicies,
    ResourcePolicies,
    evaluate,
)
from cosset.identity.evaluation.policy import DENY_EVERYTHING, PolicyCompiler
from cosset.identity.principal import Principal, PrincipalKind

HERE, THERE = "111111111111", "222222222222"
QUEUE = f"arn:aws:sqs:eu-west-1:{HERE}:jobs"
SEND = "sqs:SendMessage"
USER = Principal(PrincipalKind.USER, HERE, f"arn:aws:iam::{HERE}:user/ada", "AIDAADA")
ROLE_ARN = f"arn:aws:iam::{HERE}:role/path/worker"
SESSION = Principal(
    PrincipalKind.ROLE, HERE, f"arn:aws:sts::{HERE}:assumed-role/worker/s1", "AROAW:s1", role_arn=ROLE_ARN
)
ROOT = Principal(PrincipalKind.ROOT, HERE, f"arn:aws:iam::{HERE}:root", HERE)
S3 = Principal(PrincipalKind.SERVICE, "", "s3.amazonaws.com", "")
NOBODY = Principal(PrincipalKind.ANONYMOUS, "", "", "")
STRANGER = Principal(PrincipalKind.USER, THERE, f"arn:aws:iam::{THERE}:user/eve", "AIDAEVE")

ALLOW: dict[str, Any] = {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}
DENY = ALLOW | {"Effect": "Deny"}
OTHER = ALLOW | {"Action": "s3:*"}


def policy(*statements: dict[str, Any], version: str = "2012-10-17") -> NamedPolicy:
    text = json.dumps({"Version": version, "Statement": list(statements)})
    return NamedPolicy("p", PolicyCompiler().compile(text))


def decide(
    caller: Principal,
    *on_resource: dict[str, Any],
    identity: list[dict[str, Any]] | None = None,
    boundary: list[dict[str, Any]] | None = None,
    session: list[dict[str, Any]] | None = None,
    must_allow: bool = False,
    layer: Layer = Layer.RESOURCE,
    resource: str = QUEUE,
    action: str = SEND,
    values: dict[str, tuple[str, ...]] | None = None,
) -> Decision:
    own = PrincipalPolicies(
        (policy(*identity),) if identity is not None else (),
        policy(*boundary) if boundary is not None else None,
        (policy(*session),) if session is not None else None,
    )
    there = ResourcePolicies(HERE, (policy(*on_resource),) if on_resource else (), must_allow, layer)
    return evaluate(AccessRequest(caller, action, resource, values or {}), own, there)


def to(*names: str, effect: str = "Allow", kind: str = "AWS", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Principal": {kind: list(names)}, "Action": "sqs:*", "Resource": QUEUE, **more}


NOT_IDENTITY = "because no identity-based policy allows the sqs:SendMessage action"
NOT_RESOURCE = "because no resource-based policy allows the sqs:SendMessage action"
NOT_BOUNDARY = "because no permissions boundary allows the sqs:SendMessage action"
NOT_SESSION = "because no session policy allows the sqs:SendMessage action"


def reason(decision: Decision) -> str:
    return decision.reason(SEND)


def test_nothing_allows() -> None:
    for caller in (USER, SESSION):
        assert reason(decide(caller)) == NOT_IDENTITY
    for caller in (S3, NOBODY, STRANGER):
        assert reason(decide(caller, identity=None)) == NOT_RESOURCE
    assert decide(ROOT).allowed


def test_one_side_suffices_in_one_account() -> None:
    assert decide(USER, identity=[ALLOW]).allowed
    assert decide(USER, to(USER.arn)).allowed
    assert decide(SESSION, identity=[ALLOW]).allowed
    assert decide(SESSION, to(SESSION.arn)).allowed


def test_an_account_as_principal_delegates() -> None:
    for name in (HERE, f"arn:aws:iam::{HERE}:root"):
        assert reason(decide(USER, to(name))) == NOT_IDENTITY
        assert decide(USER, to(name), identity=[ALLOW]).allowed
        assert reason(decide(SESSION, to(name))) == NOT_IDENTITY
        assert decide(ROOT, to(name), must_allow=True).allowed


def test_unique_ids_name_users_and_roles() -> None:
    assert decide(USER, to("AIDAADA")).allowed
    assert decide(SESSION, to("AROAW")).allowed
    assert not decide(replace(USER, user_id="AIDANEW"), to("AIDAADA")).allowed


def test_the_reach_of_a_resource_policy_by_whom_it_names() -> None:
    """AWS's table of implicit denies: only what names the user, the session or everyone gets past the other layers."""
    nothing: dict[str, Any] = {"identity": [OTHER], "boundary": [OTHER], "session": [OTHER]}
    assert reason(decide(SESSION, to(ROLE_ARN), **nothing)) == NOT_BOUNDARY
    assert decide(SESSION, to(SESSION.arn), **nothing).allowed
    assert decide(SESSION, to("*"), **nothing).allowed
    assert decide(USER, to(USER.arn), identity=[OTHER], boundary=[OTHER]).allowed
    assert reason(decide(SESSION, to(ROLE_ARN), session=[OTHER])) == NOT_SESSION
    assert decide(SESSION, to(ROLE_ARN), boundary=[ALLOW], session=[ALLOW]).allowed


def test_the_farthest_reaching_statement_counts() -> None:
    grants = [to(HERE), to(ROLE_ARN), to(SESSION.arn)]
    for order in (grants, grants[::-1]):
        assert decide(SESSION, *order, boundary=[OTHER]).allowed
    for order in (grants[:2], grants[1::-1]):
        assert reason(decide(SESSION, *order, boundary=[OTHER])) == NOT_BOUNDARY
        assert decide(SESSION, *order).allowed


def test_boundaries_and_sessions_limit_and_grant_nothing() -> None:
    assert reason(decide(USER, boundary=[ALLOW])) == NOT_IDENTITY
    assert reason(decide(SESSION, session=[ALLOW])) == NOT_IDENTITY
    assert reason(decide(USER, identity=[ALLOW], boundary=[OTHER])) == NOT_BOUNDARY
    assert reason(decide(SESSION, identity=[ALLOW], session=[OTHER])) == NOT_SESSION
    assert decide(SESSION, identity=[ALLOW], boundary=[ALLOW], session=[ALLOW]).allowed


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        ({"identity": [ALLOW, DENY]}, "with an explicit deny in an identity-based policy"),
        ({"identity": [ALLOW], "boundary": [DENY]}, "with an explicit deny in a permissions boundary"),
        ({"identity": [ALLOW], "session": [ALLOW, DENY]}, "with an explicit deny in a session policy"),
    ],
)
def test_an_explicit_deny_of_the_caller_s_own(layers: dict[str, Any], sentence: str) -> None:
    for on_resource in ((), (to("*"),)):
        decision = decide(SESSION, *on_resource, **layers)
        assert reason(decision) == sentence
        assert decision.explicit


@pytest.mark.parametrize("caller", [USER, SESSION, ROOT])
def test_an_explicit_deny_on_the_resource(caller: Principal) -> None:
    for name in ("*", HERE, caller.role_arn or caller.arn):
        decision = decide(caller, to("*"), to(name, effect="Deny"), identity=[ALLOW])
        assert reason(decision) == "with an explicit deny in a resource-based policy"


def test_another_account_needs_both_sides() -> None:
    assert reason(decide(STRANGER, identity=[ALLOW])) == NOT_RESOURCE
    for name in (STRANGER.arn, THERE, "*"):
        assert reason(decide(STRANGER, to(name))) == NOT_IDENTITY
        assert decide(STRANGER, to(name), identity=[ALLOW]).allowed
    assert reason(decide(STRANGER, to(STRANGER.arn), identity=[ALLOW], boundary=[OTHER])) == NOT_BOUNDARY
    session = replace(SESSION, account=THERE)
    assert reason(decide(session, to(SESSION.arn), identity=[ALLOW], session=[OTHER])) == NOT_SESSION
    root = replace(ROOT, account=THERE, arn=f"arn:aws:iam::{THERE}:root")
    assert reason(decide(root)) == NOT_RESOURCE
    assert decide(root, to(THERE)).allowed


def test_the_names_of_another_account_are_not_ours() -> None:
    for name in (
        THERE,
        f"arn:aws:iam::{THERE}:root",
        STRANGER.arn,
        f"arn:aws:iam::{HERE}:user/*",
        "arn:aws:iam::*:root",
    ):
        assert not decide(USER, to(name)).allowed


def test_services() -> None:
    grant = to("s3.amazonaws.com", kind="Service")
    assert decide(S3, grant).allowed
    assert not decide(replace(S3, arn="sns.amazonaws.com"), grant).allowed
    assert not decide(USER, grant).allowed


def test_a_service_is_no_deputy_of_strangers() -> None:
    """The confused deputy: the service acts for whoever owns the bucket, so the grant says whose that must be."""
    grant = to(
        "s3.amazonaws.com",
        kind="Service",
        Condition={
            "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::mine"},
            "StringEquals": {"AWS:SourceAccount": HERE},
        },
    )
    mine = {"aws:sourcearn": ("arn:aws:s3:::mine",), "aws:sourceaccount": (HERE,)}
    assert decide(S3, grant, values=mine).allowed
    assert not decide(S3, grant, values=mine | {"aws:sourceaccount": (THERE,)}).allowed
    assert not decide(S3, grant, values=mine | {"aws:sourcearn": ("arn:aws:s3:::yours",)}).allowed
    assert not decide(S3, grant).allowed


def test_anonymous() -> None:
    for everyone in ("*", {"AWS": "*"}):
        assert decide(NOBODY, ALLOW | {"Principal": everyone}).allowed
    assert not decide(NOBODY, to(HERE)).allowed


def test_trust_policies_must_allow() -> None:
    role = {"action": "sts:AssumeRole", "resource": ROLE_ARN, "must_allow": True, "layer": Layer.TRUST}
    assume = {"Effect": "Allow", "Action": "sts:AssumeRole"}
    may: list[dict[str, Any]] = [assume | {"Resource": "*"}]
    refused = decide(USER, identity=may, **role)
    assert refused.reason("sts:AssumeRole") == "because no role trust policy allows the sts:AssumeRole action"
    trusts_account = assume | {"Principal": {"AWS": HERE}}
    assert not decide(USER, trusts_account, **role).allowed
    assert decide(USER, trusts_account, identity=may, **role).allowed
    assert decide(USER, assume | {"Principal": {"AWS": USER.arn}}, **role).allowed
    denied = decide(USER, assume | {"Effect": "Deny", "Principal": "*"}, identity=may, **role)
    assert denied.reason("sts:AssumeRole") == "with an explicit deny in the role trust policy"


def test_not_principal() -> None:
    """A Deny spares only who is listed with account, role and session."""

    def but(*names: str, effect: str = "Deny") -> dict[str, Any]:
        return {"Effect": effect, "NotPrincipal": {"AWS": list(names)}, "Action": "*", "Resource": "*"}

    assert decide(USER, but(HERE, USER.arn), identity=[ALLOW]).allowed
    assert not decide(USER, but(USER.arn), identity=[ALLOW]).allowed
    assert not decide(USER, but(HERE), identity=[ALLOW]).allowed
    assert decide(SESSION, but(HERE, ROLE_ARN, SESSION.arn), identity=[ALLOW]).allowed
    assert not decide(SESSION, but(HERE, ROLE_ARN), identity=[ALLOW]).allowed
    assert not decide(NOBODY, but(HERE), to("*")).allowed
    for caller in (USER, NOBODY):
        assert not decide(caller, but(THERE, effect="Allow")).allowed


def test_actions_ignore_case_and_resources_do_not() -> None:
    assert decide(USER, identity=[ALLOW | {"Action": "SQS:send*"}]).allowed
    assert decide(USER, identity=[ALLOW | {"Action": "*"}]).allowed
    assert not decide(USER, identity=[ALLOW | {"Action": "sqs:Send"}]).allowed
    assert not decide(USER, identity=[ALLOW | {"Resource": QUEUE.upper()}]).allowed


def test_not_action_and_not_resource() -> None:
    everything_but: dict[str, Any] = {"Effect": "Allow", "NotAction": "sqs:Send*", "Resource": "*"}
    assert not decide(USER, identity=[everything_but]).allowed
    assert decide(USER, identity=[everything_but | {"NotAction": ["iam:*", "s3:*"]}]).allowed
    elsewhere: dict[str, Any] = {"Effect": "Allow", "Action": "*", "NotResource": QUEUE}
    assert not decide(USER, identity=[elsewhere]).allowed
    assert decide(USER, identity=[elsewhere | {"NotResource": f"{QUEUE}2"}]).allowed


@pytest.mark.parametrize(
    ("pattern", "resource", "expected"),
    [
        ("arn:aws:s3:::b/*", "arn:aws:s3:::b/x/y", True),
        ("arn:aws:s3:::b/*", "arn:aws:s3:::b", False),
        ("arn:aws:s3:::b?", "arn:aws:s3:::b1", True),
        ("arn:aws:s3:::*/x", "arn:aws:s3:::b/y/x", True),
        ("arn:aws:lambda:*:*:function:f*", "arn:aws:lambda:us-east-1:1:function:f:1", True),
        # A star stays within its segment, except at the end of a pattern that stops short.
        ("arn:aws:lambda:*:function:f", "arn:aws:lambda:us-east-1:1:function:f", False),
        ("arn:aws:lambda:*", "arn:aws:lambda:us-east-1:1:function:f", True),
        ("arn:aws:sqs", QUEUE, True),
        ("arn:aws:sqs:eu-west-1", QUEUE, True),
        ("arn:aws:sqs:eu-west-2", QUEUE, False),
        ("arn:aws:lambda:us-east-1:1:function:f", "*", False),
        ("*", "*", True),
        ("arn:aws:*:*:*:*", "*", False),
        ("arn:aws:s3:::b", "arn:aws:s3", False),
    ],
)
def test_resources(pattern: str, resource: str, expected: bool) -> None:
    statement = {"Effect": "Allow", "Action": "*", "Resource": pattern}
    assert decide(USER, identity=[statement], resource=resource).allowed is expected


def test_variables_in_resources() -> None:
    home: dict[str, Any] = {"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::home/${aws:username}/*"}
    ada, mine = {"aws:username": ("ada",)}, "arn:aws:s3:::home/ada/x"
    assert decide(USER, identity=[home], resource=mine, values=ada).allowed
    assert not decide(USER, identity=[home], resource=mine, values={"aws:username": ("a*",)}).allowed
    assert not decide(USER, identity=[home], resource=mine).allowed
    assert not decide(USER, identity=[home], resource=mine, values={"aws:username": ("ada", "bob")}).allowed
    # A value brings no segments along: here it would have to shift into the resource.
    shifted = home | {"Resource": "arn:aws:s3:${aws:username}"}
    assert not decide(USER, identity=[shifted], resource=mine, values={"aws:username": ("::home/ada/x",)}).allowed


def test_variables_are_text_before_2012() -> None:
    home = {"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::home/${aws:username}"}
    own = PrincipalPolicies((policy(home, version="2008-10-17"),))
    for resource, expected in (("arn:aws:s3:::home/ada", False), ("arn:aws:s3:::home/${aws:username}", True)):
        request = AccessRequest(USER, SEND, resource, {"aws:username": ("ada",)})
        assert evaluate(request, own, ResourcePolicies(HERE)).allowed is expected


def test_what_is_excepted_by_a_variable_without_a_value() -> None:
    """NotResource turns round, so here the safe side is the other one: no Allow, and every Deny."""
    but_home: dict[str, Any] = {"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:sqs:*:*:${aws:username}"}
    assert not decide(USER, identity=[but_home]).allowed
    assert decide(USER, identity=[but_home], values={"aws:username": ("ada",)}).allowed
    assert not decide(USER, identity=[ALLOW, but_home | {"Effect": "Deny"}]).allowed

    # Also where the call names no resource, which no pattern could match.
    assert not decide(USER, identity=[but_home], resource="*").allowed


def test_web_identities_are_let_in_by_their_provider_only() -> None:
    provider = f"arn:aws:iam::{HERE}:oidc-provider/issuer.example"
    bearer = Principal(PrincipalKind.WEB_IDENTITY, "", provider, "")
    by_provider = {"Effect": "Allow", "Principal": {"Federated": provider}, "Action": "*", "Resource": "*"}
    assert decide(bearer, by_provider).allowed
    for other in (to("*"), to(HERE), to(provider), by_provider | {"Principal": {"Federated": f"{provider}2"}}):
        assert not decide(bearer, other).allowed
    assert not decide(bearer, by_provider, to("*", effect="Deny")).allowed


def test_a_statement_on_a_resource_that_names_nobody_is_about_nobody() -> None:
    assert not decide(USER, ALLOW).allowed
    assert decide(USER, DENY, identity=[ALLOW]).allowed


def test_a_decision_names_the_statements_that_matched() -> None:
    decision = decide(USER, to("*"), identity=[OTHER, ALLOW, DENY])
    assert [(each.layer, each.sid, each.allows) for each in decision.matched] == [
        (Layer.IDENTITY, "2", True),
        (Layer.IDENTITY, "3", False),
        (Layer.RESOURCE, "1", True),
    ]


def test_a_document_that_cannot_be_read_denies() -> None:
    own = PrincipalPolicies((policy(ALLOW), NamedPolicy("unreadable", DENY_EVERYTHING)))
    decision = evaluate(AccessRequest(USER, SEND, QUEUE, {}), own, ResourcePolicies(HERE))
    assert decision.explicit
    there = ResourcePolicies(HERE, (NamedPolicy("unreadable", DENY_EVERYTHING),))
    for caller in (USER, S3, NOBODY):
        assert not evaluate(AccessRequest(caller, SEND, QUEUE, {}), PrincipalPolicies((policy(ALLOW),)), there).allowed
