"""Settings that are checked, kept and answered as on AWS: VPC, KMS, file systems, SnapStart, runtime management."""

import asyncio

import pytest

from cosset.wire.errors import ServiceError
from support.functions import ACCOUNT, REGION, functions_room

ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:fn"
VPC = {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}
ANSWERED_VPC = {**VPC, "VpcId": "", "Ipv6AllowedForDualStack": False}
NO_VPC = {"SubnetIds": [], "SecurityGroupIds": [], "VpcId": "", "Ipv6AllowedForDualStack": False}
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/k"
ACCESS_POINT = f"arn:aws:elasticfilesystem:{REGION}:{ACCOUNT}:access-point/fsap-0123456789abcdef0"
MOUNT = {"Arn": ACCESS_POINT, "LocalMountPath": "/mnt/data"}


def in_room(tmp_path, test):
    async def run():
        async with functions_room(tmp_path) as room:
            await test(room)

    asyncio.run(run())


async def refusal(call):
    with pytest.raises(ServiceError) as caught:
        await call
    return caught.value.code, caught.value.message


async def update(room, **given):
    updated = await room.call("UpdateFunctionConfiguration", FunctionName="fn", **given)
    await room.settle()
    return updated


def test_what_was_not_set_is_not_answered(tmp_path):
    async def test(room):
        created = await room.create("fn")
        assert not {"VpcConfig", "KMSKeyArn", "FileSystemConfigs", "DeadLetterConfig"} & created.keys()

    in_room(tmp_path, test)


def test_the_life_of_a_network(tmp_path):
    async def test(room):
        assert (await room.create("fn", VpcConfig=VPC))["VpcConfig"] == ANSWERED_VPC
        updated = await update(room, VpcConfig={**VPC, "Ipv6AllowedForDualStack": True})
        assert updated["VpcConfig"]["Ipv6AllowedForDualStack"] is True
        assert (await update(room, Description="else"))["VpcConfig"] == updated["VpcConfig"]
        assert (await update(room, VpcConfig={"SubnetIds": [], "SecurityGroupIds": []}))["VpcConfig"] == NO_VPC

    in_room(tmp_path, test)


def test_a_policy_may_say_which_networks_and_signatures(tmp_path):
    async def test(room):
        config = f"arn:aws:lambda:{REGION}:{ACCOUNT}:code-signing-config:csc-00000000000000000"
        needed, *_ = room.needs("CreateFunction", FunctionName="fn", VpcConfig=VPC, CodeSigningConfigArn=config)
        assert needed.context == {
            "lambda:SubnetIds": VPC["SubnetIds"],
            "lambda:SecurityGroupIds": VPC["SecurityGroupIds"],
            "lambda:CodeSigningConfigArn": config,
        }

    in_room(tmp_path, test)


@pytest.mark.parametrize("half", [{"SubnetIds": ["subnet-1"]}, {"SubnetIds": [], "SecurityGroupIds": ["sg-1"]}])
def test_a_network_is_whole_or_none(tmp_path, half):
    async def test(room):
        refused = (
            "InvalidParameterValueException",
            "SubnetIds and SecurityIds must coexist or be both empty list.",
        )
        assert await refusal(room.create("new", VpcConfig=half)) == refused
        await room.create("fn")
        assert await refusal(update(room, VpcConfig=half)) == refused

    in_room(tmp_path, test)


def test_the_life_of_a_file_system(tmp_path):
    async def test(room):
        refused = (
            "InvalidParameterValueException",
            f"Function must be configured to execute in a VPC to reference access point {ACCESS_POINT}.",
        )
        assert await refusal(room.create("new", FileSystemConfigs=[MOUNT])) == refused
        assert (await room.create("fn", FileSystemConfigs=[MOUNT], VpcConfig=VPC))["FileSystemConfigs"] == [MOUNT]
        assert await refusal(update(room, VpcConfig={"SubnetIds": [], "SecurityGroupIds": []})) == refused
        assert "FileSystemConfigs" not in await update(room, FileSystemConfigs=[])

    in_room(tmp_path, test)


def test_the_life_of_a_key(tmp_path):
    async def test(room):
        assert (await room.create("fn", KMSKeyArn=KEY))["KMSKeyArn"] == KEY
        assert (await update(room, Description="else"))["KMSKeyArn"] == KEY
        assert "KMSKeyArn" not in await update(room, KMSKeyArn="")
        assert (await refusal(update(room, KMSKeyArn=KEY.replace(":kms:", ":s3:"))))[0] == (
            "InvalidParameterValueException"
        )

    in_room(tmp_path, test)


def test_snap_start_is_on_in_published_versions_alone(tmp_path):
    # recorded: TestLambdaSnapStart::test_snapstart_update_function_configuration
    async def test(room):
        await room.create("fn")
        off = {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}
        assert (await update(room, SnapStart={"ApplyOn": "PublishedVersions"}))["SnapStart"] == off
        before = (await room.call("GetFunctionConfiguration", FunctionName="fn"))["RevisionId"]
        published = await room.call("PublishVersion", FunctionName="fn")
        assert published["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}
        assert (published["State"], published["StateReasonCode"]) == ("Pending", "Creating")
        latest = await room.call("GetFunctionConfiguration", FunctionName="fn")
        assert (latest["SnapStart"], latest["State"]) == (off, "Active")
        assert latest["RevisionId"] != before
        with pytest.raises(ServiceError):
            await room.functions.resolve(ACCOUNT, REGION, "fn", "1")
        await room.settle()
        assert (await room.functions.resolve(ACCOUNT, REGION, "fn", "1")).version == "1"
        assert (await room.call("PublishVersion", FunctionName="fn"))["Version"] == "1"

    in_room(tmp_path, test)


def test_the_life_of_a_runtime_management_config(tmp_path):
    async def test(room):
        created = await room.create("fn", Publish=True)
        installed = (await room.call("GetFunctionConfiguration", FunctionName="fn"))["RuntimeVersionConfig"]

        async def get(**named):
            return await room.call("GetRuntimeManagementConfig", FunctionName="fn", **named)

        async def put(**given):
            return await room.call("PutRuntimeManagementConfig", FunctionName="fn", **given)

        assert await get() == {"UpdateRuntimeOn": "Auto", "FunctionArn": f"{ARN}:$LATEST"}
        pinned = {"UpdateRuntimeOn": "Manual", "FunctionArn": f"{ARN}:1", **installed}
        assert await put(Qualifier="1", UpdateRuntimeOn="Manual", **installed) == pinned
        assert await get(Qualifier="1") == pinned
        assert (await get())["UpdateRuntimeOn"] == "Auto"
        updated = await put(UpdateRuntimeOn="FunctionUpdate")
        assert updated == {"UpdateRuntimeOn": "FunctionUpdate", "FunctionArn": f"{ARN}:$LATEST"}
        # It is no change of the function: nothing new to publish.
        assert (await room.call("PublishVersion", FunctionName="fn"))["Version"] == created["Version"]

    in_room(tmp_path, test)


def test_a_runtime_that_is_not_here_cannot_be_pinned(tmp_path):
    async def test(room):
        await room.create("fn")

        def put(name="fn", **given):
            return room.call("PutRuntimeManagementConfig", FunctionName=name, **given)

        missing = f"arn:aws:lambda:{REGION}::runtime:0000"
        for given in ({}, {"RuntimeVersionArn": missing}):
            assert (await refusal(put(UpdateRuntimeOn="Manual", **given)))[0] == "InvalidParameterValueException"
        for name in ("none", "fn:7"):
            assert (await refusal(put(name, UpdateRuntimeOn="Auto")))[0] == "ResourceNotFoundException"

    in_room(tmp_path, test)
