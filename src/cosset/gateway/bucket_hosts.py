"""Which bucket a Host names, in S3's virtual-host style, and the path that the same request has in path style.

`BUCKET.s3.localhost`, `BUCKET.s3.REGION.localhost`, AWS's own names, what SDKs make of `http://localhost:PORT`
(`BUCKET.localhost`), and the hosts of websites. A signature covers host and path as they were sent: whoever verifies
uses the request as it came.
"""

import re
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from cosset.wire.message import Request

_BUCKET = r"(?P<bucket>[a-z0-9](?:[a-z0-9.-]{1,61})[a-z0-9])"
_REGION = r"[a-z]{2}(?:-[a-z]+){1,3}-\d"
_REST = r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.?(?::\d+)?"
_S3 = re.compile(
    rf"{_BUCKET}\.s3(?:-accelerate)?(?:[.-](?:dualstack|fips))?(?:[.-](?P<region>{_REGION}))?\.{_REST}", re.ASCII
)
_WEBSITE = re.compile(rf"{_BUCKET}\.s3-website(?:[.-](?P<region>{_REGION}))?\.{_REST}", re.ASCII)
_LOCAL = re.compile(rf"{_BUCKET}\.localhost\.?(?::\d+)?", re.ASCII)
_ENDPOINT = re.compile(rf"s3(?:[.-](?:dualstack|fips))?(?:[.-]{_REGION})?", re.ASCII)

SITE_PATH = "/_cosset/website/"
"""Where websites are for hosts that cannot be named by their bucket."""
_SITE_PATH = re.compile(re.escape(SITE_PATH) + r"([a-z0-9.-]{3,63})(/.*)?", re.ASCII | re.DOTALL)


class BucketHost(NamedTuple):
    """`is_sure`: nothing but S3 has hosts of that form."""

    bucket: str
    is_website: bool = False
    is_sure: bool = True


@lru_cache(maxsize=256)  # of whoever asks: a host may be as long as a head
def read_host(host: str) -> BucketHost | None:
    host = host.lower()
    if "." not in host or ("localhost" not in host and ".s3" not in host):
        return None
    if (found := _WEBSITE.fullmatch(host)) is not None:
        return BucketHost(found["bucket"], is_website=True)
    if (found := _S3.fullmatch(host)) is not None:
        return BucketHost(found["bucket"])
    found = _LOCAL.fullmatch(host)
    if found is None or _ENDPOINT.fullmatch(found["bucket"]) is not None:
        return None
    return BucketHost(found["bucket"], is_sure=False)


def path_style(request: Request) -> Request:
    """The same request as it would be without a bucket in its host."""
    named = read_host(request.host)
    if named is None or named.is_website:
        return request
    return replace(request, path=f"/{named.bucket}{request.path or '/'}")


def bucket_of(request: Request) -> str:
    """The bucket of a request in path style, as it stands in the path; empty where it names none."""
    return request.path.removeprefix("/").partition("/")[0]


class Site(NamedTuple):
    """A request to a bucket's website: where the site begins, and the path below it (empty: not even a slash)."""

    bucket: str
    path: str
    root: str = "/"


def find_site(request: Request) -> Site | None:
    named = read_host(request.host)
    if named is not None:
        return Site(named.bucket, request.path or "/") if named.is_website else None
    found = _SITE_PATH.fullmatch(request.path) if request.path.startswith(SITE_PATH) else None
    return None if found is None else Site(found[1], found[2] or "", f"{SITE_PATH}{found[1]}/")
