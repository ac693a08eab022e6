"""Host names of AWS's to endpoint prefixes."""

import pytest

from cosset.gateway.aws_hosts import endpoint_prefixes


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("sts.amazonaws.com", "sts"),
        ("STS.us-east-1.AmazonAWS.com:443", "sts"),
        ("sts-fips.us-gov-west-1.amazonaws.com", "sts"),
        ("lambda.us-east-1.api.aws", "lambda"),
        ("sqs.cn-north-1.amazonaws.com.cn", "sqs"),
        ("us-east-1.queue.amazonaws.com", "sqs"),
        ("queue.amazonaws.com", "sqs"),
        ("s3.amazonaws.com", "s3"),
        ("s3-us-west-2.amazonaws.com", "s3"),
        ("s3.dualstack.eu-west-1.amazonaws.com", "s3"),
        ("bucket.s3.amazonaws.com", "s3"),
        ("sts.s3.eu-west-1.amazonaws.com", "s3"),
        ("a.bucket.with.dots.s3.eu-west-1.amazonaws.com", "s3"),
        ("123456789012.ddb.us-east-1.amazonaws.com", "dynamodb"),
        ("sync-states.us-east-1.amazonaws.com", "states"),
        ("abc.execute-api.us-east-1.amazonaws.com", "execute-api"),
        ("data-ats.iot.us-east-1.amazonaws.com", "data-ats.iot"),
        ("streams.dynamodb.us-east-1.amazonaws.com", "streams.dynamodb"),
    ],
)
def test_the_prefix_is_among_those_that_are_tried(host: str, expected: str) -> None:
    assert expected in endpoint_prefixes(host)


@pytest.mark.parametrize(
    "host", ["localhost:4566", "amazonaws.com", "sts.amazonaws.com.example", "xamazonaws.com", "sts..amazonaws.com", ""]
)
def test_other_hosts_say_nothing(host: str) -> None:
    assert list(endpoint_prefixes(host)) == []


def test_the_longer_prefix_comes_first() -> None:
    assert list(endpoint_prefixes("streams.dynamodb.us-east-1.amazonaws.com")) == ["streams.dynamodb", "dynamodb"]
