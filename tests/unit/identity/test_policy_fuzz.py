"""Whatever is given as a policy is read or refused, and never anything else."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cosset.identity.matching import matches
from cosset.identity.policy_document import MalformedPolicyError, parse_identity_policy, parse_trust_policy
from cosset.identity.trust import trusts_service

FIELDS = st.sampled_from(
    [
        "Version",
        "Statement",
        "Effect",
        "Action",
        "NotAction",
        "Principal",
        "NotPrincipal",
        "Resource",
        "Condition",
        "Sid",
    ]
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=5),
    st.sampled_from(["Allow", "Deny", "*", "sts:*", "sts:AssumeRole", "2012-10-17", "lambda.amazonaws.com", "arn:x"]),
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS | st.text(max_size=4), inner, max_size=5),
    max_leaves=15,
)
STATEMENTS = st.dictionaries(FIELDS, JSON, max_size=6).map(lambda fields: {"Effect": "Allow", **fields})
DOCUMENTS = JSON | STATEMENTS.map(lambda statement: {"Version": "2012-10-17", "Statement": statement})


@given(DOCUMENTS)
@settings(max_examples=200, deadline=None)
def test_any_json_is_read_or_refused(document: Any) -> None:
    text = json.dumps(document)
    with suppress(MalformedPolicyError):
        parse_identity_policy(text)
    with suppress(MalformedPolicyError):
        parse_trust_policy(text)
        trusts_service(text, "arn:aws:iam::111111111111:role/r", "lambda.amazonaws.com", 0)


@given(st.text(max_size=30))
@settings(max_examples=100, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(MalformedPolicyError):
        parse_identity_policy(text)


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
@settings(max_examples=300, deadline=None)
def test_wildcards_mean_what_they_say(pattern: str, value: str) -> None:
    """Against the definition, written out."""

    def means(pattern: str, value: str) -> bool:
        if not pattern:
            return not value
        if pattern[0] == "*":
            return means(pattern[1:], value) or (bool(value) and means(pattern, value[1:]))
        return bool(value) and pattern[0] in ("?", value[0]) and means(pattern[1:], value[1:])

    assert matches(value, pattern) is means(pattern, value)
