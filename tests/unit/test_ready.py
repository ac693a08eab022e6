"""What a node tells its owner arrives whole, or not at all."""

from dataclasses import replace
from pathlib import Path

import pytest

from cosset.ready import Ready, parse_ready, ready_message

READY = Ready(
    endpoint="http://127.0.0.1:4566",
    access_key_id="AKIAIOSFODNN7EXAMPLE",
    secret_access_key="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    account="123456789012",
    region="us-east-1",
    tier="jail",
    iam_mode="enforce",
    data=Path("/data"),
    first_start=True,
)


def test_arrives_whole() -> None:
    assert parse_ready(ready_message(READY), Path("/data")) == READY
    no_key = replace(READY, access_key_id=None, secret_access_key=None)
    assert parse_ready(ready_message(no_key), Path("/data")) == no_key


@pytest.mark.parametrize("name", ["endpoint", "access_key_id", "secret_access_key", "account", "region", "tier"])
@pytest.mark.parametrize("value", ["", "a\n[default]", "a = b", "\x1b[31m", 7, ["x"]])
def test_nothing_that_could_be_a_line_of_its_own_gets_into_the_users_files(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        parse_ready(ready_message(READY) | {name: value}, Path("/data"))
