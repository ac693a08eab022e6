"""Whom the policy on a function lets through its URL, and which requests are for a URL at all."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosset.functions.model import FunctionKey
from cosset.functions.url_records import FunctionUrl
from cosset.functions.urls import UrlAccess
from cosset.gateway.function_urls import FORBIDDEN, FunctionUrlGate, UrlPlace, find_place
from cosset.identity.authorizer import PolicyAuthorizer
from cosset.identity.policy_sources import HeldPolicies, PolicyText, ResourceFacts
from cosset.identity.principal import Principal
from cosset.services.lambda_.url_events import UrlCall
from cosset.wire.message import Headers, Request, Response
from support.clock import ManualClock
from support.front import MemoryKeys

KEY = FunctionKey("111111111111", "us-east-1", "f")
URL_ID = "a" * 32


class OneUrl:
    """FunctionUrls and UrlCalls at once: a URL that answers what it was called with."""

    def __init__(self, statements: list[dict[str, Any]], auth_type: str = "NONE", leads_somewhere: bool = True) -> None:
        self.statements = statements
        url = FunctionUrl(
            key=KEY,
            qualifier="",
            url_id=URL_ID,
            auth_type=auth_type,
            invoke_mode=None,
            cors=None,
            created="",
            modified="",
        )
        self.access = UrlAccess(url, leads_somewhere)

    async def find(self, url_id: str) -> UrlAccess | None:
        return self.access if url_id == URL_ID else None

    async def answer(self, call: UrlCall, gone: asyncio.Event) -> Response:
        return Response(200, [], call.path.encode())

    async def policies_of(self, principal: Principal) -> HeldPolicies:
        return HeldPolicies()

    async def facts_of(self, action: str, resource: str) -> ResourceFacts | None:
        document = {"Version": "2012-10-17", "Statement": self.statements}
        return ResourceFacts((PolicyText("default", json.dumps(document)),) if self.statements else ())


def send(one: OneUrl, request: Request, *, audit: bool = False) -> Response:
    clock = ManualClock(1_763_717_400_000)
    gate = FunctionUrlGate(
        one,  # type: ignore[arg-type]
        one,  # type: ignore[arg-type]
        keys=MemoryKeys(),
        authorizer=PolicyAuthorizer(one, {"lambda": one}, clock, audit=audit),
        clock=clock,
        max_clock_skew_s=300,
    )
    place = find_place(request)
    assert place is not None
    return asyncio.run(gate.answer(place, request, "r-1", asyncio.Event()))


def request(peer: str = "127.0.0.1") -> Request:
    return Request("GET", "/p", "", Headers(), host=f"{URL_ID}.lambda-url.us-east-1.localhost:1", peer=peer)


def statement(**changes: Any) -> dict[str, Any]:
    made = {
        "Sid": "s",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "lambda:InvokeFunctionUrl",
        "Resource": KEY.arn,
        "Condition": {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}},
    }
    made.update(changes)
    return {name: value for name, value in made.items() if value is not None}


@pytest.mark.parametrize("audit", [False, True])
@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([], False),
        ([statement()], True),
        ([statement(Condition=None)], True),
        ([statement(Action="lambda:*")], True),
        ([statement(Principal={"AWS": "*"})], True),
        ([statement(Action="lambda:InvokeFunction")], False),
        ([statement(Principal={"AWS": f"arn:aws:iam::{KEY.account}:root"})], False),
        ([statement(Principal={"Service": "s3.amazonaws.com"})], False),
        ([statement(Resource=KEY.arn + "-other")], False),
        ([statement(Resource=KEY.qualified_arn("live"))], False),
        ([statement(Condition={"StringEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}})], False),
        ([statement(Condition={"StringEquals": {"AWS:SourceAccount": KEY.account}})], False),
        ([statement(Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}})], False),
        ([statement(Condition={"ArnLike": {"AWS:SourceArn": "arn:aws:s3:::*"}})], False),
        ([statement(), statement(Sid="no", Effect="Deny", Condition=None)], False),
    ],
)
def test_whom_a_policy_lets_in(statements: list[dict[str, Any]], expected: bool, audit: bool) -> None:
    """Watching only, as --dev does, opens nothing to strangers."""
    answer = send(OneUrl(statements), request(), audit=audit)
    assert answer.status == (200 if expected else 403)
    if not expected:
        assert json.loads(answer.body) == {"Message": FORBIDDEN}


def test_a_policy_may_ask_where_the_caller_is() -> None:
    one = OneUrl([statement(Condition={"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}})])
    assert send(one, request("192.0.2.9")).status == 200
    assert send(one, request("192.0.3.9")).status == 403


def test_a_policy_for_open_urls_does_not_open_a_signed_one() -> None:
    assert send(OneUrl([statement(Condition=None)], "AWS_IAM"), request()).status == 403


def test_a_url_whose_alias_is_gone_leads_nowhere() -> None:
    assert send(OneUrl([statement()], leads_somewhere=False), request()).status == 403


@pytest.mark.parametrize(
    ("host", "path", "expected"),
    [
        (f"{URL_ID}.lambda-url.us-east-1.localhost:4566", "/x", UrlPlace(URL_ID, "us-east-1", "/x")),
        (f"{URL_ID.upper()}.Lambda-URL.eu-west-1.on.aws", "/", UrlPlace(URL_ID, "eu-west-1", "/")),
        (f"{URL_ID}.lambda-url.us-east-1.localhost", "", UrlPlace(URL_ID, "us-east-1", "/")),
        ("localhost:4566", f"/_cosset/url/{URL_ID}/a/b", UrlPlace(URL_ID, None, "/a/b")),
        ("localhost:4566", f"/_cosset/url/{URL_ID}", UrlPlace(URL_ID, None, "/")),
        ("localhost:4566", "/_cosset/url/other", UrlPlace("", None, "/")),
        ("localhost:4566", f"/_cosset/url/{URL_ID}x/", UrlPlace("", None, "/")),
        ("localhost:4566", "/_cosset/url", None),
        ("localhost:4566", f"/x/_cosset/url/{URL_ID}/", None),
        ("lambda.us-east-1.amazonaws.com", "/", None),
        (f"{URL_ID[1:]}.lambda-url.us-east-1.localhost", "/", None),
        (f"x.{URL_ID}.lambda-url.us-east-1.localhost", "/", None),
    ],
)
def test_which_requests_are_for_a_url(host: str, path: str, expected: UrlPlace | None) -> None:
    assert find_place(Request("GET", path, "", Headers(), host=host)) == expected


@given(st.text(), st.text())
def test_any_host_and_path_can_be_looked_at(host: str, path: str) -> None:
    find_place(Request("GET", path, "", Headers(), host=host))
