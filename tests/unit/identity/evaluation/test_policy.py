"""Documents compiled: which are refused, that no text whatever crashes, and that what is kept is bounded."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosset.identity.evaluation.evaluator import (
    AccessRequest,
    NamedPolicy,
    PrincipalPolicies,
    ResourcePolicies,
    evaluate,
)
from cosset.identity.evaluation.policy import PolicyCompiler
from cosset.identity.evaluation.templates import make_matcher, parse_template, split_template
from cosset.identity.policy_document import MalformedPolicyError, PolicyDocument, parse_policy
from cosset.identity.principal import Principal, PrincipalKind
from support.reference_evaluator import _glob as plain_glob

USER = Principal(PrincipalKind.USER, "1" * 12, "arn:aws:iam::111111111111:user/ada", "AIDA")
REQUEST = AccessRequest(USER, "s3:GetObject", "arn:aws:s3:::b/k", {"aws:username": ("ada",)})

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
WORDS = st.sampled_from(
    [
        *("Version", "Statement", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "AWS"),
        *("NotPrincipal", "Condition", "Sid", "Allow", "Deny", "*", "s3:*", "2012-10-17", "StringEquals", "Null"),
        *("ForAnyValue:StringLike", "IpAddress", "aws:username", "${aws:username}", "arn:aws:s3:::*", "${", "true"),
    ]
)
JSON = st.recursive(
    SCALARS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=5),
    max_leaves=12,
)
ELEMENTS = ("Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal", "Condition", "Sid")
STATEMENTS = st.fixed_dictionaries(
    {"Effect": st.sampled_from(["Allow", "Deny"])}, optional=dict.fromkeys(ELEMENTS, JSON)
)
DOCUMENTS = st.fixed_dictionaries(
    {"Statement": st.one_of(STATEMENTS, st.lists(STATEMENTS, max_size=2), JSON)},
    optional={"Version": st.sampled_from(["2012-10-17", "2008-10-17"]) | JSON},
)


@settings(max_examples=300, deadline=None)
@given(DOCUMENTS | JSON)
def test_whatever_is_given_is_a_policy_or_malformed(document: Any) -> None:
    """Nothing else is ever raised, at writing or at asking."""
    try:
        compiled = PolicyCompiler().compile(json.dumps(document))
    except MalformedPolicyError:
        return
    named = (NamedPolicy("p", compiled),)
    evaluate(REQUEST, PrincipalPolicies(named, named[0], named), ResourcePolicies(USER.account, named))


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda data: data.decode("latin-1")))
def test_texts_that_are_no_json(text: str) -> None:
    try:
        PolicyCompiler().compile(text)
    except MalformedPolicyError:
        return
    json.loads(text)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"Statement":' * 20_000, "9" * 10_000, "\ud800", '{"a":1', "null"])
def test_texts_that_are_made_to_hurt(text: str) -> None:
    with pytest.raises(MalformedPolicyError):
        PolicyCompiler().compile(text)


def test_a_condition_that_is_none_is_malformed() -> None:
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"StringEqual": {"k": "v"}}}
    with pytest.raises(MalformedPolicyError, match="Syntax errors in policy"):
        PolicyCompiler().compile(json.dumps({"Version": "2012-10-17", "Statement": statement}))


def test_compiled_policies_are_kept_and_bounded() -> None:
    compiler = PolicyCompiler(limit=2)
    texts = [
        json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": f"s3:{at}", "Resource": "*"}]})
        for at in range(3)
    ]
    first = compiler.compile(texts[0])
    compiler.compile(texts[1])
    assert compiler.compile(texts[0]) is first
    compiler.compile(texts[2])
    assert compiler.compile(texts[0]) is first
    assert len(compiler._kept) == 2


def test_what_compiled_policies_take_together_is_bounded() -> None:
    parsed: list[str] = []

    def parse(text: str) -> PolicyDocument:
        parsed.append(text)
        return parse_policy(text)

    def text(number: int) -> str:
        statement = {"Sid": f"{number:0100}", "Effect": "Allow", "Action": "*", "Resource": "*"}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    compiler = PolicyCompiler(limit_chars=3 * len(text(0)), parse=parse)
    for number in (0, 1, 2, 0, 3, 0, 1):
        compiler.compile(text(number))
    assert parsed == [text(0), text(1), text(2), text(3), text(1)]
    tiny = PolicyCompiler(limit_chars=1, parse=parse)
    assert tiny.compile(text(0)) is tiny.compile(text(0))


def test_only_statements_about_an_action_say_which_keys_matter() -> None:
    statements = [
        {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::${aws:username}"},
        {"Effect": "Allow", "Action": "sqs:*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}},
        {"Effect": "Deny", "NotAction": "s3:*", "Resource": "*", "Condition": {"StringLike": {"K": "${aws:X}"}}},
    ]
    policy = PolicyCompiler().compile(json.dumps({"Version": "2012-10-17", "Statement": statements}))
    assert policy.keys_for("s3:GetObject") == {"aws:username"}
    assert policy.keys_for("sqs:SendMessage") == {"aws:securetransport", "k", "aws:x"}
    assert policy.keys_for("ec2:RunInstances") == {"k", "aws:x"}


@settings(max_examples=500, deadline=None)
@given(st.text("ab:*?", max_size=8), st.text("ab*?.[\n", max_size=8))
def test_patterns_match_as_the_plain_matcher_says(pattern: str, value: str) -> None:
    resolved = parse_template(pattern, variables=True).resolve({})
    assert resolved is not None
    assert make_matcher(resolved)(value) is plain_glob(value, list(pattern))


def test_templates_split_at_their_own_separators() -> None:
    template = parse_template("a:${k, 'x:y'}:b:c:d", variables=True)
    parts = [part.resolve({"k": ("1:2",)}) for part in split_template(template, ":", 4)]
    assert parts == [("a",), ("1:2",), ("b",), ("c:d",)]
    assert template.keys == {"k"}
