"""What browsers and plain HTTP clients meet of a bucket: hosts, presigned URLs, posted forms, CORS, websites."""

import base64
import http.client
import json
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import urllib3
from botocore.config import Config

from cosset.testing.server import CossetServer
from support.s3_buckets import code, new_bucket, refusal


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    text: str


@pytest.fixture(scope="module")
def s3(server: CossetServer) -> Any:
    return server.client("s3")


@pytest.fixture(scope="module")
def bucket(s3: Any) -> Iterator[str]:
    """Its objects are for everyone to read, and their names for everyone to know."""
    with new_bucket(s3) as name:
        s3.delete_public_access_block(Bucket=name)
        arn = f"arn:aws:s3:::{name}"
        statements = [
            {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"{arn}/*"},
            {"Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket", "Resource": arn},
        ]
        s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
        s3.put_object(Bucket=name, Key="index.html", Body=b"<h1>home</h1>", ContentType="text/html")
        yield name


def ask(
    server: CossetServer,
    method: str,
    path: str,
    host: str | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    place = urlsplit(server.endpoint)
    connection = http.client.HTTPConnection(place.hostname or "", place.port or 0, timeout=60)
    try:
        given = dict(headers or {}) | ({"Host": f"{host}:{place.port}"} if host else {})
        connection.request(method, path, body=body, headers=given)
        response = connection.getresponse()
        text = response.read().decode()
        headers = {name.lower(): value for name, value in response.getheaders()}
        assert len(headers) == len(response.getheaders()), "a header comes twice"
        return Answer(response.status, headers, text)
    finally:
        connection.close()


@pytest.mark.parametrize(
    "form",
    [
        "{}.localhost",
        "{}.s3.localhost",
        "{}.s3.eu-west-1.localhost",
        "{}.s3.amazonaws.com",
        "{}.s3.us-west-2.amazonaws.com",
        "{}.s3-us-west-2.amazonaws.com",
        "{}.s3.dualstack.us-west-2.amazonaws.com",
    ],
)
def test_the_host_names_the_bucket(server: CossetServer, bucket: str, form: str) -> None:
    assert ask(server, "GET", "/index.html", form.format(bucket)).text == "<h1>home</h1>"


def test_hosts_of_the_endpoint_name_none(server: CossetServer, bucket: str) -> None:
    for host in ("s3.localhost", "s3.us-east-1.localhost", "s3.amazonaws.com"):
        assert ask(server, "GET", f"/{bucket}/index.html", host).status == 200


def test_signatures_hold_for_hosts_of_buckets(server: CossetServer, s3: Any, bucket: str) -> None:
    """boto3 in virtual style, its connections led to the server whatever their host."""
    place = urlsplit(server.endpoint)
    virtual = server.session().client(
        "s3",
        endpoint_url=f"http://s3.localhost:{place.port}",
        config=Config(s3={"addressing_style": "virtual"}, signature_version="s3v4"),
    )
    url = virtual.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "index.html"})
    parts = urlsplit(url)
    assert parts.hostname == f"{bucket}.s3.localhost"
    answer = ask(server, "GET", f"{parts.path}?{parts.query}", parts.hostname)
    assert (answer.status, answer.text) == (200, "<h1>home</h1>")
    another = ask(server, "GET", f"{parts.path}?{parts.query}", "another-bucket.s3.localhost")
    assert (another.status, "SignatureDoesNotMatch" in another.text) == (403, True)


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_presigned_urls(server: CossetServer, s3: Any, bucket: str, version: str) -> None:
    client = server.client("s3", config=Config(signature_version=version))
    put = {"Bucket": bucket, "Key": f"signed-{version}", "Metadata": {"a": "b"}}
    url = client.generate_presigned_url("put_object", Params=put)
    # What the signature covers as a header is sent as one; what was moved into the query counts as one.
    headers = (
        {"x-amz-meta-a": "b"} if "SignedHeaders" in url and "x-amz-meta-a" in url.split("SignedHeaders")[1] else {}
    )
    place = urlsplit(url)
    assert ask(server, "PUT", f"{place.path}?{place.query}", headers=headers, body=b"hello").status == 200
    assert s3.head_object(Bucket=bucket, Key=f"signed-{version}")["Metadata"] == {"a": "b"}
    get = {"Bucket": bucket, "Key": f"signed-{version}", "ResponseContentType": "text/x-own"}
    with urllib.request.urlopen(client.generate_presigned_url("get_object", Params=get)) as response:
        assert (response.read(), response.headers["content-type"]) == (b"hello", "text/x-own")
    expired = client.generate_presigned_url("get_object", Params=get, ExpiresIn=-5) if version == "s3" else None
    if expired is not None:
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(expired)
        assert b"<Message>Request has expired</Message>" in caught.value.read()
        caught.value.close()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({}, "ChecksumCRC64NVME"),
        ({"ChecksumSHA256": base64.b64encode(sha256(b"hello").digest()).decode()}, "ChecksumSHA256"),
    ],
    ids=["alone", "another"],
)
def test_an_algorithm_is_not_heard_of_a_presigned_url(
    server: CossetServer, s3: Any, bucket: str, given: dict[str, str], kept: str
) -> None:
    """Recorded: test_s3_checksum_no_automatic_sdk_calculation."""
    client = server.client("s3", config=Config(signature_version="s3"))
    put = {"Bucket": bucket, "Key": "unheard", "ChecksumAlgorithm": "CRC32" if given else "SHA1", **given}
    place = urlsplit(client.generate_presigned_url("put_object", Params=put))
    assert ask(server, "PUT", f"{place.path}?{place.query}", body=b"hello").status == 200
    found = s3.head_object(Bucket=bucket, Key="unheard", ChecksumMode="ENABLED")
    assert [name for name in found if name.startswith("Checksum") and name != "ChecksumType"] == [kept]


def test_presigned_urls_that_say_too_little(server: CossetServer, bucket: str) -> None:
    """Recorded: test_s3_put_presigned_url_missing_sig_param, test_presigned_double_encoded_credentials."""
    old = ask(server, "PUT", f"/{bucket}/k?AWSAccessKeyId=AKIAAAAAAAAAAAAAAAAA&Expires=99999999999")
    assert (old.status, _error(old)["Message"]) == (
        403,
        "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters",
    )
    query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA%252F20300101&X-Amz-Date=20300101T000000Z"
    new = ask(server, "GET", f"/{bucket}/k?{query}&X-Amz-Expires=9&X-Amz-SignedHeaders=host&X-Amz-Signature=00")
    assert (new.status, _error(new)["Code"]) == (400, "AuthorizationQueryParametersError")


def _error(answer: Answer) -> dict[str, str]:
    return {each.tag: each.text or "" for each in ET.fromstring(answer.text)}


def post(form: Mapping[str, Any], content: bytes, **changed: str) -> Answer:
    fields = {**form["fields"], **changed, "file": ("photo.txt", content)}
    response = urllib3.request("POST", form["url"], fields=fields, redirect=False)
    return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, response.data.decode())


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_posted_forms(server: CossetServer, s3: Any, bucket: str, version: str) -> None:
    """Recorded: TestS3PresignedPost."""
    client = server.client("s3", config=Config(signature_version=version))
    conditions: list[Any] = [["starts-with", "$key", "up/"], ["content-length-range", 5, 10]]
    conditions += [{"success_action_status": "201"}, {"x-amz-meta-of": "me"}, ["starts-with", "$Content-Type", ""]]
    fields = {"success_action_status": "201", "x-amz-meta-of": "me", "Content-Type": "text/plain"}
    form = client.generate_presigned_post(bucket, "up/${filename}", Fields=fields, Conditions=conditions)
    made = post(form, b"abcdef")
    assert (made.status, _error(made)["Key"], _error(made)["ETag"]) == (
        201,
        "up/photo.txt",
        '"e80b5017098950fc58aad83c8c14978e"',
    )
    head = s3.head_object(Bucket=bucket, Key="up/photo.txt")
    assert (head["ContentType"], head["Metadata"], head["ContentLength"]) == ("text/plain", {"of": "me"}, 6)
    large, small = _error(post(form, b"x" * 12)), _error(post(form, b"x"))
    assert (large["Code"], large["ProposedSize"], large["MaxSizeAllowed"]) == ("EntityTooLarge", "12", "10")
    assert (small["Code"], small["ProposedSize"], small["MinSizeAllowed"]) == ("EntityTooSmall", "1", "5")
    assert _error(post(form, b"abcdef", policy="e30="))["Code"] == "SignatureDoesNotMatch"
    extra = _error(post(form, b"abcdef", **{"x-amz-meta-more": "1"}))
    assert extra["Message"] == "Invalid according to Policy: Extra input fields: x-amz-meta-more"
    moved = _error(post(form, b"abcdef", key="elsewhere"))
    assert moved["Message"] == 'Invalid according to Policy: Policy Condition failed: ["starts-with", "$key", "up/"]'
    late = client.generate_presigned_post(bucket, "up/late", ExpiresIn=-10)
    assert _error(post(late, b"x"))["Message"] == "Invalid according to Policy: Policy expired."
    assert code(s3.head_object, Bucket=bucket, Key="elsewhere") == "404"


def test_forms_lead_on(server: CossetServer, bucket: str) -> None:
    client = server.client("s3")
    target = {"success_action_redirect": "http://localhost.test/random"}
    form = client.generate_presigned_post(bucket, "led", Fields=target, Conditions=[target])
    answer = post(form, b"x")
    assert answer.status == 303
    assert answer.headers["location"].startswith(f"http://localhost.test/random?bucket={bucket}&key=led&etag=%22")
    wrong = client.generate_presigned_post(
        bucket, "led", Fields=target, Conditions=[["eq", "$success_action_redirect", "x"]]
    )
    assert _error(post(wrong, b"x"))["Message"].endswith('["eq", "$success_action_redirect", "x"]')
    both = client.generate_presigned_post(bucket, "led", Conditions=[{"a": "b", "c": "d"}])
    assert _error(post(both, b"x"))["Code"] == "InvalidPolicyDocument"


def test_forms_without_a_signature_are_nobodys(server: CossetServer, s3: Any, bucket: str) -> None:
    form = {"url": f"{server.endpoint}/{bucket}", "fields": {"key": "nobodys"}}
    assert post(form, b"x").status == 403
    assert code(s3.head_object, Bucket=bucket, Key="nobodys") == "404"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b\r\n",
        b"--b\r\n\r\n",
        b"--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\n' + b"x" * 30_000,
    ],
)
def test_forms_that_are_none(server: CossetServer, bucket: str, body: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    assert ask(server, "POST", f"/{bucket}", headers=headers, body=body).status == 400


def test_preflights(server: CossetServer, s3: Any) -> None:
    """Recorded: TestS3Cors."""
    with new_bucket(s3) as name:

        def preflight(method: str, origin: str, headers: str | None = None) -> Answer:
            asked = {"Origin": origin, "Access-Control-Request-Method": method}
            asked |= {} if headers is None else {"Access-Control-Request-Headers": headers}
            return ask(server, "OPTIONS", f"/{name}/k", headers=asked)

        assert "CORS is not enabled" in preflight("GET", "http://a.test").text
        rule = {
            "AllowedOrigins": ["https://localhost:4200", "http://*.origin.com"],
            "AllowedMethods": ["GET", "PUT"],
            "AllowedHeaders": ["x-amz-request-payer", "X-AMZ-expected-*"],
            "ExposeHeaders": ["x-amz-id-2", "x-amz-request-id"],
            "MaxAgeSeconds": 3000,
        }
        s3.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [rule]})
        s3.put_object(Bucket=name, Key="k", Body=b"test-cors")
        signed = urlsplit(s3.generate_presigned_url("put_object", Params={"Bucket": name, "Key": "k"}))
        asked = {"Origin": "https://localhost:4200", "Access-Control-Request-Method": "PUT"}
        assert ask(server, "OPTIONS", f"{signed.path}?{signed.query}", headers=asked).status == 200
        allowed = preflight("GET", "https://localhost:4200", "X-Amz-Request-Payer,x-amz-expected-bucket-owner")
        assert allowed.status == 200
        assert {
            "access-control-allow-origin": "https://localhost:4200",
            "access-control-allow-methods": "GET, PUT",
            "access-control-allow-headers": "x-amz-request-payer, x-amz-expected-bucket-owner",
            "access-control-expose-headers": "x-amz-id-2, x-amz-request-id",
            "access-control-max-age": "3000",
            "access-control-allow-credentials": "true",
            "vary": "Origin, Access-Control-Request-Headers, Access-Control-Request-Method",
        }.items() <= allowed.headers.items()
        assert preflight("PUT", "http://test.origin.com").status == 200
        for method, origin, headers in (
            ("DELETE", "https://localhost:4200", None),
            ("GET", "http://origin.com", None),
            ("GET", "https://localhost:4200", "x-other"),
        ):
            refused = preflight(method, origin, headers)
            assert (refused.status, _error(refused)["Code"], _error(refused)["Method"]) == (
                403,
                "AccessForbidden",
                method,
            )
        asked = {"Origin": "http://test.origin.com.br", "Access-Control-Request-Method": "GET"}
        of_bucket = ask(server, "OPTIONS", f"/{name}", headers=asked)
        assert (of_bucket.status, _error(of_bucket)["ResourceType"]) == (403, "BUCKET")
        assert "x-amz-bucket-region" not in of_bucket.headers
        url = s3.generate_presigned_url("get_object", Params={"Bucket": name, "Key": "k"})
        place = urlsplit(url)
        seen = ask(server, "GET", f"{place.path}?{place.query}", headers={"Origin": "http://x.origin.com"})
        assert (seen.text, seen.headers["access-control-allow-origin"]) == ("test-cors", "http://x.origin.com")
        unseen = ask(server, "GET", f"{place.path}?{place.query}", headers={"Origin": "http://elsewhere.test"})
        assert "access-control-allow-origin" not in unseen.headers
        for method, is_seen in (("PUT", True), ("DELETE", False)):
            asked = {"Origin": "http://x.origin.com", "Access-Control-Request-Method": method}
            answer = ask(server, "GET", f"/{name}/k", headers=asked)
            assert (answer.status, "access-control-allow-origin" in answer.headers) == (403, is_seen)


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        (
            {"AllowedMethods": ["OPTIONS"]},
            "Found unsupported HTTP method in CORS config. Unsupported method is OPTIONS",
        ),
        ({"AllowedOrigins": ["*a*"]}, 'AllowedOrigin "*a*" can not have more than one wildcard.'),
        ({"ExposeHeaders": ["x-*"]}, 'ExposeHeader "x-*" contains wildcard.'),
    ],
)
def test_cors_rules_that_are_none(s3: Any, bucket: str, rule: Any, wanted: str) -> None:
    rules = [{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"], **rule}]
    refused = refusal(s3.put_bucket_cors, Bucket=bucket, CORSConfiguration={"CORSRules": rules})
    assert (refused["Code"], refused["Message"].startswith(wanted)) == ("InvalidRequest", True)


def test_websites(server: CossetServer, s3: Any, bucket: str) -> None:
    """Recorded: TestS3StaticWebsiteHosting."""
    hosts = [f"{bucket}.s3-website.localhost", f"{bucket}.s3-website-us-east-1.localhost"]
    hosts.append(f"{bucket}.s3-website.eu-central-1.amazonaws.com")
    none = ask(server, "GET", "/", hosts[0])
    assert (none.status, "<li>Code: NoSuchWebsiteConfiguration</li>" in none.text) == (404, True)
    rules = [
        {
            "Condition": {"KeyPrefixEquals": "old/"},
            "Redirect": {"ReplaceKeyPrefixWith": "new/", "HttpRedirectCode": "302"},
        },
        {
            "Condition": {"HttpErrorCodeReturnedEquals": "404", "KeyPrefixEquals": "lost/"},
            "Redirect": {"ReplaceKeyWith": "found.html"},
        },
    ]
    website = {"IndexDocument": {"Suffix": "index.html"}, "ErrorDocument": {"Key": "error.html"}, "RoutingRules": rules}
    s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration=website)
    assert {"IndexDocument", "ErrorDocument", "RoutingRules"} <= s3.get_bucket_website(Bucket=bucket).keys()
    for host in hosts:
        page = ask(server, "GET", "/", host)
        assert (page.status, page.text, page.headers["content-type"]) == (200, "<h1>home</h1>", "text/html")
    assert ask(server, "GET", f"/_cosset/website/{bucket}/").text == "<h1>home</h1>"
    assert ask(server, "GET", f"/_cosset/website/{bucket}").headers["location"] == f"/_cosset/website/{bucket}/"
    head = ask(server, "HEAD", "/", hosts[0])
    assert (head.status, head.text, head.headers["content-length"]) == (200, "", "13")
    missing = ask(server, "GET", "/nowhere", hosts[0])
    assert missing.status == 404
    assert missing.text.startswith(
        "<html>\n<head><title>404 Not Found</title></head>\n<body>\n<h1>404 Not Found</h1>\n<ul>\n"
        "<li>Code: NoSuchKey</li>\n<li>Message: The specified key does not exist.</li>\n"
    )
    assert "<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>\n" in missing.text
    s3.put_object(Bucket=bucket, Key="error.html", Body=b"lost?", ContentType="text/html")
    lost = ask(server, "GET", "/nowhere", hosts[0], {"Range": "bytes=0-1"})
    assert (lost.status, lost.text) == (404, "lost?")
    told = [lost.headers.get(f"x-amz-error-{name}") for name in ("code", "message", "detail-key")]
    assert told == ["NoSuchKey", "The specified key does not exist.", "nowhere"]
    moved = ask(server, "GET", "/old/x y".replace(" ", "%20"), hosts[0])
    assert (
        moved.status,
        moved.headers["location"].endswith(f"{hosts[0]}:{urlsplit(server.endpoint).port}/new/x%20y"),
    ) == (302, True)
    assert ask(server, "GET", "/lost/sheep", hosts[0]).headers["location"].endswith("/found.html")
    s3.put_object(Bucket=bucket, Key="folder/index.html", Body=b"in it")
    assert ask(server, "GET", "/folder", hosts[0]).headers["location"] == "/folder/"
    s3.put_object(Bucket=bucket, Key="away", WebsiteRedirectLocation="/index.html")
    assert ask(server, "GET", "/away", hosts[0]).headers["location"] == "/index.html"
    refused = ask(server, "DELETE", "/index.html", hosts[0])
    assert (refused.status, "<li>Method: DELETE</li>" in refused.text) == (405, True)
    assert "<li>Code: NoSuchBucket</li>" in ask(server, "GET", "/", "never-made.s3-website.localhost").text
    s3.put_bucket_website(
        Bucket=bucket, WebsiteConfiguration={"RedirectAllRequestsTo": {"HostName": "www.test", "Protocol": "https"}}
    )
    assert ask(server, "GET", "/a?b=c", hosts[0]).headers["location"] == "https://www.test/a?b=c"
    s3.delete_bucket_website(Bucket=bucket)


def test_folders_of_a_site_whose_list_is_shut(server: CossetServer, s3: Any) -> None:
    with new_bucket(s3) as name:
        s3.delete_public_access_block(Bucket=name)
        allowed = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/*"}
        s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Statement": [allowed]}))
        s3.put_bucket_website(Bucket=name, WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}})
        s3.put_object(Bucket=name, Key="folder/index.html", Body=b"in it")
        found = ask(server, "GET", "/folder", f"{name}.s3-website.localhost")
        assert (found.status, found.headers["location"], found.headers["x-amz-error-code"]) == (
            302,
            "/folder/",
            "Found",
        )
        assert "<h1>302 Found</h1>" in found.text
        assert ask(server, "GET", "/none", f"{name}.s3-website.localhost").status == 403


@pytest.mark.parametrize("path", ["?logging", "?acl", "?versioning", "?object-lock", "?notification", "?accelerate"])
def test_taking_away_what_cannot_be_deletes_no_bucket(server: CossetServer, s3: Any, path: str) -> None:
    def add(request: Any, **_: Any) -> None:
        request.url += path

    client = server.client("s3")
    with new_bucket(s3) as name:
        client.meta.events.register("before-sign.s3.DeleteBucket", add)
        refused = refusal(client.delete_bucket, Bucket=name)
        assert (refused["Code"], refused["Status"], refused["Method"]) == ("MethodNotAllowed", 405, "DELETE")
        assert ask(server, "DELETE", f"/{name}{path}").status == 403
        assert s3.head_bucket(Bucket=name)["BucketRegion"] == "us-east-1"
