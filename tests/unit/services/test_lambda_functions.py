import asyncio

import pytest

from cosset.services.lambda_ import packages
from cosset.services.lambda_.code_links import LASTS_S, PATH
from cosset.testing.objects import MemoryObjects
from cosset.wire.errors import ServiceError
from cosset.wire.message import Headers, Request
from support.functions import ACCOUNT, HANDLER_ZIP, REGION, ROLE, functions_room
from support.zip import make_zip

ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:fn"


def in_room(tmp_path, test, **settings):
    async def run():
        async with functions_room(tmp_path, **settings) as room:
            await test(room)

    asyncio.run(run())


async def refusal(call):
    with pytest.raises(ServiceError) as caught:
        await call
    return caught.value.code, caught.value.message


def test_create_answers_what_aws_answers(tmp_path):
    # recorded: TestLambdaAlias::test_alias_lifecycle, create_response
    async def test(room):
        created = await room.create("fn", Environment={"Variables": {"testenv": "staging"}})
        assert created.pop("RevisionId")
        assert created.pop("RuntimeVersionConfig")["RuntimeVersionArn"].startswith(f"arn:aws:lambda:{REGION}::runtime:")
        assert len(created.pop("CodeSha256")) == 44
        assert created == {
            "Architectures": ["x86_64"],
            "CodeSize": len(HANDLER_ZIP),
            "Description": "",
            "Environment": {"Variables": {"testenv": "staging"}},
            "EphemeralStorage": {"Size": 512},
            "FunctionArn": ARN,
            "FunctionName": "fn",
            "Handler": "index.handler",
            "LastModified": "2025-11-21T04:40:00.000+0000",
            "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/fn"},
            "MemorySize": 128,
            "PackageType": "Zip",
            "Role": ROLE,
            "Runtime": "python3.12",
            "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
            "State": "Pending",
            "StateReason": "The function is being created.",
            "StateReasonCode": "Creating",
            "Timeout": 3,
            "TracingConfig": {"Mode": "PassThrough"},
            "Version": "$LATEST",
        }

    in_room(tmp_path, test)


def test_no_environment_is_no_member_and_an_empty_one_is_empty(tmp_path):
    async def test(room):
        assert "Environment" not in await room.create("without")
        assert (await room.create("empty", Environment={}))["Environment"] == {"Variables": {}}

    in_room(tmp_path, test)


def test_create_with_publish_answers_version_1(tmp_path):
    # recorded: TestLambdaFeatures::test_invocation_with_qualifier, creation-response: version 1, but a plain ARN
    async def test(room):
        created = await room.create("fn", Publish=True)
        assert (created["Version"], created["FunctionArn"], created["State"]) == ("1", ARN, "Pending")
        assert "LastUpdateStatus" not in created
        version = await room.call("GetFunctionConfiguration", FunctionName="fn", Qualifier="1")
        assert (version["State"], version["LastUpdateStatus"]) == ("Active", "Successful")

    in_room(tmp_path, test)


def test_update_code_with_publish_answers_the_pending_version(tmp_path):
    # recorded: TestLambdaVersions::test_lambda_versions_with_code_changes, update_lambda_response_with_publish
    async def test(room):
        await room.create("fn")
        package = make_zip({"index.py": "handler = None"})
        updated = await room.call("UpdateFunctionCode", FunctionName="fn", ZipFile=package, Publish=True)
        assert (updated["Version"], updated["FunctionArn"], updated["State"]) == ("1", f"{ARN}:1", "Pending")
        assert "LastUpdateStatus" not in updated
        latest = await room.call("GetFunctionConfiguration", FunctionName="fn")
        assert (latest["State"], latest["LastUpdateStatus"]) == ("Active", "InProgress")
        assert latest["LastUpdateStatusReason"] == "The function is being created."

    in_room(tmp_path, test)


@pytest.mark.parametrize("qualifier", [None, "$LATEST", "1", "Prod"])
def test_the_arn_repeats_the_qualifier(tmp_path, qualifier):
    async def test(room):
        await room.create("fn", Publish=True)
        await room.call("CreateAlias", FunctionName="fn", Name="Prod", FunctionVersion="1")
        named = {"FunctionName": "fn", **({"Qualifier": qualifier} if qualifier else {})}
        answered = await room.call("GetFunctionConfiguration", **named)
        assert answered["FunctionArn"] == (f"{ARN}:{qualifier}" if qualifier else ARN)
        assert answered["Version"] == {"1": "1", "Prod": "1"}.get(qualifier, "$LATEST")

    in_room(tmp_path, test)


def test_get_function_shows_tags_and_concurrency_only_when_there_are_any(tmp_path):
    async def test(room):
        await room.create("fn")
        assert (await room.call("GetFunction", FunctionName="fn")).keys() == {"Configuration", "Code"}
        await room.call("TagResource", Resource=ARN, Tags={"a": "b"})
        await room.call("PutFunctionConcurrency", FunctionName="fn", ReservedConcurrentExecutions=0)
        answered = await room.call("GetFunction", FunctionName="fn")
        assert answered["Tags"] == {"a": "b"}
        assert answered["Concurrency"] == {"ReservedConcurrentExecutions": 0}
        assert answered["Code"]["RepositoryType"] == "S3"

    in_room(tmp_path, test)


def test_the_code_location_gives_the_package_until_it_expires(tmp_path):
    async def test(room):
        await room.create("fn")
        location = (await room.call("GetFunction", FunctionName="fn"))["Code"]["Location"]
        assert location.startswith(f"http://127.0.0.1:4566{PATH}")
        path, query = location.removeprefix("http://127.0.0.1:4566").split("?")

        async def get(path, query):
            response = await room.links.answer(Request("GET", path, query, Headers()))
            if isinstance(response.body, bytes):
                return response.status, response.body
            return response.status, b"".join([chunk async for chunk in response.body])

        assert await get(path, query) == (200, HANDLER_ZIP)
        for bad_path, bad_query in [
            (path, query.replace("Expires=1", "Expires=2")),
            (path, query[:-1] + ("0" if query[-1] != "0" else "1")),
            (path, query + "0"),
            (path, ""),
            (path, "Expires=9999999999&Signature="),
            (path, "Expires=" + "9" * 5000),
            (path[:-1] + ("0" if path[-1] != "0" else "1"), query),
            (PATH + "../../cosset.db", query),
            (PATH, query),
        ]:
            assert (await get(bad_path, bad_query))[0] == 403
        room.clock.advance(LASTS_S + 1)
        assert (await get(path, query))[0] == 403

    in_room(tmp_path, test)


def test_a_code_location_outlives_a_restart(tmp_path):
    async def run():
        async with functions_room(tmp_path) as room:
            await room.create("fn")
            location = (await room.call("GetFunction", FunctionName="fn"))["Code"]["Location"]
        path, query = location.removeprefix("http://127.0.0.1:4566").split("?")
        async with functions_room(tmp_path) as room:
            assert (await room.links.answer(Request("GET", path, query, Headers()))).status == 200

    asyncio.run(run())


def test_lists_are_paged_and_carry_no_states(tmp_path):
    # recorded: TestLambdaVersions::test_version_lifecycle, list_versions_result
    async def test(room):
        for name in ("b", "a", "c"):
            await room.create(name, Publish=name == "a")
        listed, marker = [], None
        while True:
            page = await room.call("ListFunctions", MaxItems=2, FunctionVersion="ALL", Marker=marker)
            listed += page["Functions"]
            marker = page.get("NextMarker")
            if marker is None:
                break
            assert len(page["Functions"]) == 2
        assert [(item["FunctionName"], item["FunctionArn"].split(":")[7]) for item in listed] == [
            ("a", "$LATEST"),
            ("a", "1"),
            ("b", "$LATEST"),
            ("c", "$LATEST"),
        ]
        assert not {"State", "LastUpdateStatus", "RuntimeVersionConfig"} & listed[0].keys()
        plain = await room.call("ListFunctions")
        assert [item["FunctionArn"].split(":")[-1] for item in plain["Functions"]] == ["a", "b", "c"]
        assert "NextMarker" not in plain
        assert await refusal(room.call("ListFunctions", Marker="nonsense")) == (
            "InvalidParameterValueException",
            "Invalid Marker: nonsense",
        )

    in_room(tmp_path, test)


def test_versions_are_listed_with_their_numbers(tmp_path):
    async def test(room):
        await room.create("fn", Publish=True)
        first = await room.call("ListVersionsByFunction", FunctionName="fn", MaxItems=1)
        second = await room.call("ListVersionsByFunction", FunctionName="fn", Marker=first["NextMarker"])
        assert [item["FunctionArn"] for item in first["Versions"] + second["Versions"]] == [
            f"{ARN}:$LATEST",
            f"{ARN}:1",
        ]
        assert "NextMarker" not in second
        assert await refusal(room.call("ListVersionsByFunction", FunctionName="none")) == (
            "ResourceNotFoundException",
            f"Function not found: {ARN[:-2]}none",
        )

    in_room(tmp_path, test)


def test_delete(tmp_path):
    # recorded: test_ops_with_arn_qualifier_mismatch, test_function_name_and_qualifier_validation[...-delete_function]
    async def test(room):
        for qualifier, message in [
            ("$LATEST", "$LATEST version cannot be deleted without deleting the function."),
            ("a" * 65, "Deletion of aliases is not currently supported."),
        ]:
            assert await refusal(room.call("DeleteFunction", FunctionName="fn", Qualifier=qualifier)) == (
                "InvalidParameterValueException",
                message,
            )
        assert await refusal(room.call("DeleteFunction", FunctionName="fn", Qualifier="$latest")) == (
            "ResourceNotFoundException",
            f"Function not found: {ARN}",
        )
        await room.create("fn", Publish=True)
        await room.call("CreateAlias", FunctionName="fn", Name="Prod", FunctionVersion="1")
        code, _ = await refusal(room.call("DeleteFunction", FunctionName="fn", Qualifier="1"))
        assert code == "ResourceConflictException"
        await room.call("DeleteAlias", FunctionName="fn", Name="Prod")
        assert await room.call("DeleteFunction", FunctionName="fn:1") == {"StatusCode": 204}
        assert await room.call("DeleteFunction", FunctionName="fn") == {"StatusCode": 204}
        assert await refusal(room.call("GetFunction", FunctionName="fn")) == (
            "ResourceNotFoundException",
            f"Function not found: {ARN}",
        )

    in_room(tmp_path, test)


def test_a_revision_guards_updates(tmp_path):
    async def test(room):
        await room.create("fn")
        stale = (
            "PreconditionFailedException",
            "The Revision Id provided does not match the latest Revision Id. "
            "Call the GetFunction/GetAlias API to retrieve the latest Revision Id",
        )
        call = room.call("UpdateFunctionCode", FunctionName="fn", ZipFile=HANDLER_ZIP, RevisionId="other")
        assert await refusal(call) == stale
        call = room.call("UpdateFunctionConfiguration", FunctionName="fn", Timeout=9, RevisionId="other")
        assert await refusal(call) == stale
        current = (await room.call("GetFunctionConfiguration", FunctionName="fn"))["RevisionId"]
        updated = await room.call("UpdateFunctionConfiguration", FunctionName="fn", Timeout=9, RevisionId=current)
        assert updated["Timeout"] == 9

    in_room(tmp_path, test)


@pytest.mark.parametrize(
    ("given", "answered"),
    [
        ({"LogFormat": "JSON"}, {"ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO", "LogFormat": "JSON"}),
        (
            {"LogFormat": "JSON", "ApplicationLogLevel": "DEBUG"},
            {"ApplicationLogLevel": "DEBUG", "SystemLogLevel": "INFO", "LogFormat": "JSON"},
        ),
        ({"LogGroup": "cool_lambda"}, {"LogFormat": "Text", "LogGroup": "cool_lambda"}),
    ],
)
def test_a_partial_logging_configuration_is_completed(tmp_path, given, answered):
    # recorded: TestLoggingConfig::test_function_partial_advanced_logging_configuration_update
    async def test(room):
        await room.create("fn")
        updated = await room.call("UpdateFunctionConfiguration", FunctionName="fn", LoggingConfig=given)
        assert updated["LoggingConfig"] == {"LogGroup": "/aws/lambda/fn", **answered}

    in_room(tmp_path, test)


@pytest.mark.parametrize(
    "given",
    [
        {"DeadLetterConfig": {"TargetArn": "arn:aws:sqs:us-east-1:111111111111:q"}},
        {
            "PackageType": "Image",
            "Runtime": None,
            "Handler": None,
            "Code": {"ImageUri": "111111111111.dkr.ecr.us-east-1.amazonaws.com/image:latest"},
        },
        {"Code": {"S3Bucket": "bucket", "S3Key": "key"}},
    ],
)
def test_what_would_have_no_effect_is_refused_by_name(tmp_path, given):
    async def test(room):
        with pytest.raises(ServiceError) as caught:
            await room.create("fn", **given)
        assert (caught.value.code, caught.value.status) == ("NotImplementedException", 501)
        (member, _), *_ = given.items()
        assert member in caught.value.message or "S3" in caught.value.message or "Image" in caught.value.message

    in_room(tmp_path, test)


def test_what_asks_for_nothing_is_taken(tmp_path):
    async def test(room):
        created = await room.create(
            "fn", Layers=[], VpcConfig={"SubnetIds": [], "SecurityGroupIds": []}, DeadLetterConfig={"TargetArn": ""}
        )
        assert created["VpcConfig"]["SubnetIds"] == []
        assert "Layers" not in created

    in_room(tmp_path, test)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ({}, "Please provide a source for function code."),
        ({"ZipFile": b"x"}, "Could not unzip uploaded file. Please check your file, then try to upload again."),
        (
            {"ZipFile": b"x", "S3Bucket": "b"},
            "Please do not provide other FunctionCode parameters when providing a ZipFile.",
        ),
    ],
)
def test_code_that_cannot_be_taken(tmp_path, code, message):
    async def test(room):
        assert await refusal(room.create("fn", Code=code)) == ("InvalidParameterValueException", message)
        assert await refusal(room.call("GetFunction", FunctionName="fn")) == (
            "ResourceNotFoundException",
            f"Function not found: {ARN}",
        )

    in_room(tmp_path, test)


def test_another_account_is_out_of_reach(tmp_path):
    async def test(room):
        theirs = "222222222222:function:fn"
        code, message = await refusal(room.call("UpdateFunctionConfiguration", FunctionName=theirs))
        assert code == "AccessDeniedException"
        assert "is not authorized to perform: lambda:UpdateFunctionConfiguration on resource: " in message
        # What policies can open, the door asks them for: past it there is only whether the function is there.
        assert (await refusal(room.call("GetFunction", FunctionName=theirs)))[0] == "ResourceNotFoundException"

    in_room(tmp_path, test)


def test_what_iam_must_allow(tmp_path):
    async def test(room):
        function, role = room.needs("CreateFunction", FunctionName="fn", Role=ROLE)
        assert (function.action, function.resource) == ("lambda:CreateFunction", ARN)
        assert (role.action, role.resource) == ("iam:PassRole", ROLE)
        assert role.context == {"iam:PassedToService": "lambda.amazonaws.com"}
        (invoke,) = room.needs("Invoke", FunctionName="fn", Qualifier="Prod")
        assert (invoke.action, invoke.resource) == ("lambda:InvokeFunction", f"{ARN}:Prod")
        (update,) = room.needs("UpdateFunctionConfiguration", FunctionName="fn")
        assert update.action == "lambda:UpdateFunctionConfiguration"
        (lists,) = room.needs("ListFunctions")
        assert lists.resource == "*"

    in_room(tmp_path, test)


def test_account_settings_count_what_is_there(tmp_path):
    # recorded: TestLambdaAccountSettings::test_account_settings_total_code_size
    async def test(room):
        await room.create("fn", Publish=True)
        await room.call("PutFunctionConcurrency", FunctionName="fn", ReservedConcurrentExecutions=300)
        settings = await room.call("GetAccountSettings")
        assert settings["AccountUsage"] == {"FunctionCount": 1, "TotalCodeSize": 2 * len(HANDLER_ZIP)}
        assert settings["AccountLimit"]["ConcurrentExecutions"] == 1000
        assert settings["AccountLimit"]["UnreservedConcurrentExecutions"] == 700

    in_room(tmp_path, test)


def test_a_function_from_a_zip_stays_one(tmp_path):
    async def test(room):
        await room.create("fn")
        assert await refusal(room.call("UpdateFunctionCode", FunctionName="fn", ImageUri="image")) == (
            "InvalidParameterValueException",
            "Please do not provide ImageUri when updating a function with packageType Zip.",
        )
        code, _ = await refusal(room.call("UpdateFunctionCode", FunctionName="none", ImageUri="image"))
        assert code == "ResourceNotFoundException"

    in_room(tmp_path, test)


@pytest.mark.parametrize(("member", "most"), [("Timeout", 900), ("MemorySize", 10240)])
def test_a_function_has_no_more_time_and_memory_than_on_demand(tmp_path, member, most):
    async def test(room):
        await room.create("fn", **{member: most})
        sentence = f"'{member}' value failed to satisfy constraint: Member must have value less than or equal to {most}"
        with pytest.raises(ServiceError) as refused:
            await room.create("more", **{member: most + 1})
        assert (refused.value.code, refused.value.message) == ("InvalidParameterValueException", sentence)
        with pytest.raises(ServiceError) as refused:
            await room.call("UpdateFunctionConfiguration", FunctionName="fn", **{member: most + 1})
        assert refused.value.message == sentence

    in_room(tmp_path, test)


def test_a_function_has_no_more_disk_than_on_demand(tmp_path):
    async def test(room):
        await room.create("fn", EphemeralStorage={"Size": 10240})
        with pytest.raises(ServiceError) as refused:
            await room.call("UpdateFunctionConfiguration", FunctionName="fn", EphemeralStorage={"Size": 10241})
        assert refused.value.code == "InvalidParameterValueException"

    in_room(tmp_path, test)


IMAGE = {"PackageType": "Image", "Runtime": None, "Handler": None}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"Code": {"ImageUri": "image"}},
            "Please do not provide ImageUri when creating a function with packageType Zip.",
        ),
        (IMAGE, "Please provide ImageUri when creating a function with packageType Image."),
        (
            IMAGE | {"Code": {"ImageUri": "docker.io/image"}},
            "Source image docker.io/image is not valid. Provide a valid source image.",
        ),
        (
            {"PackageType": "Image"},
            "Please don't provide handler or runtime or layer when the intended function PackageType is Image.",
        ),
        (
            {"ImageConfig": {"Command": ["a"]}},
            "ImageConfig is only supported for functions with packageType Image.",
        ),
    ],
)
def test_images_and_zips_are_told_apart(tmp_path, given, message):
    async def test(room):
        assert await refusal(room.create("fn", **given)) == ("InvalidParameterValueException", message)

    in_room(tmp_path, test)


def test_code_that_lies_in_a_bucket(tmp_path):
    async def test(room):
        package = make_zip({"index.py": "def handler(event, context):\n    return 'from a bucket'\n"})
        objects = MemoryObjects({("code", "fn.zip"): package, ("far", "fn.zip"): package}, {"far": "eu-west-1"})
        room.functions.sources.serve(objects)
        await room.create("fn", Code={"S3Bucket": "code", "S3Key": "fn.zip"})
        await room.settle()
        assert objects.readers[0].principal == room.context("CreateFunction").principal
        updated = await room.call("UpdateFunctionCode", FunctionName="fn", S3Bucket="code", S3Key="fn.zip")
        assert updated["CodeSize"] == len(package)
        layer = await room.call("PublishLayerVersion", LayerName="l", Content={"S3Bucket": "code", "S3Key": "fn.zip"})
        assert layer["Content"]["CodeSize"] == len(package)
        for bucket, key, said in (
            ("code", "none.zip", "S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist."),
            ("none", "fn.zip", "S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does not exist"),
            (
                "far",
                "fn.zip",
                "S3 Error Code: PermanentRedirect. S3 Error Message: The bucket is in this region: eu-west-1. "
                "Please use this region to retry the request",
            ),
        ):
            code, message = await refusal(room.create("other", Code={"S3Bucket": bucket, "S3Key": key}))
            assert (code, message) == ("InvalidParameterValueException", f"Error occurred while GetObject. {said}")

    in_room(tmp_path, test)


def test_a_zip_that_is_too_large_for_a_call(tmp_path, monkeypatch):
    # recorded: TestLambdaSizeLimits::test_oversized_zipped_create_lambda
    monkeypatch.setattr(packages, "MAX_ZIPPED_BYTES", 100)

    async def test(room):
        assert await refusal(room.create("fn", Code={"ZipFile": b"x" * 101})) == (
            "RequestEntityTooLargeException",
            "Zipped size must be smaller than 100 bytes",
        )

    in_room(tmp_path, test)
