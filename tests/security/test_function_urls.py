"""Function URLs are the one way in that may need no signature: every other way through them must stay shut."""

import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cosset.testing.server import CossetServer
from support.role import starter_role
from support.zip import make_zip

SOURCE = "def handler(event, context):\n    return {'ran': event['rawPath']}\n"


class Urls:
    """A server with a URL of each kind."""

    def __init__(self, server: CossetServer) -> None:
        self.server = server
        self.client = server.client("lambda")
        self.signed = self.make("signed", "AWS_IAM")
        self.shut = self.make("shut", "NONE")
        self.open = self.make("open", "NONE")
        for name in ("open", "signed"):  # a permission for open URLs must not open a signed one
            self.client.add_permission(
                FunctionName=name,
                StatementId="s",
                Action="lambda:InvokeFunctionUrl",
                Principal="*",
                FunctionUrlAuthType="NONE",
            )

    def make(self, name: str, auth_type: str) -> str:
        self.client.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=starter_role(self.server),
            Handler="app.handler",
            Code={"ZipFile": make_zip({"app.py": SOURCE})},
        )
        self.client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
        return self.client.create_function_url_config(FunctionName=name, AuthType=auth_type)["FunctionUrl"]

    def sign(
        self, url: str, body: bytes = b"", method: str = "GET", key: Any = None, scope: tuple[str, str] | None = None
    ) -> dict[str, str]:
        region, service = scope or (self.server.region, "lambda")
        request = AWSRequest(method, url, data=body)
        SigV4Auth(key or self.server.session().get_credentials(), service, region).add_auth(request)
        return {name: value for name, value in request.headers.items() if name.lower() != "host"}

    def send(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        method: str = "GET",
        body: bytes | None = None,
        host: str | None = None,
    ) -> tuple[int, bytes]:
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        port = urlsplit(self.server.endpoint).port
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            connection.request(method, target, body, {"Host": host or parts.netloc, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def path(self, url: str) -> str:
        return f"{self.server.endpoint}/_cosset/url/{urlsplit(url).netloc.partition('.')[0]}/"


@pytest.fixture(scope="module")
def urls() -> Iterator[Urls]:
    with CossetServer(["--tier", "process"]) as server:
        yield Urls(server)


def assert_forbidden(answer: tuple[int, bytes]) -> None:
    status, body = answer
    assert status == 403, body
    assert b"ran" not in body
    assert set(json.loads(body)) == {"Message"}


def test_no_signature(urls: Urls) -> None:
    for address in (urls.signed, urls.path(urls.signed), urls.signed + "x?y=z"):
        assert_forbidden(urls.send(address))
        assert_forbidden(urls.send(address, method="POST", body=b"{}"))
        assert_forbidden(urls.send(address, method="OPTIONS", headers={"Origin": "https://a"}))


def test_no_permission(urls: Urls) -> None:
    for address in (urls.shut, urls.path(urls.shut)):
        assert_forbidden(urls.send(address))
    # Not even for a signature that would open everything else: AWS asks nobody who they are there.
    assert_forbidden(urls.send(urls.shut, urls.sign(urls.shut)))
    assert urls.send(urls.open)[0] == 200


def test_a_signature_of_something_else(urls: Urls) -> None:
    good = urls.sign(urls.signed, b"{}", "POST")
    assert urls.send(urls.signed, good, "POST", b"{}")[0] == 200
    assert_forbidden(urls.send(urls.signed, good, "POST", b"[]"))
    assert_forbidden(urls.send(urls.signed, good, "PUT", b"{}"))
    assert_forbidden(urls.send(urls.signed + "other", good, "POST", b"{}"))
    assert_forbidden(urls.send(urls.signed + "?a=b", good, "POST", b"{}"))
    assert_forbidden(urls.send(urls.path(urls.signed), good, "POST", b"{}"))
    assert_forbidden(urls.send(urls.signed, {**good, "X-Amz-Date": "20200101T000000Z"}, "POST", b"{}"))
    assert_forbidden(urls.send(urls.signed, {**good, "X-Amz-Extra": "1"}, "POST", b"{}"))


@pytest.mark.parametrize("scope", [("us-east-1", "execute-api"), ("eu-west-1", "lambda"), ("us-east-1", "s3")])
def test_a_signature_for_elsewhere(urls: Urls, scope: tuple[str, str]) -> None:
    assert_forbidden(urls.send(urls.signed, urls.sign(urls.signed, scope=scope)))


def test_chunks_signed_one_by_one_are_no_way_round(urls: Urls) -> None:
    for kind in ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "anything"):
        request = AWSRequest("POST", urls.signed, data=b"", headers={"X-Amz-Content-SHA256": kind})
        SigV4Auth(urls.server.session().get_credentials(), "lambda", urls.server.region).add_auth(request)
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        assert_forbidden(urls.send(urls.signed, headers, "POST", b"2\r\n{}\r\n0\r\n\r\n"))


def test_a_presigned_url_is_good_for_its_own_time_only(urls: Urls) -> None:
    request = AWSRequest("GET", urls.signed)
    credentials = urls.server.session().get_credentials()
    SigV4QueryAuth(credentials, "lambda", urls.server.region, expires=60).add_auth(request)
    assert urls.send(request.url)[0] == 200
    assert_forbidden(urls.send(request.url.replace("Expires=60", "Expires=61")))
    assert_forbidden(urls.send(request.url.replace(urlsplit(urls.signed).netloc, urlsplit(urls.open).netloc),
                               host=urlsplit(urls.signed).netloc.replace("us-", "eu-")))  # fmt: skip


def test_a_user_who_may_nothing_may_not_call_a_url(urls: Urls) -> None:
    iam = urls.server.client("iam")
    iam.create_user(UserName="nobody")
    made = iam.create_access_key(UserName="nobody")["AccessKey"]
    key = Credentials(made["AccessKeyId"], made["SecretAccessKey"])
    assert_forbidden(urls.send(urls.signed, urls.sign(urls.signed, key=key)))
    with_token = Credentials(made["AccessKeyId"], made["SecretAccessKey"], "made up")
    assert_forbidden(urls.send(urls.signed, urls.sign(urls.signed, key=with_token)))


def test_names_that_lead_nowhere(urls: Urls) -> None:
    unknown = "a" * 32
    netloc = urlsplit(urls.open).netloc
    url_id = netloc.partition(".")[0]
    for host in (
        f"{unknown}.lambda-url.us-east-1.localhost",
        f"{url_id}.lambda-url.eu-west-1.localhost",
        f"{url_id.upper()}x.lambda-url.us-east-1.localhost",
    ):
        status, body = urls.send(urls.open, host=host)
        assert (status, b"ran" in body) in ((403, False), (404, False), (400, False)), host
    for path in (unknown, url_id[:-1], f"{url_id}x", f"../{url_id}", f"{url_id}%2F", "", "x"):
        status, body = urls.send(f"{urls.server.endpoint}/_cosset/url/{path}")
        assert (status, b"ran" in body) == (403, False), path


def test_the_host_of_a_function_is_all_the_functions(urls: Urls) -> None:
    """Nothing of Cosset's own shows through it: neither its health nor an AWS call."""
    assert json.loads(urls.send(urls.open + "_cosset/health")[1]) == {"ran": "/_cosset/health"}
    listing = urls.open + "2015-03-31/functions/"
    assert json.loads(urls.send(listing, urls.sign(listing))[1]) == {"ran": "/2015-03-31/functions/"}


def test_a_permission_that_is_taken_back(urls: Urls) -> None:
    url = urls.make("fickle", "NONE")
    for _ in range(2):
        assert_forbidden(urls.send(url))
        urls.client.add_permission(
            FunctionName="fickle",
            StatementId="s",
            Action="lambda:InvokeFunctionUrl",
            Principal="*",
            FunctionUrlAuthType="NONE",
        )
        assert urls.send(url)[0] == 200
        urls.client.remove_permission(FunctionName="fickle", StatementId="s")
    urls.client.add_permission(
        FunctionName="fickle",
        StatementId="s",
        Action="lambda:InvokeFunctionUrl",
        Principal="*",
        FunctionUrlAuthType="NONE",
    )
    urls.client.update_function_url_config(FunctionName="fickle", AuthType="AWS_IAM")
    assert_forbidden(urls.send(url))
    urls.client.delete_function_url_config(FunctionName="fickle")
    assert_forbidden(urls.send(url, urls.sign(url)))
