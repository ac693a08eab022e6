"""Buckets in a real browser: a public website with its pictures, calls to other origins, a form that uploads."""

import base64
import html
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.config import Config

from cosset.testing.server import CossetServer
from support.chromium import Page, chromium_page
from support.s3_buckets import new_bucket

DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""A PNG of one pixel."""


@dataclass(frozen=True)
class Site:
    """A public bucket with a website, and another bucket that lets pages of the website in."""

    s3: Any
    origin: str
    bucket: str
    other: str
    port: int

    def url(self, bucket: str, key: str) -> str:
        return f"http://{bucket}.s3.localhost:{self.port}/{key}"


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with chromium_page() as page:
        yield page


@pytest.fixture(scope="module")
def site(server: CossetServer) -> Iterator[Site]:
    s3, port = server.client("s3", config=Config(signature_version="s3v4")), urlsplit(server.endpoint).port or 0
    with new_bucket(s3) as bucket, new_bucket(s3) as other:
        origin = f"http://{bucket}.s3-website.localhost:{port}"
        for name in (bucket, other):
            s3.delete_public_access_block(Bucket=name)
            statement = {
                "Effect": "Allow",
                "Principal": "*",
                "Action": "s3:GetObject",
                "Resource": f"arn:aws:s3:::{name}/*",
            }
            s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
        index = '<!doctype html><title>site</title><img src="in/two words ü.png"><img src="missing.png">'
        s3.put_object(Bucket=bucket, Key="index.html", Body=index.encode(), ContentType="text/html; charset=utf-8")
        s3.put_object(Bucket=bucket, Key="in/two words ü.png", Body=DOT, ContentType="image/png")
        missing = {"Bucket": bucket, "Key": "404.html", "Body": b"<title>not there</title>", "ContentType": "text/html"}
        s3.put_object(**missing)
        website = {"IndexDocument": {"Suffix": "index.html"}, "ErrorDocument": {"Key": "404.html"}}
        s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration=website)
        s3.put_object(Bucket=other, Key="data.json", Body=b'{"n": 7}', ContentType="application/json")
        rule = {
            "AllowedOrigins": [origin],
            "AllowedMethods": ["GET", "PUT", "POST"],
            "AllowedHeaders": ["*"],
            "ExposeHeaders": ["ETag"],
        }
        s3.put_bucket_cors(Bucket=other, CORSConfiguration={"CORSRules": [rule]})
        yield Site(s3, origin, bucket, other, port)


def test_a_website_is_shown_with_its_pictures(site: Site, page: Page) -> None:
    page.open(f"{site.origin}/")
    assert page.run("document.title") == "site"
    assert page.run("[...document.images].map(each => each.naturalWidth)") == [1, 0]
    page.open(f"{site.origin}/nowhere")
    assert page.run("document.title") == "not there"


def test_a_page_calls_buckets_that_let_its_origin_in(site: Site, page: Page) -> None:
    page.open(f"{site.origin}/")
    url = site.url(site.other, "data.json")
    assert page.run(f"fetch('{url}').then(each => each.json())") == {"n": 7}
    assert page.run(f"fetch('{url}').then(each => each.headers.get('etag'))").startswith('"')
    refused = page.run(f"fetch('{site.url(site.bucket, 'index.html')}').then(() => 'let in', error => error.name)")
    assert refused == "TypeError"
    put = site.s3.generate_presigned_url("put_object", Params={"Bucket": site.other, "Key": "put.txt"})
    sent = f"fetch({json.dumps(put)}, {{method: 'PUT', body: 'by the page', headers: {{'x-amz-meta-by': 'page'}}}})"
    assert page.run(f"{sent}.then(each => each.status)") == 403  # a header that is not signed
    plain = f"fetch({json.dumps(put)}, {{method: 'PUT', body: 'by the page'}})"
    assert page.run(f"{plain}.then(each => each.status)") == 200
    assert site.s3.get_object(Bucket=site.other, Key="put.txt")["Body"].read() == b"by the page"


def test_a_form_uploads_a_file_and_comes_back(site: Site, page: Page) -> None:
    back = f"{site.origin}/"
    post = site.s3.generate_presigned_post(
        Bucket=site.other,
        Key="up/${filename}",
        Fields={"success_action_redirect": back},
        Conditions=[{"success_action_redirect": back}, ["content-length-range", 1, 1_000]],
    )
    hidden = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in post["fields"].items()
    )
    form = (
        f'<title>form</title><form id="f" action="{html.escape(post["url"])}" method="post"'
        f' enctype="multipart/form-data">{hidden}<input type="file" name="file"></form>'
    )
    site.s3.put_object(Bucket=site.bucket, Key="form.html", Body=form.encode(), ContentType="text/html; charset=utf-8")
    page.open(f"{site.origin}/form.html")
    page.run(
        "(() => { const chosen = new DataTransfer();"
        " chosen.items.add(new File(['of a browser'], 'a file ü.txt', {type: 'text/plain'}));"
        " document.querySelector('[type=file]').files = chosen.files; document.getElementById('f').submit(); })()"
    )
    page.wait("document.title === 'site' && location.search.includes('key=')")
    told = dict(page.run("[...new URLSearchParams(location.search)]"))
    assert (told["bucket"], told["key"]) == (site.other, "up/a file ü.txt")
    assert site.s3.get_object(Bucket=site.other, Key="up/a file ü.txt")["Body"].read() == b"of a browser"
