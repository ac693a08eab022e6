"""The operations on function URLs: what IAM must allow, how a URL is named to whom, and what is remembered of it."""

import asyncio
from dataclasses import replace

import pytest

from cosset.services.lambda_.urls import address
from cosset.wire.errors import ServiceError
from support.functions import ACCOUNT, REGION, functions_room

ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:fn"


def in_room(tmp_path, test):
    async def run():
        async with functions_room(tmp_path) as room:
            await room.create("fn", Publish=True)
            await test(room)

    asyncio.run(run())


def url_id_of(answer):
    return answer["FunctionUrl"].removeprefix("http://").partition(".")[0]


def test_a_policy_may_ask_for_the_auth_type(tmp_path):
    async def test(room):
        for operation in ("CreateFunctionUrlConfig", "UpdateFunctionUrlConfig"):
            (needed,) = room.needs(operation, FunctionName="fn", Qualifier="live", AuthType="NONE")
            assert (needed.action, needed.resource) == (f"lambda:{operation}", f"{ARN}:live")
            assert needed.context == {"lambda:FunctionUrlAuthType": "NONE"}
        (needed,) = room.needs("UpdateFunctionUrlConfig", FunctionName="fn")
        assert needed.context == {}

    in_room(tmp_path, test)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:4566", "http://ID.lambda-url.us-east-1.localhost:4566/"),
        ("localhost:4566", "http://ID.lambda-url.us-east-1.localhost:4566/"),
        ("localhost", "http://ID.lambda-url.us-east-1.localhost/"),
        ("[::1]:4566", "http://ID.lambda-url.us-east-1.localhost:4566/"),
        ("lambda.localhost:1", "http://ID.lambda-url.us-east-1.localhost:1/"),
        ("192.0.2.1:4566", "http://192.0.2.1:4566/_cosset/url/ID/"),
        ("cosset.example:80", "http://cosset.example:80/_cosset/url/ID/"),
        ("[2001:db8::1]:80", "http://[2001:db8::1]:80/_cosset/url/ID/"),
        ("lambda.us-east-1.amazonaws.com", "http://lambda.us-east-1.amazonaws.com/_cosset/url/ID/"),
    ],
)
def test_a_url_is_one_that_its_reader_can_reach(tmp_path, host, expected):
    async def test(room):
        made = await room.call("CreateFunctionUrlConfig", FunctionName="fn", AuthType="NONE")
        found = await room.functions.urls.find(url_id_of(made))
        ctx = replace(room.context("GetFunctionUrlConfig"), host=host)
        assert address(ctx, found.url) == expected.replace("ID", found.url.url_id)

    in_room(tmp_path, test)


def test_what_is_remembered_of_a_url_follows_every_change(tmp_path):
    async def test(room):
        made = await room.call("CreateFunctionUrlConfig", FunctionName="fn", AuthType="NONE")
        url_id, urls = url_id_of(made), room.functions.urls
        assert (await urls.find(url_id)).url.auth_type == "NONE"
        await room.call("UpdateFunctionUrlConfig", FunctionName="fn", AuthType="AWS_IAM")
        assert (await urls.find(url_id)).url.auth_type == "AWS_IAM"
        assert (await urls.find(url_id)) is (await urls.find(url_id))
        await room.call("DeleteFunctionUrlConfig", FunctionName="fn")
        assert await urls.find(url_id) is None
        again = await room.call("CreateFunctionUrlConfig", FunctionName="fn", AuthType="NONE")
        assert url_id_of(again) != url_id
        assert await urls.find(url_id_of(again)) is not None
        await room.call("DeleteFunction", FunctionName="fn")
        assert await urls.find(url_id_of(again)) is None
        await room.create("fn")
        with pytest.raises(ServiceError, match="The resource you requested does not exist"):
            await room.call("GetFunctionUrlConfig", FunctionName="fn")

    in_room(tmp_path, test)


def test_a_url_of_an_alias_that_comes_and_goes(tmp_path):
    async def test(room):
        alias = {"FunctionName": "fn", "Name": "live", "FunctionVersion": "1"}
        with pytest.raises(ServiceError, match="Function does not exist"):
            await room.call("CreateFunctionUrlConfig", FunctionName="fn", Qualifier="live", AuthType="NONE")
        await room.call("CreateAlias", **alias)
        made = await room.call("CreateFunctionUrlConfig", FunctionName="fn:live", AuthType="NONE")
        assert made["FunctionArn"] == f"{ARN}:live"
        urls = room.functions.urls
        assert (await urls.find(url_id_of(made))).leads_somewhere
        await room.call("DeleteAlias", FunctionName="fn", Name="live")
        assert not (await urls.find(url_id_of(made))).leads_somewhere
        assert (await room.call("GetFunctionUrlConfig", FunctionName="fn", Qualifier="live"))["FunctionArn"]
        await room.call("CreateAlias", **alias)
        assert (await urls.find(url_id_of(made))).leads_somewhere

    in_room(tmp_path, test)


def test_two_at_once_make_one_url(tmp_path):
    async def test(room):
        made = await asyncio.gather(
            *(room.call("CreateFunctionUrlConfig", FunctionName="fn", AuthType="NONE") for _ in range(8)),
            return_exceptions=True,
        )
        codes = [each.code for each in made if isinstance(each, ServiceError)]
        assert codes == ["ResourceConflictException"] * 7

    in_room(tmp_path, test)
