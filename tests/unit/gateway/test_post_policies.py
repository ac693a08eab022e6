"""What a signed policy lets a posted form be."""

import json
from base64 import b64encode
from typing import Any

import pytest

from cosset.gateway.post_policies import check_policy
from cosset.wire.errors import ServiceError

NOW_MS = 1_763_700_000_000
LATER = "2030-01-01T00:00:00.000Z"
FIELDS = {
    "bucket": "b",
    "key": "user/eric/photo",
    "content-type": "image/jpeg,image/png",
    "policy": "",
    "x-ignore-me": "1",
}


def encoded(*conditions: Any, expiration: Any = LATER) -> str:
    return b64encode(json.dumps({"expiration": expiration, "conditions": list(conditions)}).encode()).decode()


EVERYTHING = ({"bucket": "b"}, ["starts-with", "$key", "user/eric/"], ["STARTS-WITH", "$Content-Type", "image/"])


def test_a_form_that_keeps_to_it() -> None:
    sizes = check_policy(encoded(*EVERYTHING, ["content-length-range", "1", 10]), FIELDS, NOW_MS)
    assert (sizes.least, sizes.most) == (1, 10)


@pytest.mark.parametrize(
    ("policy", "code", "sentence"),
    [
        (encoded(*EVERYTHING, expiration="2020-01-01T00:00:00Z"), "AccessDenied", "Policy expired."),
        (encoded(*EVERYTHING[1:]), "AccessDenied", "Extra input fields: bucket"),
        (encoded(*EVERYTHING[:2]), "AccessDenied", "Extra input fields: content-type"),
        (
            encoded(*EVERYTHING, {"acl": "private"}),
            "AccessDenied",
            'Policy Condition failed: ["eq", "$acl", "private"]',
        ),
        (encoded(*EVERYTHING, ["eq", "key", "x"]), "AccessDenied", 'Policy Condition failed: ["eq", "key", "x"]'),
        (encoded(*EVERYTHING, ["like", "$key", "u"]), "AccessDenied", 'Policy Condition failed: ["like", "$key", "u"]'),
        (encoded(["content-length-range", "test", 10]), "AccessDenied", '["content-length-range", "test", "10"]'),
        (encoded({}), "InvalidPolicyDocument", "Simple-Conditions must have exactly one property specified."),
        (encoded(["content-length-range", 1]), "InvalidPolicyDocument", "Invalid JSON."),
        (encoded(expiration="2030-01-01 00:00:00+00:00"), "InvalidPolicyDocument", "Invalid 'expiration' value"),
        (encoded(expiration=None), "InvalidPolicyDocument", "Policy missing expiration."),
        ("%%%", "InvalidPolicyDocument", "Invalid JSON."),
        (b64encode(b"[" * 100_000).decode(), "InvalidPolicyDocument", "Invalid JSON."),
    ],
)
def test_what_is_refused(policy: str, code: str, sentence: str) -> None:
    with pytest.raises(ServiceError) as caught:
        check_policy(policy, FIELDS, NOW_MS)
    assert (caught.value.code, sentence in caught.value.message) == (code, True), caught.value.message
