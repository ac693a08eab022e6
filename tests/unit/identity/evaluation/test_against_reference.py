"""The evaluator and the reference evaluator answer alike, whatever the policies."""

import json
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from cosset.identity.evaluation.context import is_fixed
from cosset.identity.evaluation.decision import Layer
from cosset.identity.evaluation.decision_cache import DecisionCache
from cosset.identity.evaluation.evaluator import (
    AccessRequest,
    NamedPolicy,
    PrincipalPolicies,
    ResourcePolicies,
    evaluate,
    relevant_keys,
)
from cosset.identity.evaluation.policy import PolicyCompiler
from cosset.identity.principal import Principal, PrincipalKind
from support.reference_evaluator import NEGATED, Caller, Document, World, is_allowed

HERE, THERE = "111111111111", "222222222222"
USER = f"arn:aws:iam::{HERE}:user/ada"
ROLE = f"arn:aws:iam::{HERE}:role/worker"
FEDERATED = f"arn:aws:sts::{HERE}:federated-user/bob"
SESSION = f"arn:aws:sts::{HERE}:assumed-role/worker/s1"

CALLERS = [
    Caller("user", HERE, USER),
    Caller("role", HERE, SESSION, ROLE),
    Caller("federated", HERE, FEDERATED, USER),
    Caller("root", HERE, f"arn:aws:iam::{HERE}:root"),
    Caller("service", "", "s3.amazonaws.com"),
    Caller("anonymous", "", ""),
]
ACTIONS = ["s3:GetObject", "s3:PutObject", "sqs:SendMessage"]
ACTION_PATTERNS = [*ACTIONS, "*", "*", "s3:*", "s*", "s3:*", "S3:get*", "s3:?etObject", "*:*Message"]
RESOURCES = ["arn:aws:s3:::home/ada", "arn:aws:s3:::home/a*", f"arn:aws:sqs:eu-west-1:{HERE}:q:1", "*"]
RESOURCE_PATTERNS = [
    *RESOURCES,
    *("*",) * 6,
    "arn:aws:s3:::home/*",
    "arn:aws:s3:::home/${aws:username}",
    "arn:aws:s3:::home/${aws:PrincipalTag/team, 'ada'}",
    "arn:aws:s3:::home/a${*}",
    "arn:aws:s?s",
    "arn:aws:sqs:*",
    f"arn:aws:sqs:*:{HERE}:q*",
    "arn:aws:*:q:1",
]
PRINCIPALS: list[Any] = [
    "*",
    {"AWS": "*"},
    {"AWS": USER},
    {"AWS": ROLE},
    {"AWS": [SESSION, USER]},
    {"AWS": [HERE, USER, FEDERATED]},
    {"AWS": FEDERATED},
    {"AWS": [HERE, SESSION]},
    {"AWS": [f"arn:aws:iam::{HERE}:root", ROLE, SESSION]},
    {"AWS": [THERE]},
    {"Service": "s3.amazonaws.com"},
    {"Service": ["sns.amazonaws.com"], "AWS": USER},
]
KEYS = ["aws:username", "aws:PrincipalTag/team", "aws:TagKeys", "aws:SourceIp", "aws:x"]
VALUES = [
    *("ada", "Ada", "a*", "red", "", "1", "2.5", "true", "false", "10.0.0.7", "192.0.2.1", "::1", "YQ=="),
    *("2026-01-02T03:04:05Z", "arn:aws:s3:::home/ada", ROLE),
]
TEXTS = ["ada", "ADA", "a*", "?d*", "${aws:username}", "${aws:x, 'red'}", "${*}", "*", "red", "", "${", "a${}b"]
OPERANDS: dict[str, list[str]] = {
    **{f"String{name}": TEXTS for name in ("Equals", "EqualsIgnoreCase", "Like")},
    **{f"Arn{name}": ["arn:aws:s3:::home/*", "arn:aws:*:*:*:*", "*", ROLE, "arn:*"] for name in ("Equals", "Like")},
    **{
        f"{kind}{name}": values
        for kind, values in (
            ("Numeric", ["1", "2.5", "-3"]),
            ("Date", ["2026-01-02T03:04:05Z", "2026-01-02", "1767323045"]),
        )
        for name in ("Equals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
    },
    "Bool": ["true", "false"],
    "BinaryEquals": ["YQ==", "YWI="],
    "IpAddress": ["10.0.0.0/8", "192.0.2.1", "::/0", "10.0.0.7/32"],
    "Null": ["true", "false"],
}
for negated, base in NEGATED.items():
    OPERANDS[negated] = OPERANDS[base]


def some(values: list[Any]) -> st.SearchStrategy[Any]:
    """One of them, or a list of a few."""
    return st.one_of(st.sampled_from(values), st.lists(st.sampled_from(values), min_size=1, max_size=3))


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(st.sampled_from(sorted(OPERANDS)))
    operator = name
    if name != "Null":
        operator = draw(st.sampled_from(["", "ForAnyValue:", "ForAllValues:"])) + name
        operator += draw(st.sampled_from(["", "IfExists"]))
    return {operator: {draw(st.sampled_from(KEYS)): draw(some(OPERANDS[name]))}}


@st.composite
def statements(draw: st.DrawFn, *, on_resource: bool) -> dict[str, Any]:
    statement: dict[str, Any] = {"Effect": draw(st.sampled_from(["Allow", "Allow", "Allow", "Deny"]))}
    statement[draw(st.sampled_from(["Action", "Action", "NotAction"]))] = draw(some(ACTION_PATTERNS))
    statement[draw(st.sampled_from(["Resource", "Resource", "NotResource"]))] = draw(some(RESOURCE_PATTERNS))
    if on_resource:
        statement[draw(st.sampled_from(["Principal", "Principal", "NotPrincipal"]))] = draw(st.sampled_from(PRINCIPALS))
    if draw(st.integers(0, 2)) == 0:
        statement["Condition"] = draw(conditions())
    return statement


def documents(*, on_resource: bool = False) -> st.SearchStrategy[Document]:
    return st.fixed_dictionaries(
        {
            "Version": st.sampled_from(["2012-10-17", "2012-10-17", "2008-10-17"]),
            "Statement": st.lists(statements(on_resource=on_resource), min_size=1, max_size=3),
        }
    )


WORLDS = st.builds(
    World,
    caller=st.sampled_from([*CALLERS, CALLERS[0], CALLERS[1], CALLERS[1]]),
    action=st.sampled_from(ACTIONS),
    resource=st.sampled_from(RESOURCES),
    resource_account=st.sampled_from([HERE, HERE, HERE, THERE]),
    context=st.dictionaries(
        st.sampled_from(KEYS), st.lists(st.sampled_from(VALUES), min_size=1, max_size=2), max_size=4
    ),
    identity=st.lists(documents(), max_size=2),
    boundary=st.none() | documents(),
    session=st.none() | st.lists(documents(), max_size=2),
    resource_policies=st.lists(documents(on_resource=True), max_size=2),
    resource_must_allow=st.booleans(),
)


def principal_of(caller: Caller) -> Principal:
    behind = {"lender_arn" if caller.kind == "federated" else "role_arn": caller.role_arn or None}
    return Principal(PrincipalKind(caller.kind), caller.account, caller.arn, "AIDX", **behind)


def ask(world: World) -> tuple[AccessRequest, PrincipalPolicies, ResourcePolicies]:
    """The same call, as the evaluator wants it."""
    compiler = PolicyCompiler()

    def named(documents: list[Document]) -> tuple[NamedPolicy, ...]:
        return tuple(NamedPolicy(str(at), compiler.compile(json.dumps(each))) for at, each in enumerate(documents))

    # Services, the root user and callers who are nobody have no policies of their own.
    has_own = world.caller.kind in ("user", "role", "federated")
    own = PrincipalPolicies(
        named(world.identity) if has_own else (),
        named([world.boundary])[0] if has_own and world.boundary is not None else None,
        named(world.session) if has_own and world.session is not None else None,
    )
    resource = ResourcePolicies(
        world.resource_account, named(world.resource_policies), world.resource_must_allow, Layer.RESOURCE
    )
    values = {key.lower(): tuple(values) for key, values in world.context.items()}
    return AccessRequest(principal_of(world.caller), world.action, world.resource, values), own, resource


def without_own(world: World) -> World:
    if world.caller.kind not in ("user", "role", "federated"):
        world.identity, world.boundary, world.session = [], None, None
    return world


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(WORLDS)
def test_the_two_evaluators_agree(world: World) -> None:
    world = without_own(world)
    decision = evaluate(*ask(world))
    assert decision.allowed is is_allowed(world)
    assert decision.allowed is (decision.layer is None)
    if decision.explicit:
        assert any(not each.allows and each.layer is decision.layer for each in decision.matched)
    event(f"{world.caller.kind}: {decision.layer}, {decision.explicit}")


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(WORLDS, st.dictionaries(st.sampled_from(KEYS), st.lists(st.sampled_from(VALUES), min_size=1, max_size=2)))
def test_a_kept_decision_is_the_decision(world: World, other: dict[str, list[str]]) -> None:
    """The keys that are said to matter are all that matter: a second call is never answered with another's decision."""
    cache = DecisionCache()
    request, own, resource = ask(world)
    question = (request.principal, request.action, request.resource)
    keys = relevant_keys(own, resource, request.action)
    cache.keep(question, keys, request.values, evaluate(request, own, resource), cache.generation)
    # A caller's own keys do not change while it is the same caller.
    again = {key.lower(): tuple(values) for key, values in other.items() if not is_fixed(key.lower())}
    again |= {key.lower(): tuple(values) for key, values in world.context.items() if is_fixed(key.lower())}
    kept = cache.find(question, again)
    if kept is not None:
        second = AccessRequest(request.principal, request.action, request.resource, again)
        assert kept.allowed is evaluate(second, own, resource).allowed
