"""The head of a model says what the whole model says."""

import pytest

from cosset.gateway.model_heads import read_all_heads, read_head
from cosset.wire.models import Catalogue


@pytest.mark.parametrize("name", ["iam", "lambda", "logs", "sqs", "sts", "s3", "dynamodb"])
def test_the_head_agrees_with_the_model(name: str) -> None:
    head, whole = read_head(name), Catalogue().service(name)
    assert head is not None
    assert (head.signing_name, head.endpoint_prefix, head.target_prefix) == (
        whole.signing_name,
        whole.endpoint_prefix,
        whole.target_prefix,
    )


def test_every_service_has_a_head() -> None:
    assert {head.name for head in read_all_heads()} == set(Catalogue().names())


def test_there_is_none_for_what_is_no_service() -> None:
    assert read_head("nothing") is None
