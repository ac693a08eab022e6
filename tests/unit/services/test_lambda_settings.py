"""Tags, concurrency and policies."""

import asyncio
import json

import pytest

from cosset.wire.errors import ServiceError
from support.functions import ACCOUNT, REGION, functions_room

ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:fn"


def in_room(tmp_path, test):
    async def run():
        async with functions_room(tmp_path) as room:
            await room.create("fn", Publish=True)
            await test(room)

    asyncio.run(run())


async def refusal(call):
    with pytest.raises(ServiceError) as caught:
        await call
    return caught.value.code, caught.value.message


async def refused(call):
    """The code of the refusal, or None."""
    try:
        await call
    except ServiceError as error:
        return error.code
    return None


async def revision_of(room, **named):
    return (await room.call("GetFunctionConfiguration", FunctionName="fn", **named))["RevisionId"]


def test_the_life_of_tags(tmp_path):
    # recorded: TestLambdaTag::test_tag_lifecycle[lambda_function]
    async def test(room):
        async def listed():
            return (await room.call("ListTags", Resource=ARN))["Tags"]

        before = await revision_of(room)
        await room.call("TagResource", Resource=ARN, Tags={"A": "a", "B": "b"})
        await room.call("TagResource", Resource=ARN, Tags={"B": "new"})
        assert await listed() == {"A": "a", "B": "new"}
        assert await revision_of(room) != before
        await room.call("UntagResource", Resource=ARN, TagKeys=["A", "none"])
        assert await listed() == {"B": "new"}
        await room.call("UntagResource", Resource=ARN, TagKeys=["B"])
        assert await listed() == {}

    in_room(tmp_path, test)


def test_tags_belong_to_functions_alone(tmp_path):
    # recorded: TestLambdaTags::test_tag_versions, TestLambdaTag::test_tag_nonexisting_resource
    async def test(room):
        for qualifier in ("1", "$LATEST"):
            call = room.call("TagResource", Resource=f"{ARN}:{qualifier}", Tags={"A": "a"})
            assert await refusal(call) == (
                "InvalidParameterValueException",
                "Tags on function aliases and versions are not supported. Please specify a function ARN.",
            )
        missing = ("ResourceNotFoundException", f"Function not found: {ARN}2")
        assert await refusal(room.call("TagResource", Resource=f"{ARN}2", Tags={"A": "a"})) == missing
        assert await refusal(room.call("UntagResource", Resource=f"{ARN}2", TagKeys=["A"])) == missing
        assert await refusal(room.call("ListTags", Resource=f"{ARN}2")) == missing

    in_room(tmp_path, test)


def test_a_function_has_up_to_50_tags(tmp_path):
    async def test(room):
        await room.call("TagResource", Resource=ARN, Tags={str(number): "x" for number in range(50)})
        assert (await refusal(room.call("TagResource", Resource=ARN, Tags={"one more": "x"})))[0] == (
            "InvalidParameterValueException"
        )

    in_room(tmp_path, test)


def test_the_life_of_reserved_concurrency(tmp_path):
    # recorded: TestLambdaReservedConcurrency::test_function_concurrency
    async def test(room):
        assert await room.call("GetFunctionConcurrency", FunctionName="fn") == {}
        for reserved in (1, 0):
            put = await room.call("PutFunctionConcurrency", FunctionName="fn", ReservedConcurrentExecutions=reserved)
            assert put == {"ReservedConcurrentExecutions": reserved}
            assert await room.call("GetFunctionConcurrency", FunctionName="fn") == put
        await room.call("DeleteFunctionConcurrency", FunctionName="fn")
        assert await room.call("GetFunctionConcurrency", FunctionName="fn") == {}
        for operation in ("GetFunctionConcurrency", "DeleteFunctionConcurrency"):
            assert (await refusal(room.call(operation, FunctionName="none")))[0] == "ResourceNotFoundException"

    in_room(tmp_path, test)


def grant(sid="s3", principal="s3.amazonaws.com", **given):
    return {
        "FunctionName": "fn",
        "StatementId": sid,
        "Action": "lambda:InvokeFunction",
        "Principal": principal,
        **given,
    }


@pytest.mark.parametrize(
    ("given", "principal", "condition"),
    [
        ({}, {"Service": "s3.amazonaws.com"}, None),
        ({"Principal": "*"}, "*", None),
        ({"Principal": "222222222222"}, {"AWS": "arn:aws:iam::222222222222:root"}, None),
        (
            {"Principal": "arn:aws:iam::222222222222:user/u"},
            {"AWS": "arn:aws:iam::222222222222:user/u"},
            None,
        ),
        (
            {"SourceArn": "arn:aws:s3:::bucket"},
            {"Service": "s3.amazonaws.com"},
            {"ArnLike": {"AWS:SourceArn": "arn:aws:s3:::bucket"}},
        ),
        (
            {"SourceAccount": "222222222222", "EventSourceToken": "t"},
            {"Service": "s3.amazonaws.com"},
            {"StringEquals": {"AWS:SourceAccount": "222222222222", "lambda:EventSourceToken": "t"}},
        ),
        (
            {"Principal": "*", "FunctionUrlAuthType": "NONE"},
            "*",
            {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}},
        ),
    ],
)
def test_statements_read_as_those_of_aws(tmp_path, given, principal, condition):
    # recorded: TestLambdaPermissions, TestLambdaURL::test_lambda_url_invocation_exception
    async def test(room):
        added = await room.call("AddPermission", **grant() | given)
        statement = json.loads(added["Statement"])
        assert statement.pop("Condition", None) == condition
        assert statement == {
            "Sid": "s3",
            "Effect": "Allow",
            "Principal": principal,
            "Action": "lambda:InvokeFunction",
            "Resource": ARN,
        }

    in_room(tmp_path, test)


def test_the_life_of_a_policy(tmp_path):
    async def test(room):
        assert await refusal(room.call("GetPolicy", FunctionName="fn")) == (
            "ResourceNotFoundException",
            "The resource you requested does not exist.",
        )
        before = await revision_of(room)
        await room.call("AddPermission", **grant("b"))
        await room.call("AddPermission", **grant("a", RevisionId=await revision_of(room)))
        await room.call("AddPermission", **grant("v1", Qualifier="1"))
        policy = await room.call("GetPolicy", FunctionName="fn")
        document = json.loads(policy["Policy"])
        assert [statement["Sid"] for statement in document["Statement"]] == ["b", "a"]
        assert (document["Version"], document["Id"]) == ("2012-10-17", "default")
        assert policy["RevisionId"] == await revision_of(room) != before
        of_version = json.loads((await room.call("GetPolicy", FunctionName="fn", Qualifier="1"))["Policy"])
        assert [statement["Resource"] for statement in of_version["Statement"]] == [f"{ARN}:1"]
        code, message = await refusal(room.call("AddPermission", **grant("c", RevisionId="other")))
        assert (code, message.split(". ")[1]) == (
            "PreconditionFailedException",
            "Call the GetPolicy API to retrieve the latest Revision Id",
        )
        assert (await refusal(room.call("AddPermission", **grant("a"))))[0] == "ResourceConflictException"
        for sid in ("a", "b"):
            await room.call("RemovePermission", FunctionName="fn", StatementId=sid)
        assert (await refusal(room.call("RemovePermission", FunctionName="fn", StatementId="a")))[0] == (
            "ResourceNotFoundException"
        )

    in_room(tmp_path, test)


def test_a_policy_has_a_limit(tmp_path):
    async def test(room):
        long = {"SourceArn": "arn:aws:s3:::" + "x" * 100}
        for number in range(50):
            await room.call("AddPermission", **grant(f"{number}", **long))
        refusals = [
            await refused(room.call("AddPermission", **grant(f"{number}", **long))) for number in range(50, 100)
        ]
        assert refusals[-1] == "PolicyLengthExceededException"

    in_room(tmp_path, test)


def test_a_principal_that_is_none(tmp_path):
    async def test(room):
        assert await refusal(room.call("AddPermission", **grant(principal="nobody"))) == (
            "InvalidParameterValueException",
            "The provided principal was invalid. Please check the principal and try again.",
        )

    in_room(tmp_path, test)


def test_a_permission_is_about_an_action_that_there_is(tmp_path):
    async def test(room):
        for action in ("lambda:InvokeFunction", "lambda:InvokeFunctionUrl", "lambda:GetFunction", "lambda:*", "*"):
            await room.call("AddPermission", **grant(action[-9:].strip(":*") or "all") | {"Action": action})
            await room.call("RemovePermission", FunctionName="fn", StatementId=action[-9:].strip(":*") or "all")
        code = await refused(room.call("AddPermission", **grant() | {"Action": "lambda:Fly"}))
        assert code == "InvalidParameterValueException"

    in_room(tmp_path, test)


def document(**changes):
    statement = {"Effect": "Deny", "Principal": "*", "Action": "lambda:InvokeFunction", "Resource": ARN}
    return json.dumps({"Version": "2012-10-17", "Id": "mine", "Statement": [statement | changes]})


def test_a_policy_that_is_put_whole_takes_the_place_of_all_statements(tmp_path):
    async def test(room):
        await room.call("AddPermission", **grant("old"))
        put = await room.call("PutResourcePolicy", ResourceArn=ARN, Policy=document())
        assert json.loads(put["Policy"]) == json.loads(document())
        assert await room.call("GetResourcePolicy", ResourceArn=ARN) == put
        assert (await room.call("GetPolicy", FunctionName="fn"))["Policy"] == put["Policy"]
        assert put["RevisionId"] == await revision_of(room)
        await room.call("AddPermission", **grant("new"))
        both = json.loads((await room.call("GetResourcePolicy", ResourceArn=ARN))["Policy"])
        assert (both["Id"], [each.get("Sid") for each in both["Statement"]]) == ("mine", [None, "new"])
        stale = room.call("DeleteResourcePolicy", ResourceArn=ARN, RevisionId=put["RevisionId"])
        assert await refused(stale) == "PreconditionFailedException"
        await room.call("DeleteResourcePolicy", ResourceArn=ARN)
        for call in (
            room.call("GetResourcePolicy", ResourceArn=ARN),
            room.call("DeleteResourcePolicy", ResourceArn=ARN),
            room.call("GetResourcePolicy", ResourceArn=f"{ARN}:9"),
        ):
            assert await refused(call) == "ResourceNotFoundException"

    in_room(tmp_path, test)


@pytest.mark.parametrize(
    "policy",
    [
        "no json",
        "[]",
        document(Resource=f"{ARN}:1"),
        document(Resource="*"),
        document(Action="s3:GetObject"),
        document(Effect="Maybe"),
        document(Condition={"NoSuchOperator": {"a": "b"}}),
        json.dumps({"Statement": [{"Effect": "Allow", "Action": "lambda:*", "Resource": ARN}]}),
    ],
)
def test_a_policy_that_says_nothing_about_the_function_is_refused(tmp_path, policy):
    async def test(room):
        put = room.call("PutResourcePolicy", ResourceArn=ARN, Policy=policy)
        assert await refused(put) == "InvalidParameterValueException"

    in_room(tmp_path, test)


@pytest.mark.parametrize("operation", ["PutFunctionConcurrency", "GetFunctionConcurrency", "DeleteFunctionConcurrency"])
@pytest.mark.parametrize("qualifier", ["1", "$LATEST"])
def test_concurrency_is_reserved_for_functions_alone(tmp_path, operation, qualifier):
    async def test(room):
        more = {"ReservedConcurrentExecutions": 1} if operation.startswith("Put") else {}
        assert await refused(room.call(operation, FunctionName=f"{ARN}:{qualifier}", **more)) == (
            "InvalidParameterValueException"
        )

    in_room(tmp_path, test)
