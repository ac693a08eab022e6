"""Every call decided: sources asked once, decisions kept and dropped, refusals in AWS's words, audit."""

import asyncio
import json
import logging
from dataclasses import replace
from typing import Any

import pytest

from cosset.identity.authorizer import PolicyAuthorizer
from cosset.identity.evaluation.context import CallContext
from cosset.identity.policy_sources import HeldPolicies, PolicyText, ResourceFacts, tag_context
from cosset.identity.ports import Requirement
from cosset.identity.principal import Principal, PrincipalKind
from cosset.wire.errors import ServiceError
from support.clock import ManualClock

ACCOUNT, OTHER = "111111111111", "222222222222"
USER = Principal(PrincipalKind.USER, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/ada", "AIDA")
STRANGER = Principal(PrincipalKind.USER, OTHER, f"arn:aws:iam::{OTHER}:user/eve", "AIDE")
NOBODY = Principal(PrincipalKind.ANONYMOUS, "", "", "")
GREET = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:greet"
INVOKE = Requirement("lambda:InvokeFunction", GREET)
CALL = CallContext(0, source_ip="192.0.2.1")


def text(*statements: dict[str, Any]) -> PolicyText:
    return PolicyText("p", json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))


def allow(action: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": "*"} | more


class Sources:
    """Implements PolicySource and ResourceSource; counts the questions."""

    def __init__(self, held: HeldPolicies | None = None, facts: ResourceFacts | None = None) -> None:
        self.held = held or HeldPolicies()
        self.facts = facts
        self.asked = 0
        self.during: Any = None

    async def policies_of(self, principal: Principal) -> HeldPolicies:
        self.asked += 1
        held = self.held
        if self.during is not None:
            self.during()
        await asyncio.sleep(0)
        return held

    async def facts_of(self, action: str, resource: str) -> ResourceFacts | None:
        return self.facts


def make(sources: Sources, *, audit: bool = False) -> PolicyAuthorizer:
    return PolicyAuthorizer(sources, {"lambda": sources}, ManualClock(), audit=audit)


def ask(
    authorizer: PolicyAuthorizer, *requirements: Requirement, who: Principal = USER, call: CallContext | None = CALL
) -> ServiceError | None:
    try:
        asyncio.run(authorizer.authorize(who, requirements or (INVOKE,), call))
    except ServiceError as error:
        return error
    return None


def test_what_a_policy_allows_passes_and_the_rest_is_refused() -> None:
    authorizer = make(Sources(HeldPolicies((text(allow("lambda:InvokeFunction")),))))
    assert ask(authorizer) is None
    refused = ask(authorizer, INVOKE, Requirement("lambda:GetFunction", GREET))
    assert refused is not None
    assert (refused.code, refused.status) == ("AccessDeniedException", 403)
    assert refused.message == (
        f"User: {USER.arn} is not authorized to perform: lambda:GetFunction on resource: {GREET} "
        "because no identity-based policy allows the lambda:GetFunction action"
    )


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
    refused = ask(make(Sources()), Requirement(action, "*"))
    assert refused is not None
    assert (refused.code, refused.status) == (code, status)


def test_the_service_that_is_asked_says_no_in_its_own_way() -> None:
    passing = Requirement("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/r")
    for service, code, status in (("lambda", "AccessDeniedException", 403), ("logs", "AccessDeniedException", 400)):
        refused = ask(make(Sources()), passing, call=replace(CALL, service=service))
        assert refused is not None
        assert (refused.code, refused.status) == (code, status)


def test_sts_does_not_say_why() -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/r"
    refused = ask(make(Sources()), Requirement("sts:AssumeRole", role))
    assert refused is not None
    assert refused.message == f"User: {USER.arn} is not authorized to perform: sts:AssumeRole on resource: {role}"


def test_who_needs_nothing_is_not_asked_about() -> None:
    sources = Sources()
    asyncio.run(make(sources).authorize(USER, ()))
    assert sources.asked == 0


def test_decisions_are_kept_until_something_changes() -> None:
    sources = Sources(HeldPolicies((text(allow()),)))
    authorizer = make(sources)
    for _ in range(3):
        assert ask(authorizer) is None
    assert sources.asked == 1
    sources.held = HeldPolicies()
    authorizer.forget("whatever")
    assert ask(authorizer) is not None
    assert ask(authorizer) is not None
    assert sources.asked == 2


def test_what_callers_carry_outlasts_a_change_of_resources() -> None:
    sources = Sources(HeldPolicies((text(allow()),)))
    authorizer = make(sources)
    assert ask(authorizer) is None
    sources.facts = ResourceFacts((text(allow(Effect="Deny", Principal="*")),))
    authorizer.forget_resources("whatever")
    assert ask(authorizer) is not None
    assert sources.asked == 1


def test_a_change_while_policies_are_read_is_not_missed() -> None:
    sources = Sources(HeldPolicies((text(allow()),)))
    authorizer = make(sources)

    def change() -> None:
        sources.held, sources.during = HeldPolicies(), None
        authorizer.forget("whatever")

    sources.during = change
    assert ask(authorizer) is None
    assert ask(authorizer) is not None


def test_the_keys_of_the_call_are_part_of_the_question() -> None:
    statement = allow(Condition={"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}})
    authorizer = make(Sources(HeldPolicies((text(statement),))))
    for _ in range(2):
        assert ask(authorizer) is None
        assert ask(authorizer, call=replace(CALL, source_ip="198.51.100.1")) is not None
        assert ask(authorizer, call=None) is not None


def test_the_time_of_day_is_looked_at_every_time() -> None:
    statement = allow(Condition={"DateLessThan": {"aws:CurrentTime": "1970-01-02T00:00:00Z"}})
    authorizer = make(Sources(HeldPolicies((text(statement),))))
    assert ask(authorizer, call=replace(CALL, now_ms=0)) is None
    assert ask(authorizer, call=replace(CALL, now_ms=86_400_000)) is not None


def test_what_the_operation_says_is_a_condition_key() -> None:
    statement = allow("iam:PassRole", Condition={"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}})
    authorizer = make(Sources(HeldPolicies((text(statement),))))
    role = f"arn:aws:iam::{ACCOUNT}:role/r"
    assert ask(authorizer, Requirement("iam:PassRole", role, {"iam:PassedToService": "lambda.amazonaws.com"})) is None
    assert ask(authorizer, Requirement("iam:PassRole", role, {"iam:PassedToService": "ec2.amazonaws.com"})) is not None
    assert ask(authorizer, Requirement("iam:PassRole", role)) is not None


def test_tags_of_the_caller_and_of_the_resource() -> None:
    statement = allow(Condition={"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}})
    facts = ResourceFacts(context=tag_context({"team": "blue"}))
    assert ask(make(Sources(HeldPolicies((text(statement),), tags={"team": "blue"}), facts))) is None
    assert ask(make(Sources(HeldPolicies((text(statement),), tags={"team": "red"}), facts))) is not None
    assert ask(make(Sources(HeldPolicies((text(statement),), tags={"team": "blue"})))) is not None


def test_boundaries_and_sessions() -> None:
    everything, nothing = text(allow()), text(allow("s3:*"))
    for held, layer in (
        (HeldPolicies((everything,), boundary=nothing), "permissions boundary"),
        (HeldPolicies((everything,), session=(nothing,)), "session policy"),
        (HeldPolicies((everything,), session=()), "session policy"),
    ):
        refused = ask(make(Sources(held)))
        assert refused is not None
        assert refused.message.endswith(f"because no {layer} allows the lambda:InvokeFunction action")
    assert ask(make(Sources(HeldPolicies((everything,), everything, (everything,))))) is None


def test_a_resource_of_another_account() -> None:
    sources = Sources(HeldPolicies((text(allow()),)))
    refused = ask(make(sources), who=STRANGER)
    assert refused is not None
    assert refused.message.endswith("because no resource-based policy allows the lambda:InvokeFunction action")
    sources.facts = ResourceFacts((text(allow("lambda:InvokeFunction", Principal={"AWS": OTHER})),))
    assert ask(make(sources), who=STRANGER) is None
    sources.held = HeldPolicies()
    assert ask(make(sources), who=STRANGER) is not None


def test_a_policy_that_cannot_be_read_denies(caplog: pytest.LogCaptureFixture) -> None:
    authorizer = make(Sources(HeldPolicies((text(allow()), PolicyText("arn:broken", "{")))))
    refused = ask(authorizer)
    assert refused is not None
    assert refused.message.endswith("with an explicit deny in an identity-based policy")
    assert "arn:broken" in caplog.text


def test_audit_lets_through_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    authorizer = make(Sources(), audit=True)
    for _ in range(3):
        assert ask(authorizer) is None
    assert len([each for each in caplog.records if "would have been denied" in each.message]) == 1
    assert "because no identity-based policy allows the lambda:InvokeFunction action" in caplog.text


def test_audit_is_for_the_account_s_own() -> None:
    for who in (STRANGER, NOBODY):
        assert ask(make(Sources(), audit=True), who=who) is not None
    role = Requirement("iam:PassRole", f"arn:aws:iam::{OTHER}:role/r")
    assert ask(make(Sources(), audit=True), role) is None
    assert ask(make(Sources(), audit=True), role, who=NOBODY) is not None
