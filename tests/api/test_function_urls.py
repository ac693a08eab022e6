"""Function URLs: their settings by stock boto3, and what an ordinary HTTP client gets from them."""

import base64
import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cosset.testing.server import CossetServer
from support.role import starter_role
from support.zip import make_zip

ECHO = "def handler(event, context):\n    return event\n"
RETURN = "import json\ndef handler(event, context):\n    return json.loads(event['body'])\n"
TYPE_JSON = {"Content-Type": "application/json"}


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@pytest.fixture(scope="module")
def server() -> Iterator[CossetServer]:
    with CossetServer(["--tier", "process"]) as running:
        yield running


@pytest.fixture(scope="module")
def make(server: CossetServer) -> Callable[..., str]:
    client, names = server.client("lambda"), iter(range(1000))

    def create(source: str = ECHO, **given: Any) -> str:
        """A function of this source; its name."""
        name = f"behind-{next(names)}"
        file = "app.mjs" if str(given.get("Runtime", "")).startswith("nodejs") else "app.py"
        client.create_function(
            FunctionName=name,
            Role=starter_role(server),
            Handler="app.handler",
            Code={"ZipFile": make_zip({file: source})},
            **{"Runtime": "python3.13", "Timeout": 10, "MemorySize": 512, **given},
        )
        client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
        return name

    return create


@pytest.fixture(scope="module")
def publish(server: CossetServer, make: Callable[..., str]) -> Callable[..., str]:
    """A function with a URL that is open to everybody; the URL."""

    def create(source: str = ECHO, invoke_mode: str = "BUFFERED", cors: Any = None, **given: Any) -> str:
        name = make(source, **given)
        url = server.client("lambda").create_function_url_config(
            FunctionName=name, AuthType="NONE", InvokeMode=invoke_mode, **({"Cors": cors} if cors else {})
        )
        allow(server, name)
        return url["FunctionUrl"]

    return create


def allow(server: CossetServer, name: str, **given: Any) -> None:
    server.client("lambda").add_permission(
        FunctionName=name,
        StatementId="open",
        Action="lambda:InvokeFunctionUrl",
        Principal="*",
        FunctionUrlAuthType="NONE",
        **given,
    )


def call(url: str, method: str = "GET", body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
    """By the URL's name, which need not resolve here."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    with closing(http.client.HTTPConnection("127.0.0.1", parts.port, timeout=60)) as connection:
        connection.request(method, target, body, {"Host": parts.netloc, **(headers or {})})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())


def signed(
    server: CossetServer, url: str, region: str = "us-east-1", service: str = "lambda", key: Any = None
) -> dict[str, str]:
    request = AWSRequest("GET", url)
    SigV4Auth(key or server.session().get_credentials(), service, region).add_auth(request)
    return {name: value for name, value in request.headers.items() if name.lower() != "host"}


def by_path(server: CossetServer, url: str, path: str = "/") -> str:
    return f"{server.endpoint}/_cosset/url/{urlsplit(url).netloc.partition('.')[0]}{path}"


# -- settings ----------------------------------------------------------------------------------------------------------


def test_the_settings_of_a_url(server: CossetServer, make: Callable[..., str]) -> None:
    client, name = server.client("lambda"), make()
    made = client.create_function_url_config(FunctionName=name, AuthType="NONE")
    assert set(made) - {"ResponseMetadata"} == {"FunctionUrl", "FunctionArn", "AuthType", "CreationTime"}
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    parts = urlsplit(made["FunctionUrl"])
    url_id, _, rest = parts.netloc.partition(".")
    assert (len(url_id), rest) == (32, f"lambda-url.{server.region}.localhost:{urlsplit(server.endpoint).port}")
    got = client.get_function_url_config(FunctionName=name)
    assert (got["InvokeMode"], got["FunctionUrl"]) == ("BUFFERED", made["FunctionUrl"])
    assert "Cors" not in got
    with pytest.raises(client.exceptions.ResourceConflictException) as exists:
        client.create_function_url_config(FunctionName=name, AuthType="NONE")
    assert exists.value.response["Error"]["Message"] == (
        f"Failed to create function url config for [functionArn = {made['FunctionArn']}]. "
        "Error message:  FunctionUrlConfig exists for this Lambda function"
    )
    cors = {"AllowOrigins": ["https://example.com"], "MaxAge": 10}
    changed = client.update_function_url_config(FunctionName=name, InvokeMode="RESPONSE_STREAM", Cors=cors)
    assert (changed["InvokeMode"], changed["Cors"], changed["AuthType"]) == ("RESPONSE_STREAM", cors, "NONE")
    assert client.update_function_url_config(FunctionName=name, AuthType="AWS_IAM")["Cors"] == cors
    assert "Cors" not in client.update_function_url_config(FunctionName=name, Cors={})
    again = client.get_function_url_config(FunctionName=name)
    assert (again["CreationTime"], again["FunctionUrl"]) == (made["CreationTime"], made["FunctionUrl"])
    client.delete_function_url_config(FunctionName=name)
    for gone in (client.get_function_url_config, client.delete_function_url_config, client.update_function_url_config):
        with pytest.raises(client.exceptions.ResourceNotFoundException, match="The resource you requested does not"):
            gone(FunctionName=name)


def test_urls_of_a_function_and_its_aliases_are_listed(server: CossetServer, make: Callable[..., str]) -> None:
    # Recorded: TestLambdaUrl::test_url_config_list_paging
    client, name = server.client("lambda"), make()
    assert client.list_function_url_configs(FunctionName=name)["FunctionUrlConfigs"] == []
    client.publish_version(FunctionName=name)
    client.create_alias(FunctionName=name, Name="urlalias", FunctionVersion="1")
    client.create_function_url_config(FunctionName=name, AuthType="NONE", Qualifier="urlalias")
    client.create_function_url_config(FunctionName=name, AuthType="NONE")
    pages = [
        client.list_function_url_configs(FunctionName=name, MaxItems=1),
    ]
    pages.append(client.list_function_url_configs(FunctionName=name, MaxItems=1, Marker=pages[0]["NextMarker"]))
    assert "NextMarker" not in pages[1]
    listed = [config["FunctionArn"] for page in pages for config in page["FunctionUrlConfigs"]]
    assert [arn.partition(name)[2] for arn in listed] == ["", ":urlalias"]
    assert all("LastModifiedTime" in config for page in pages for config in page["FunctionUrlConfigs"])
    with pytest.raises(client.exceptions.ResourceNotFoundException, match="Function does not exist"):
        client.list_function_url_configs(FunctionName="nobody")


@pytest.mark.parametrize("qualifier", ["$LATEST", "1"])
def test_versions_have_no_url(server: CossetServer, make: Callable[..., str], qualifier: str) -> None:
    client = server.client("lambda")
    with pytest.raises(client.exceptions.ClientError) as refused:
        client.create_function_url_config(FunctionName="any", AuthType="NONE", Qualifier=qualifier)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert f"Value '{qualifier}' at 'qualifier' failed to satisfy" in refused.value.response["Error"]["Message"]


def test_what_the_settings_may_not_be(server: CossetServer) -> None:
    client = server.client("lambda")
    with pytest.raises(client.exceptions.ClientError) as refused:
        client.create_function_url_config(FunctionName="any", AuthType="NONE", InvokeMode="UNKNOWN")
    # Recorded: TestLambdaURL::test_lambda_url_invalid_invoke_mode
    assert refused.value.response["Error"]["Message"] == (
        "1 validation error detected: Value 'UNKNOWN' at 'invokeMode' failed to satisfy constraint: Member must "
        "satisfy enum value set: [RESPONSE_STREAM, BUFFERED]"
    )
    with pytest.raises(client.exceptions.ResourceNotFoundException, match="Function does not exist"):
        client.create_function_url_config(FunctionName="nobody", AuthType="NONE")


# -- requests ----------------------------------------------------------------------------------------------------------


def test_an_event_in_format_two(server: CossetServer, publish: Callable[..., str]) -> None:
    # Recorded: TestLambdaURL::test_lambda_url_echo_http_fixture_trim_x_headers
    url = publish()
    host = urlsplit(url).netloc
    answer = call(
        f"{url}path/1%2F2?q=query&q=two&empty=",
        "POST",
        b'{"foo":"bar"}',
        {**TYPE_JSON, "ExtRa-HeadErs": "With WeiRd CapS", "Cookie": "a=1; b=2", "User-Agent": "test/echo"},
    )
    event = answer.json
    context = event.pop("requestContext")
    trace_id = event["headers"].pop("x-amzn-trace-id")
    assert trace_id.startswith("Root=1-")
    assert event == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/path/1%2F2",
        "rawQueryString": "q=query&q=two&empty=",
        "cookies": ["a=1", "b=2"],
        "headers": {
            "accept-encoding": "identity",
            "content-length": "13",
            "content-type": "application/json",
            "extra-headers": "With WeiRd CapS",
            "host": host,
            "user-agent": "test/echo",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-port": host.partition(":")[2],
            "x-forwarded-proto": "http",
        },
        "queryStringParameters": {"q": "query,two", "empty": ""},
        "body": '{"foo":"bar"}',
        "isBase64Encoded": False,
    }
    assert (context["accountId"], context["domainName"], context["domainPrefix"], context["apiId"]) == (
        "anonymous",
        host,
        host.partition(".")[0],
        host.partition(".")[0],
    )
    assert context["http"] == {
        "method": "POST",
        "path": "/path/1%2F2",
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": "test/echo",
    }
    assert "authorizer" not in context
    assert context["requestId"] == answer.headers["x-amzn-RequestId"]
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")


def test_the_same_url_by_path(server: CossetServer, publish: Callable[..., str]) -> None:
    url = publish()
    event = call(by_path(server, url, "/a/b?c=d")).json
    assert (event["rawPath"], event["rawQueryString"]) == ("/a/b", "c=d")
    assert call(by_path(server, url, "")).json["rawPath"] == "/"


def test_bodies_that_are_no_text_come_in_base64(publish: Callable[..., str]) -> None:
    url = publish()
    for content_type, body in (("application/octet-stream", b"\x00\xff"), ("text/plain", b"\xff")):
        event = call(url, "PUT", body, {"Content-Type": content_type}).json
        assert (base64.b64decode(event["body"]), event["isBase64Encoded"]) == (body, True)
    event = call(url, "DELETE").json
    assert ("body" in event, event["isBase64Encoded"]) == (False, False)


@pytest.mark.parametrize(
    ("returned", "status", "headers", "body"),
    [
        ({"a": 1}, 200, {"Content-Type": "application/json"}, b'{"a": 1}'),
        ("hi", 200, {"Content-Type": "application/json"}, b'"hi"'),
        (None, 200, {"Content-Type": "application/json"}, b"null"),
        ({"statusCode": 404}, 404, {"Content-Type": "application/json"}, b""),
        (
            {"statusCode": 201, "headers": {"x-one": "1", "content-type": "text/html"}, "body": "<p>ü"},
            201,
            {"x-one": "1", "Content-Type": "text/html"},
            "<p>ü".encode(),
        ),
        ({"statusCode": "302", "headers": {"Location": "/x", "n": 5}}, 302, {"Location": "/x", "n": "5"}, b""),
        ({"statusCode": 200, "body": "AP8=", "isBase64Encoded": True}, 200, {}, b"\x00\xff"),
        ({"statusCode": 200, "headers": {"x": "a\r\nset-cookie: forged=1"}, "body": ""}, 200, {"x": "a  set-cookie: "
         "forged=1"}, b""),
    ],
)  # fmt: skip
def test_what_a_function_may_return(
    publish: Callable[..., str],
    returning: str,
    returned: Any,
    status: int,
    headers: dict[str, str],
    body: bytes,
) -> None:
    answer = call(returning, "POST", json.dumps(returned).encode(), TYPE_JSON)
    assert (answer.status, answer.body) == (status, body)
    assert {name: answer.headers[name] for name in headers} == headers
    assert answer.headers.get_all("set-cookie") is None


@pytest.fixture(scope="module")
def returning(publish: Callable[..., str]) -> str:
    """The URL of a function that returns what it is sent."""
    return publish(RETURN)


def test_cookies_are_set_one_by_one(returning: str) -> None:
    returned = {"statusCode": 200, "cookies": ["a=1; Secure", "b=2"], "body": "x"}
    answer = call(returning, "POST", json.dumps(returned).encode(), TYPE_JSON)
    assert answer.headers.get_all("set-cookie") == ["a=1; Secure", "b=2"]


def test_what_has_no_body_is_sent_without_one(publish: Callable[..., str], returning: str) -> None:
    """Or its body would be taken for the next answer on the connection."""
    source = """export const handler = awslambda.streamifyResponse(async (event, stream) => {
      const out = awslambda.HttpResponseStream.from(stream, {statusCode: Number(event.rawPath.slice(1))});
      out.write("HTTP/1.1 200 OK"); out.end("forged"); });"""
    for url, paths in (
        (returning, ("/", "/")),
        (publish(source, "RESPONSE_STREAM", Runtime="nodejs22.x"), ("/204", "/304")),
    ):
        host = urlsplit(url).netloc
        with closing(http.client.HTTPConnection("127.0.0.1", urlsplit(url).port, timeout=60)) as connection:
            for path, status in zip(paths, (204, 304), strict=True):
                body = json.dumps({"statusCode": status, "headers": {"x-amzn-RequestId": "mine"}, "body": "forged"})
                connection.request("POST", path, body, {"Host": host, **TYPE_JSON})
                answer = connection.getresponse()
                assert (answer.status, answer.read()) == (status, b"")
                assert len(answer.headers.get_all("x-amzn-RequestId")) == 1
            connection.request("HEAD", "/200", headers={"Host": host})
            assert connection.getresponse().read() == b""


@pytest.mark.parametrize(
    "returned",
    [
        {"statusCode": "many"},
        {"statusCode": 42},
        {"statusCode": 101},
        {"statusCode": True},
        {"statusCode": 200, "headers": "none"},
        {"statusCode": 200, "headers": {"a b": "1"}},
        {"statusCode": 200, "headers": {"a": {}}},
        {"statusCode": 200, "cookies": "a=1"},
        {"statusCode": 200, "body": "%%%", "isBase64Encoded": True},
    ],
)
def test_what_is_no_response_is_a_502(returning: str, returned: Any) -> None:
    answer = call(returning, "POST", json.dumps(returned).encode(), TYPE_JSON)
    assert (answer.status, answer.body) == (502, b"Internal Server Error")


@pytest.mark.parametrize(
    "source",
    [
        "def handler(event, context):\n    raise ValueError('secret')\n",
        "import os\ndef handler(event, context):\n    os._exit(1)\n",
        "import nothing\n",
    ],
)
def test_a_function_that_fails_says_nothing_to_strangers(publish: Callable[..., str], source: str) -> None:
    # Recorded: TestLambdaURL::test_lambda_url_invocation_exception
    answer = call(publish(source))
    assert (answer.status, answer.body) == (502, b"Internal Server Error")
    assert answer.headers["x-amzn-RequestId"]


def test_a_large_request_and_a_throttled_function(server: CossetServer, make: Callable[..., str]) -> None:
    client, name = server.client("lambda"), make()
    url = client.create_function_url_config(FunctionName=name, AuthType="NONE")["FunctionUrl"]
    allow(server, name)
    large = call(url, "POST", b"x" * (6 * 1024 * 1024 + 1))
    assert (large.status, large.headers["x-amzn-ErrorType"]) == (413, "RequestEntityTooLargeException")
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    throttled = call(url)
    assert (throttled.status, throttled.headers["x-amzn-ErrorType"]) == (429, "TooManyRequestsException")
    assert throttled.json["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"


def test_a_url_of_an_alias_outlives_it(server: CossetServer, make: Callable[..., str]) -> None:
    # Recorded: TestLambdaURL::test_lambda_url_persists_after_alias_delete
    client, name = server.client("lambda"), make()
    client.publish_version(FunctionName=name)
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    url = client.create_function_url_config(FunctionName=name, AuthType="NONE", Qualifier="live")["FunctionUrl"]
    assert call(url).status == 403
    allow(server, name)
    assert call(url).status == 403  # the permission is the function's, the URL the alias's
    allow(server, name, Qualifier="live")
    assert call(url).status == 200
    client.delete_alias(FunctionName=name, Name="live")
    answer = call(url)
    assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (403, "AccessDeniedException")
    assert answer.json["Message"].startswith("Forbidden. For troubleshooting Function URL authorization issues, see: ")
    assert len(client.list_function_url_configs(FunctionName=name)["FunctionUrlConfigs"]) == 1
    client.delete_function(FunctionName=name)
    assert call(url).status == 403


def test_a_url_survives_a_restart(server: CossetServer, publish: Callable[..., str]) -> None:
    path = urlsplit(publish()).netloc.partition(".")[0]
    server.kill9()
    server.restart()
    assert call(f"{server.endpoint}/_cosset/url/{path}/after").json["rawPath"] == "/after"


# -- signed requests ---------------------------------------------------------------------------------------------------


def test_a_url_that_asks_for_a_signature(server: CossetServer, make: Callable[..., str]) -> None:
    name = make()
    url = server.client("lambda").create_function_url_config(FunctionName=name, AuthType="AWS_IAM")["FunctionUrl"]
    for address in (f"{url}some/path?b=2&a=1", by_path(server, url, "/some/path?b=2&a=1")):
        answer = call(address, headers=signed(server, address))
        assert answer.status == 200, answer.body
        event = answer.json
        identity = event["requestContext"]["authorizer"]["iam"]
        assert identity["userArn"] == server.client("sts").get_caller_identity()["Arn"]
        assert (identity["accountId"], event["requestContext"]["accountId"]) == (server.account, server.account)
        assert identity["accessKey"] == server.credentials.access_key_id
        assert "authorization" not in event["headers"]
        assert event["rawPath"] == "/some/path"


# -- browsers ----------------------------------------------------------------------------------------------------------


def test_what_browsers_may(publish: Callable[..., str]) -> None:
    cors = {
        "AllowOrigins": ["https://a.example"],
        "AllowMethods": ["GET", "POST"],
        "AllowHeaders": ["x-mine"],
        "ExposeHeaders": ["x-yours"],
        "MaxAge": 60,
        "AllowCredentials": True,
    }
    source = "def handler(event, context):\n    return {'statusCode': 200, 'headers': "
    source += "{'Access-Control-Allow-Origin': 'https://function.example'}, 'body': 'ran'}\n"
    url = publish(source, cors=cors)
    asked = {"Access-Control-Request-Method": "GET"}
    preflight = call(url, "OPTIONS", headers={"Origin": "https://a.example", **asked})
    assert (preflight.status, preflight.body) == (200, b"")
    assert {name.lower(): value for name, value in preflight.headers.items() if name.startswith("Access")} == {
        "access-control-allow-origin": "https://a.example",
        "access-control-allow-methods": "GET,POST",
        "access-control-allow-headers": "x-mine",
        "access-control-max-age": "60",
        "access-control-allow-credentials": "true",
    }
    stranger = call(url, "OPTIONS", headers={"Origin": "https://b.example", **asked})
    assert "Access-Control-Allow-Origin" not in stranger.headers
    answer = call(url, headers={"Origin": "https://a.example"})
    assert answer.headers.get_all("Access-Control-Allow-Origin") == ["https://a.example"]
    assert answer.headers["Access-Control-Expose-Headers"] == "x-yours"
    assert "Access-Control-Allow-Origin" not in call(url, headers={"Origin": "https://b.example"}).headers


def test_without_a_configuration_the_function_answers_browsers_itself(publish: Callable[..., str]) -> None:
    url = publish()
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
    answer = call(url, "OPTIONS", headers=asked)
    assert answer.json["requestContext"]["http"]["method"] == "OPTIONS"


# -- streams -----------------------------------------------------------------------------------------------------------

STREAM = """export const handler = awslambda.streamifyResponse(async (event, stream) => {
  const mode = event.rawPath;
  if (mode === "/early") throw new Error("early");
  if (mode === "/plain") { stream.setContentType("text/plain"); stream.write("Hello, "); stream.end("world!"); return; }
  const out = awslambda.HttpResponseStream.from(stream, {statusCode: 418, headers: {"x-a": "b"}, cookies: ["c=d"]});
  out.write("one");
  if (mode === "/late") { await new Promise((r) => setTimeout(r, 100)); throw new Error("late"); }
  out.end("two");
});"""


@pytest.mark.parametrize("mode", ["RESPONSE_STREAM", "BUFFERED"])
def test_a_function_that_streams(publish: Callable[..., str], mode: str) -> None:
    # Recorded: TestLambdaURL::test_function_url_with_response_streaming
    url = publish(STREAM, mode, Runtime="nodejs22.x")
    plain = call(f"{url}plain")
    assert (plain.status, plain.headers["Content-Type"], plain.body) == (200, "text/plain", b"Hello, world!")
    answer = call(url)
    assert (answer.status, answer.body, answer.headers["x-a"]) == (418, b"onetwo", "b")
    assert (answer.headers["set-cookie"], answer.headers["Content-Type"]) == ("c=d", "application/octet-stream")
    assert (call(f"{url}early").status, call(f"{url}early").body) == (502, b"Internal Server Error")
    if mode == "BUFFERED":
        assert call(f"{url}late").status == 502
    else:
        for body in (None, b"x" * 100_000):
            with pytest.raises(http.client.IncompleteRead):
                call(f"{url}late", "POST", body)
    assert call(f"{url}plain").status == 200


def test_a_function_that_does_not_stream_behind_a_streaming_url(publish: Callable[..., str]) -> None:
    url = publish(RETURN, "RESPONSE_STREAM")
    answer = call(url, "POST", b'{"statusCode": 201, "body": "x"}', TYPE_JSON)
    assert (answer.status, answer.body) == (200, b'{"statusCode": 201, "body": "x"}')


def test_credentials_of_nobody_open_nothing(server: CossetServer, make: Callable[..., str]) -> None:
    url = server.client("lambda").create_function_url_config(FunctionName=make(), AuthType="AWS_IAM")["FunctionUrl"]
    stranger = Credentials("AKIAIOSFODNN7EXAMPLE", "secret")
    answer = call(url, headers=signed(server, url, key=stranger))
    assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (403, "UnrecognizedClientException")
