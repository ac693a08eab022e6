import asyncio

import pytest

from cosset.wire.errors import ServiceError
from support.functions import ACCOUNT, REGION, functions_room
from support.zip import make_zip

ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:fn"


def in_room(tmp_path, test):
    async def run():
        async with functions_room(tmp_path) as room:
            await room.create("fn", Publish=True)
            package = make_zip({"index.py": "two"})
            await room.call("UpdateFunctionCode", FunctionName="fn", ZipFile=package, Publish=True)
            await room.settle()
            await test(room)

    asyncio.run(run())


async def refusal(call):
    with pytest.raises(ServiceError) as caught:
        await call
    return caught.value.code, caught.value.message


def routing(**weights):
    return {"AdditionalVersionWeights": {name.strip("v"): weight for name, weight in weights.items()}}


def test_the_life_of_an_alias(tmp_path):
    # recorded: TestLambdaAlias::test_alias_lifecycle
    async def test(room):
        created = await room.call(
            "CreateAlias",
            FunctionName="fn",
            Name="Prod",
            FunctionVersion="1",
            Description="custom-alias",
            RoutingConfig=routing(v2=0.2),
        )
        assert created == {
            "AliasArn": f"{ARN}:Prod",
            "Name": "Prod",
            "FunctionVersion": "1",
            "Description": "custom-alias",
            "RevisionId": created["RevisionId"],
            "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.2}},
        }
        assert await room.call("GetAlias", FunctionName="fn", Name="Prod") == created
        updated = await room.call("UpdateAlias", FunctionName="fn", Name="Prod", RoutingConfig=routing())
        assert "RoutingConfig" not in updated
        assert updated["Description"] == "custom-alias"
        assert updated["RevisionId"] != created["RevisionId"]
        assert (await room.call("ListAliases", FunctionName="fn"))["Aliases"] == [updated]
        assert (await room.call("ListAliases", FunctionName="fn", FunctionVersion="2"))["Aliases"] == []
        await room.call("DeleteAlias", FunctionName="fn", Name="Prod")
        await room.call("DeleteAlias", FunctionName="fn", Name="Prod")
        assert await refusal(room.call("GetAlias", FunctionName="fn", Name="Prod")) == (
            "ResourceNotFoundException",
            f"Cannot find alias arn: {ARN}:Prod",
        )
        assert await refusal(room.call("UpdateAlias", FunctionName="fn", Name="Prod")) == (
            "ResourceNotFoundException",
            f"Alias not found: {ARN}:Prod",
        )

    in_room(tmp_path, test)


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        ({"FunctionVersion": "10"}, "ResourceNotFoundException", f"Function not found: {ARN}:10"),
        (
            {"RoutingConfig": routing(v10=0.5)},
            "ResourceNotFoundException",
            f"Function not found: {ARN}:10",
        ),
        ({"FunctionName": "none"}, "ResourceNotFoundException", f"Function not found: {ARN[:-2]}none:1"),
        (
            {"RoutingConfig": routing(v1=0.5)},
            "InvalidParameterValueException",
            "Invalid function version 1. Function version 1 is already included in routing configuration.",
        ),
        (
            {"RoutingConfig": routing(v1=0.5, v2=0.5)},
            "InvalidParameterValueException",
            "Number of items in AdditionalVersionWeights cannot be greater than 1",
        ),
        (
            {"FunctionVersion": "$LATEST", "RoutingConfig": routing(v2=0.5)},
            "InvalidParameterValueException",
            "$LATEST is not supported for an alias pointing to more than 1 version",
        ),
        ({"Name": "taken"}, "ResourceConflictException", f"Alias already exists: {ARN}:taken"),
    ],
)
def test_routing_that_makes_no_sense(tmp_path, given, code, message):
    # recorded: TestLambdaAlias::test_notfound_and_invalid_routingconfigs
    async def test(room):
        await room.call("CreateAlias", FunctionName="fn", Name="taken", FunctionVersion="1")
        params = {"FunctionName": "fn", "Name": "Prod", "FunctionVersion": "1", **given}
        assert await refusal(room.call("CreateAlias", **params)) == (code, message)

    in_room(tmp_path, test)


def test_a_revision_guards_the_alias(tmp_path):
    # recorded: TestLambdaRevisions::test_function_revisions_version_and_alias
    async def test(room):
        alias = await room.call("CreateAlias", FunctionName="fn", Name="Prod", FunctionVersion="$LATEST")
        call = room.call("UpdateAlias", FunctionName="fn", Name="Prod", RevisionId="other", FunctionVersion="1")
        assert (await refusal(call))[0] == "PreconditionFailedException"
        updated = await room.call(
            "UpdateAlias", FunctionName="fn", Name="Prod", RevisionId=alias["RevisionId"], FunctionVersion="1"
        )
        assert updated["FunctionVersion"] == "1"

    in_room(tmp_path, test)


def test_aliases_are_paged(tmp_path):
    async def test(room):
        for name in ("b", "a", "c"):
            await room.call("CreateAlias", FunctionName="fn", Name=name, FunctionVersion="1")
        first = await room.call("ListAliases", FunctionName="fn", MaxItems=2)
        rest = await room.call("ListAliases", FunctionName="fn", MaxItems=2, Marker=first["NextMarker"])
        assert [alias["Name"] for alias in first["Aliases"] + rest["Aliases"]] == ["a", "b", "c"]
        assert "NextMarker" not in rest

    in_room(tmp_path, test)
