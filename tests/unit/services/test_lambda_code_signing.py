"""Code signing configurations: kept, attached to functions, and enforced on every deployment."""

import asyncio

import pytest

from cosset.wire.errors import ServiceError
from support.functions import ACCOUNT, HANDLER_ZIP, REGION, functions_room
from support.zip import make_zip

PUBLISHER = f"arn:aws:signer:{REGION}:{ACCOUNT}:/signing-profiles/test"
PUBLISHERS = {"SigningProfileVersionArns": [PUBLISHER]}
MISSING = f"arn:aws:lambda:{REGION}:{ACCOUNT}:code-signing-config:csc-00000000000000000"
NOT_FOUND = ("ResourceNotFoundException", f"The Lambda code signing configuration {MISSING} can not be found.")
NO_SUCH_CONFIG = (
    "CodeSigningConfigNotFoundException",
    f"The code signing configuration cannot be found. Check that the provided configuration is not deleted: {MISSING}.",
)
NO_FUNCTION = ("ResourceNotFoundException", f"Function not found: arn:aws:lambda:{REGION}:{ACCOUNT}:function:none")


def in_room(tmp_path, test):
    async def run():
        async with functions_room(tmp_path) as room:
            await room.create("fn")
            await test(room)

    asyncio.run(run())


async def refusal(call):
    with pytest.raises(ServiceError) as caught:
        await call
    return caught.value.code, caught.value.message


async def make(room, policy=None, **given):
    policies = {} if policy is None else {"CodeSigningPolicies": {"UntrustedArtifactOnDeployment": policy}}
    made = await room.call("CreateCodeSigningConfig", AllowedPublishers=PUBLISHERS, **policies, **given)
    return made["CodeSigningConfig"]


def test_the_life_of_a_configuration(tmp_path):
    # recorded: TestCodeSigningConfig::test_code_signing_not_found_excs
    async def test(room):
        made = await make(room, "Enforce", Description="Testing CodeSigning Config")
        arn = made["CodeSigningConfigArn"]
        assert arn == f"arn:aws:lambda:{REGION}:{ACCOUNT}:code-signing-config:{made['CodeSigningConfigId']}"
        assert len(made.pop("CodeSigningConfigId")) == len("csc-") + 17
        assert made.pop("LastModified").endswith("+0000")
        assert made == {
            "CodeSigningConfigArn": arn,
            "AllowedPublishers": PUBLISHERS,
            "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Enforce"},
            "Description": "Testing CodeSigning Config",
        }
        named = {"CodeSigningConfigArn": arn}
        same = (await room.call("UpdateCodeSigningConfig", **named))["CodeSigningConfig"]
        assert made.items() <= same.items()
        warn = {"UntrustedArtifactOnDeployment": "Warn"}
        changed = await room.call("UpdateCodeSigningConfig", **named, CodeSigningPolicies=warn, Description="d")
        assert changed["CodeSigningConfig"]["CodeSigningPolicies"] == warn
        assert await room.call("GetCodeSigningConfig", **named) == changed
        await room.call("DeleteCodeSigningConfig", **named)
        assert (await refusal(room.call("GetCodeSigningConfig", **named)))[0] == "ResourceNotFoundException"

    in_room(tmp_path, test)


def test_what_was_not_given(tmp_path):
    async def test(room):
        made = await make(room)
        assert made["CodeSigningPolicies"] == {"UntrustedArtifactOnDeployment": "Warn"}
        assert "Description" not in made

    in_room(tmp_path, test)


def test_a_configuration_that_is_not_there(tmp_path):
    # recorded: TestCodeSigningConfig::test_code_signing_not_found_excs
    async def test(room):
        other = {"CodeSigningConfigArn": MISSING}
        for operation in ("Get", "Update", "Delete"):
            assert await refusal(room.call(f"{operation}CodeSigningConfig", **other)) == NOT_FOUND
        assert await refusal(room.call("ListFunctionsByCodeSigningConfig", **other)) == NOT_FOUND
        for name in ("fn", "none"):
            put = room.call("PutFunctionCodeSigningConfig", FunctionName=name, **other)
            assert await refusal(put) == NO_SUCH_CONFIG
        arn = (await make(room))["CodeSigningConfigArn"]
        put = room.call("PutFunctionCodeSigningConfig", FunctionName="none", CodeSigningConfigArn=arn)
        assert await refusal(put) == NO_FUNCTION
        for operation in ("Get", "Delete"):
            assert await refusal(room.call(f"{operation}FunctionCodeSigningConfig", FunctionName="none")) == NO_FUNCTION
        assert await refusal(room.create("new", CodeSigningConfigArn=MISSING)) == NO_SUCH_CONFIG
        elsewhere = {"CodeSigningConfigArn": arn.replace(ACCOUNT, "222222222222")}
        assert (await refusal(room.call("GetCodeSigningConfig", **elsewhere)))[0] == "ResourceNotFoundException"

    in_room(tmp_path, test)


def test_functions_have_a_configuration_and_lose_it(tmp_path):
    async def test(room):
        arn = (await make(room))["CodeSigningConfigArn"]
        named = {"CodeSigningConfigArn": arn}
        await room.create("other", **named)
        assert await room.call("GetFunctionCodeSigningConfig", FunctionName="fn") == {}
        await room.call("DeleteFunctionCodeSigningConfig", FunctionName="fn")
        attached = {**named, "FunctionName": "fn"}
        assert await room.call("PutFunctionCodeSigningConfig", **attached) == attached
        assert await room.call("GetFunctionCodeSigningConfig", FunctionName="fn") == attached

        async def functions():
            found, marker = [], {}
            while True:
                page = await room.call("ListFunctionsByCodeSigningConfig", **named, MaxItems=1, **marker)
                found += [each.rpartition(":")[2] for each in page["FunctionArns"]]
                if "NextMarker" not in page:
                    return found
                marker = {"Marker": page["NextMarker"]}

        assert await functions() == ["fn", "other"]
        in_use = await refusal(room.call("DeleteCodeSigningConfig", **named))
        assert in_use[0] == "ResourceConflictException"
        await room.call("DeleteFunctionCodeSigningConfig", FunctionName="fn")
        await room.call("DeleteFunction", FunctionName="other")
        assert await functions() == []
        await room.call("DeleteCodeSigningConfig", **named)

    in_room(tmp_path, test)


def test_enforce_refuses_what_is_not_signed(tmp_path):
    async def test(room):
        arn = (await make(room, "Enforce"))["CodeSigningConfigArn"]
        refused = (
            "CodeVerificationFailedException",
            "Lambda cannot deploy the function. The function or layer might be signed using a signature that the "
            "client is not configured to accept. Check the provided signature for {}.",
        )

        async def is_refused(call, name):
            code, message = await refusal(call)
            assert (code, message) == (refused[0], refused[1].format(name))

        await is_refused(room.create("new", CodeSigningConfigArn=arn), "new")
        await room.call("PutFunctionCodeSigningConfig", FunctionName="fn", CodeSigningConfigArn=arn)
        before = (await room.call("GetFunction", FunctionName="fn"))["Configuration"]
        other = make_zip({"index.py": "x = 1\n"})
        for given in ({}, {"DryRun": True}, {"Publish": True}):
            call = room.call("UpdateFunctionCode", FunctionName="fn", ZipFile=other, **given)
            await is_refused(call, "fn")
        layer = await room.call("PublishLayerVersion", LayerName="l", Content={"ZipFile": HANDLER_ZIP})
        layers = {"Layers": [layer["LayerVersionArn"]]}
        await is_refused(room.call("UpdateFunctionConfiguration", FunctionName="fn", **layers), "fn")
        assert (await room.call("GetFunction", FunctionName="fn"))["Configuration"] == before
        # Settings alone are no deployment, and what is deployed stays.
        await room.call("UpdateFunctionConfiguration", FunctionName="fn", Description="d")
        await room.settle()
        await room.call("DeleteFunctionCodeSigningConfig", FunctionName="fn")
        await room.call("UpdateFunctionCode", FunctionName="fn", ZipFile=other)

    in_room(tmp_path, test)


def test_warn_takes_it_and_says_so(tmp_path, caplog):
    async def test(room):
        arn = (await make(room, "Warn"))["CodeSigningConfigArn"]
        await room.create("new", CodeSigningConfigArn=arn)
        assert [record.message for record in caplog.records if "not signed" in record.message] == [
            f"the code of arn:aws:lambda:{REGION}:{ACCOUNT}:function:new is not signed by any publisher that {arn} "
            "allows"
        ]
        await room.call("UpdateFunctionCode", FunctionName="new", ZipFile=HANDLER_ZIP)
        assert caplog.text.count("not signed") == 2

    in_room(tmp_path, test)


def test_configurations_are_listed_and_tagged(tmp_path):
    async def test(room):
        arns = sorted([(await make(room, Tags={"a": "1"}))["CodeSigningConfigArn"] for _ in range(3)])
        first = await room.call("ListCodeSigningConfigs", MaxItems=2)
        rest = await room.call("ListCodeSigningConfigs", Marker=first["NextMarker"])
        listed = first["CodeSigningConfigs"] + rest["CodeSigningConfigs"]
        assert [each["CodeSigningConfigArn"] for each in listed] == arns
        await room.call("TagResource", Resource=arns[0], Tags={"b": "2"})
        await room.call("UntagResource", Resource=arns[0], TagKeys=["a"])
        assert [(await room.call("ListTags", Resource=arn))["Tags"] for arn in arns[:2]] == [{"b": "2"}, {"a": "1"}]
        assert await refusal(room.call("ListTags", Resource=MISSING)) == NOT_FOUND

    in_room(tmp_path, test)


def test_iam_must_allow_each_operation_on_the_configuration(tmp_path):
    async def test(room):
        (needed,) = room.needs("GetCodeSigningConfig", CodeSigningConfigArn=MISSING)
        assert (needed.action, needed.resource) == ("lambda:GetCodeSigningConfig", MISSING)
        (needed,) = room.needs("PutFunctionCodeSigningConfig", FunctionName="fn", CodeSigningConfigArn=MISSING)
        assert needed.resource.endswith(":function:fn")
        assert needed.context == {"lambda:CodeSigningConfigArn": MISSING}
        asked = {"AllowedPublishers": PUBLISHERS, "Tags": {"a": "1"}}
        assert [each.action for each in room.needs("CreateCodeSigningConfig", **asked)] == [
            "lambda:CreateCodeSigningConfig",
            "lambda:TagResource",
        ]

    in_room(tmp_path, test)
