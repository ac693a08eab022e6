"""Calls as an SDK in a browser makes them: a preflight, then the signed call, over plain HTTP with an Origin."""

import http.client
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cosset.testing.server import CossetServer

PAGE = "http://localhost:3000"
LIST = "/2015-03-31/functions/"


@pytest.fixture(scope="module")
def open_server() -> Iterator[CossetServer]:
    """It lets one page in. What runs functions plays no part here."""
    with CossetServer(["--tier", "process", "--cors-origins", PAGE]) as running:
        yield running


def ask(server: CossetServer, method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str]]:
    connection = http.client.HTTPConnection(urlsplit(server.endpoint).netloc, timeout=60)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


def preflight(origin: str, **more: str) -> dict[str, str]:
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "amz-sdk-invocation-id,amz-sdk-request,authorization,x-amz-date",
    }
    return {"Origin": origin, **asked, **more}


def test_a_preflight_and_the_call_behind_it(open_server: CossetServer) -> None:
    asked = preflight(PAGE, **{"Access-Control-Request-Private-Network": "true"})
    status, headers = ask(open_server, "OPTIONS", "/2015-03-31/functions/f/invocations", asked)
    assert status == 200
    assert headers["access-control-allow-origin"] == PAGE
    assert headers["access-control-allow-headers"] == asked["Access-Control-Request-Headers"]
    assert headers["access-control-allow-private-network"] == "true"
    assert headers["access-control-max-age"] == "172800"
    keys = open_server.credentials
    request = AWSRequest("GET", open_server.endpoint + LIST)
    SigV4Auth(Credentials(keys.access_key_id, keys.secret_access_key), "lambda", open_server.region).add_auth(request)
    status, headers = ask(open_server, "GET", LIST, {**dict(request.headers), "Origin": PAGE})
    assert status == 200
    assert headers["access-control-allow-origin"] == PAGE
    assert headers["vary"] == "Origin"
    assert "x-amzn-requestid" in headers["access-control-expose-headers"]


def test_an_error_can_be_read_by_the_page(open_server: CossetServer) -> None:
    status, headers = ask(open_server, "GET", LIST, {"Origin": PAGE})
    assert status == 403
    assert headers["access-control-allow-origin"] == PAGE
    assert "x-amzn-errortype" in headers["access-control-expose-headers"]


def test_what_a_bucket_says_to_its_pages_is_said_once(open_server: CossetServer) -> None:
    """A browser takes an answer that names its origin twice for one that does not let it in."""
    s3 = open_server.client("s3")
    s3.create_bucket(Bucket="said-once")
    rule = {"AllowedOrigins": [PAGE], "AllowedMethods": ["GET"], "ExposeHeaders": ["x-amz-meta-a"]}
    s3.put_bucket_cors(Bucket="said-once", CORSConfiguration={"CORSRules": [rule]})
    connection = http.client.HTTPConnection(urlsplit(open_server.endpoint).netloc, timeout=60)
    try:
        for path, exposed in (("/said-once/k", "x-amz-meta-a"), ("/another/k", "x-amzn-errortype")):
            connection.request("GET", path, headers={"Origin": PAGE})
            answer = connection.getresponse()
            answer.read()
            assert answer.headers.get_all("access-control-allow-origin") == [PAGE]
            assert str(answer.headers["access-control-expose-headers"]).startswith(exposed)
    finally:
        connection.close()


def test_other_pages_are_not_let_in(open_server: CossetServer) -> None:
    status, headers = ask(open_server, "OPTIONS", LIST, preflight("http://elsewhere"))
    assert status == 403
    assert not [name for name in headers if name.startswith("access-control")]


def test_nobody_is_let_in_unless_the_owner_says_so(server: CossetServer) -> None:
    status, headers = ask(server, "OPTIONS", LIST, preflight(PAGE))
    assert status == 403
    assert not [name for name in headers if name.startswith("access-control")]
