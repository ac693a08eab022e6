"""Which bucket a Host names."""

import pytest

from cosset.gateway.bucket_hosts import find_site, path_style, read_host
from cosset.wire.message import Headers, Request


def request(host: str, path: str = "/k") -> Request:
    return Request("GET", path, "", Headers([("host", host)]), host=host)


@pytest.mark.parametrize(
    ("host", "bucket"),
    [
        ("my.dotted.bucket.s3.localhost:4566", "my.dotted.bucket"),
        ("b-1.s3.us-gov-west-1.amazonaws.com", "b-1"),
        ("b-1.s3-accelerate.amazonaws.com", "b-1"),
        ("B-1.S3.LOCALHOST", "b-1"),
        ("b-1.localhost:4566", "b-1"),
        ("s3.localhost", None),
        ("s3.us-east-1.localhost:1", None),
        ("s3.amazonaws.com", None),
        ("s3.eu-west-1.amazonaws.com", None),
        ("localhost:4566", None),
        ("127.0.0.1:4566", None),
        ("sqs.us-east-1.amazonaws.com", None),
        ("-b.s3.localhost", None),
        ("b/../c.s3.localhost", None),
        ("", None),
    ],
)
def test_hosts(host: str, bucket: str | None) -> None:
    found = read_host(host)
    assert (found.bucket if found is not None else None) == bucket
    assert path_style(request(host)).path == (f"/{bucket}/k" if bucket is not None else "/k")


@pytest.mark.parametrize(
    ("host", "path", "site"),
    [
        ("b-1.s3-website.localhost:4566", "/x/y", ("b-1", "/x/y", "/")),
        ("b-1.s3-website-eu-west-1.amazonaws.com", "/", ("b-1", "/", "/")),
        ("b-1.s3-website.eu-central-1.amazonaws.com", "/", ("b-1", "/", "/")),
        ("127.0.0.1:4566", "/_cosset/website/b-1/x", ("b-1", "/x", "/_cosset/website/b-1/")),
        ("127.0.0.1:4566", "/_cosset/website/b-1", ("b-1", "", "/_cosset/website/b-1/")),
        ("127.0.0.1:4566", "/_cosset/website/", None),
        ("b-1.s3.localhost", "/_cosset/website/b-2/", None),
        ("s3-website.localhost", "/", None),
    ],
)
def test_sites(host: str, path: str, site: tuple[str, str, str] | None) -> None:
    assert find_site(request(host, path)) == site


def test_websites_are_no_calls() -> None:
    assert path_style(request("b-1.s3-website.localhost")).path == "/k"
