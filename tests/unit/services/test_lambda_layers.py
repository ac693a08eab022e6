import asyncio
import json

import pytest

from cosset.functions import layers
from cosset.wire.errors import ServiceError
from support.functions import ACCOUNT, HANDLER_ZIP, REGION, functions_room
from support.zip import make_zip

ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:tools"
LAYER_ZIP = make_zip({"python/tools.py": "ANSWER = 42\n"})


def in_room(tmp_path, test):
    async def run():
        async with functions_room(tmp_path) as room:
            await test(room)

    asyncio.run(run())


async def publish(room, name="tools", package=LAYER_ZIP, **given):
    return await room.call("PublishLayerVersion", LayerName=name, Content={"ZipFile": package}, **given)


async def refusal(call):
    with pytest.raises(ServiceError) as caught:
        await call
    return caught.value.code, caught.value.message


def test_the_life_of_a_layer(tmp_path):
    # recorded: TestLambdaLayer::test_layer_lifecycle
    async def test(room):
        given = {"CompatibleRuntimes": ["python3.12"], "CompatibleArchitectures": ["x86_64"], "LicenseInfo": "MIT"}
        first = await publish(room, Description="one", **given)
        content = first.pop("Content")
        assert content.keys() == {"Location", "CodeSha256", "CodeSize"}
        assert first == {
            "LayerArn": ARN,
            "LayerVersionArn": f"{ARN}:1",
            "Version": 1,
            "Description": "one",
            "CreatedDate": "2025-11-21T04:40:00.000+0000",
            **given,
        }
        got = await room.call("GetLayerVersion", LayerName=ARN, VersionNumber=1)
        assert {name: value for name, value in got.items() if name != "Content"} == first
        assert await room.call("GetLayerVersionByArn", Arn=f"{ARN}:1") == got
        assert (await publish(room))["Version"] == 2
        listed = (await room.call("ListLayerVersions", LayerName="tools"))["LayerVersions"]
        assert [item["Version"] for item in listed] == [2, 1]
        assert not {"Content", "LayerArn", "CompatibleRuntimes"} & listed[0].keys()
        (layer,) = (await room.call("ListLayers"))["Layers"]
        assert (layer["LayerName"], layer["LayerArn"]) == ("tools", ARN)
        assert layer["LatestMatchingVersion"]["Version"] == 2
        (layer,) = (await room.call("ListLayers", CompatibleRuntime="python3.12"))["Layers"]
        assert layer["LatestMatchingVersion"]["Version"] == 1
        for number in (1, 2, 2):
            await room.call("DeleteLayerVersion", LayerName="tools", VersionNumber=number)
        assert await room.call("ListLayerVersions", LayerName="tools") == {"LayerVersions": []}
        assert (await publish(room))["Version"] == 3

    in_room(tmp_path, test)


def test_a_function_keeps_a_layer_that_is_deleted(tmp_path):
    # recorded: TestLambdaLayer::test_layer_lifecycle, get_fn_config_postdelete
    async def test(room):
        await publish(room)
        shown = [{"Arn": f"{ARN}:1", "CodeSize": len(LAYER_ZIP)}]
        assert (await room.create("fn", Layers=[f"{ARN}:1"]))["Layers"] == shown
        await room.call("DeleteLayerVersion", LayerName="tools", VersionNumber=1)
        room.clock.advance(7200)
        await room.code.collect()
        target = await room.functions.resolve(ACCOUNT, REGION, "fn", None)
        assert [(folder / "python/tools.py").read_text() for folder in target.layer_dirs] == ["ANSWER = 42\n"]
        assert (await room.call("GetFunctionConfiguration", FunctionName="fn"))["Layers"] == shown
        updated = await room.call("UpdateFunctionConfiguration", FunctionName="fn", Layers=[])
        assert "Layers" not in updated
        room.clock.advance(7200)
        await room.code.collect()
        assert not target.layer_dirs[0].exists()

    in_room(tmp_path, test)


def test_layers_come_in_the_order_that_was_given(tmp_path):
    async def test(room):
        for name in ("a", "b"):
            await publish(room, name, make_zip({f"{name}.txt": name}))
        arns = [f"{ARN.removesuffix('tools')}{name}:1" for name in ("b", "a")]
        await room.create("fn", Layers=arns)
        target = await room.functions.resolve(ACCOUNT, REGION, "fn", None)
        assert [[file.name for file in folder.iterdir()] for folder in target.layer_dirs] == [["b.txt"], ["a.txt"]]

    in_room(tmp_path, test)


def test_layers_that_cannot_be_used(tmp_path, monkeypatch):
    async def test(room):
        for name in "abcdef":
            await publish(room, name)
        await publish(room, "a")
        arns = [f"{ARN.removesuffix('tools')}{name}:1" for name in "abcdef"]
        again = arns[0][:-1] + "2"
        elsewhere = arns[0].replace(REGION, "eu-west-1")
        for given, message in [
            (arns, "Cannot reference more than 5 layers."),
            ([f"{ARN}:9"], f"Layer version {ARN}:9 does not exist."),
            ([arns[0], again], "Two different versions of the same layer are not allowed"),
            ([elsewhere], "Layers are not in the same region as the function."),
        ]:
            code, said = await refusal(room.create("fn", Layers=given))
            assert code == "InvalidParameterValueException"
            assert said.startswith(message)
        code, _ = await refusal(room.create("fn", Layers=[arns[0].replace(ACCOUNT, "222222222222")]))
        assert code == "InvalidParameterValueException"
        monkeypatch.setattr(layers, "MAX_UNZIPPED_BYTES", 50)
        code, said = await refusal(room.create("fn", Layers=arns[:2]))
        assert said.startswith("Function code combined with layers exceeds the maximum allowed size of 50 bytes.")
        assert await refusal(room.call("GetFunction", FunctionName="fn"))

    in_room(tmp_path, test)


def test_what_is_not_there(tmp_path):
    # recorded: TestLambdaLayer::test_layer_policy_exceptions
    async def test(room):
        assert await refusal(room.call("GetLayerVersion", LayerName="tools", VersionNumber=1)) == (
            "ResourceNotFoundException",
            "The resource you requested does not exist.",
        )
        missing = ("ResourceNotFoundException", f"Layer version {ARN}:1 does not exist.")
        named = {"LayerName": "tools", "VersionNumber": 1}
        assert await refusal(room.call("GetLayerVersionPolicy", **named)) == missing
        assert await refusal(room.call("AddLayerVersionPermission", **named, **GRANT)) == missing
        assert await refusal(room.call("RemoveLayerVersionPermission", **named, StatementId="s")) == missing
        assert await refusal(room.call("DeleteLayerVersion", LayerName="tools", VersionNumber=0)) == (
            "InvalidParameterValueException",
            "Layer Version Cannot be less than 1.",
        )

    in_room(tmp_path, test)


GRANT = {"StatementId": "s1", "Action": "lambda:GetLayerVersion", "Principal": "*"}


def test_the_policy_of_a_layer(tmp_path):
    # recorded: TestLambdaLayer::test_layer_policy_exceptions
    async def test(room):
        await publish(room)
        named = {"LayerName": "tools", "VersionNumber": 1}
        assert await refusal(room.call("GetLayerVersionPolicy", **named)) == (
            "ResourceNotFoundException",
            "No policy is associated with the given resource.",
        )
        added = await room.call("AddLayerVersionPermission", **named, **GRANT)
        assert json.loads(added["Statement"]) == {
            "Sid": "s1",
            "Effect": "Allow",
            "Principal": "*",
            "Action": "lambda:GetLayerVersion",
            "Resource": f"{ARN}:1",
        }
        policy = await room.call("GetLayerVersionPolicy", **named)
        assert policy["RevisionId"] == added["RevisionId"]
        assert len(json.loads(policy["Policy"])["Statement"]) == 1
        assert (await refusal(room.call("AddLayerVersionPermission", **named, **GRANT)))[0] == (
            "ResourceConflictException"
        )
        code, message = await refusal(
            room.call("RemoveLayerVersionPermission", **named, StatementId="s1", RevisionId="other")
        )
        assert code == "PreconditionFailedException"
        assert message.endswith("Call the GetLayerPolicy API to retrieve the latest Revision Id")
        code, message = await refusal(room.call("RemoveLayerVersionPermission", **named, StatementId="s2"))
        assert message == "Statement s2 is not found in resource policy."
        await room.call("RemoveLayerVersionPermission", **named, StatementId="s1", RevisionId=added["RevisionId"])
        await refusal(room.call("GetLayerVersionPolicy", **named))

    in_room(tmp_path, test)


def test_what_iam_must_allow(tmp_path):
    async def test(room):
        (publishing,) = room.needs("PublishLayerVersion", LayerName="tools")
        assert (publishing.action, publishing.resource) == ("lambda:PublishLayerVersion", ARN)
        (getting,) = room.needs("GetLayerVersion", LayerName=ARN, VersionNumber=3)
        assert getting.resource == f"{ARN}:3"
        needed = room.needs("CreateFunction", FunctionName="fn", Layers=[f"{ARN}:3"])
        assert ("lambda:GetLayerVersion", f"{ARN}:3") in [(need.action, need.resource) for need in needed]

    in_room(tmp_path, test)


def test_layers_count_as_code(tmp_path):
    # recorded: TestLambdaAccountSettings::test_account_settings_total_code_size
    async def test(room):
        await publish(room)
        await room.create("fn")
        usage = (await room.call("GetAccountSettings"))["AccountUsage"]
        assert usage == {"FunctionCount": 1, "TotalCodeSize": len(LAYER_ZIP) + len(HANDLER_ZIP)}

    in_room(tmp_path, test)


def test_lists_are_paged(tmp_path):
    async def test(room):
        for name in ("b", "a", "a"):
            await publish(room, name)
        first = await room.call("ListLayers", MaxItems=1)
        rest = await room.call("ListLayers", MaxItems=1, Marker=first["NextMarker"])
        assert [item["LayerName"] for item in first["Layers"] + rest["Layers"]] == ["a", "b"]
        assert "NextMarker" not in rest
        first = await room.call("ListLayerVersions", LayerName="a", MaxItems=1)
        rest = await room.call("ListLayerVersions", LayerName="a", MaxItems=1, Marker=first["NextMarker"])
        assert [item["Version"] for item in first["LayerVersions"] + rest["LayerVersions"]] == [2, 1]
        assert "NextMarker" not in rest

    in_room(tmp_path, test)
