"""Event-invoke configs and dead-letter queues: what is kept, what is refused, what the worker is told."""

import asyncio

import pytest

from cosset.invocation.async_policy import AsyncPolicy
from cosset.testing import RecordingDestination
from cosset.wire.errors import ServiceError
from support.functions import ACCOUNT, REGION, ROLE, functions_room

ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:fn"
OTHER = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:other"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"
MISSING = f"arn:aws:sqs:{REGION}:{ACCOUNT}:missing"
NOWHERE = {"OnSuccess": {}, "OnFailure": {}}


def in_room(tmp_path, test, *, queues=False):
    """With `fn`, its version 1 and alias Prod, and `other`."""

    async def run():
        async with functions_room(tmp_path) as room:
            if queues:
                room.destinations.serve("sqs", RecordingDestination(missing=[MISSING]))
            await room.create("fn", Publish=True)
            await room.create("other")
            await room.call("CreateAlias", FunctionName="fn", Name="Prod", FunctionVersion="1")
            await test(room)

    asyncio.run(run())


async def refusal(call):
    with pytest.raises(ServiceError) as caught:
        await call
    return caught.value.code, caught.value.message


def put(room, name="fn", **given):
    return room.call("PutFunctionEventInvokeConfig", FunctionName=name, **given)


def shown(config):
    return {name: value for name, value in config.items() if name != "LastModified"}


def policy(room, qualifier=None):
    return room.functions.async_policy(ACCOUNT, REGION, "fn", qualifier)


def test_the_life_of_a_config(tmp_path):
    # recorded: TestLambdaEventInvokeConfig::test_lambda_eventinvokeconfig_lifecycle
    async def test(room):
        made = await put(room, MaximumRetryAttempts=2, MaximumEventAgeInSeconds=60)
        assert shown(made) == {
            "FunctionArn": f"{ARN}:$LATEST",
            "DestinationConfig": NOWHERE,
            "MaximumRetryAttempts": 2,
            "MaximumEventAgeInSeconds": 60,
        }
        assert made["LastModified"] == room.clock.now_ms() / 1000
        named = {"FunctionName": "fn"}
        for qualifier in ({}, {"Qualifier": "$LATEST"}):
            assert await room.call("GetFunctionEventInvokeConfig", **named, **qualifier) == made
        room.clock.advance(1)
        updated = await room.call("UpdateFunctionEventInvokeConfig", **named, MaximumRetryAttempts=0)
        assert shown(updated) == {**shown(made), "MaximumRetryAttempts": 0}
        assert updated["LastModified"] == made["LastModified"] + 1
        replaced = await put(room, MaximumRetryAttempts=0)
        assert "MaximumEventAgeInSeconds" not in replaced
        await room.call("DeleteFunctionEventInvokeConfig", **named)
        none = ("ResourceNotFoundException", f"The function {ARN}:$LATEST doesn't have an EventInvokeConfig")
        for operation in ("GetFunctionEventInvokeConfig", "DeleteFunctionEventInvokeConfig"):
            assert await refusal(room.call(operation, **named)) == none
        assert await refusal(room.call("UpdateFunctionEventInvokeConfig", **named, MaximumRetryAttempts=0)) == none

    in_room(tmp_path, test)


def test_each_qualifier_has_its_own(tmp_path):
    # recorded: test_lambda_eventinvokeconfig_exceptions, list_configs
    async def test(room):
        for name in ("fn:Prod", f"{ARN}:1", "fn:$LATEST"):
            config = await put(room, name, MaximumRetryAttempts=1)
            assert config["FunctionArn"] == f"{ARN}:{name.rpartition(':')[2]}"
        listed = await room.call("ListFunctionEventInvokeConfigs", FunctionName="fn")
        assert [each["FunctionArn"] for each in listed["FunctionEventInvokeConfigs"]] == [
            f"{ARN}:$LATEST",
            f"{ARN}:1",
            f"{ARN}:Prod",
        ]
        pages, marker = [], {}
        while True:
            page = await room.call("ListFunctionEventInvokeConfigs", FunctionName="fn", MaxItems=2, **marker)
            pages.append(len(page["FunctionEventInvokeConfigs"]))
            if "NextMarker" not in page:
                break
            marker = {"Marker": page["NextMarker"]}
        assert pages == [2, 1]

    in_room(tmp_path, test)


def test_a_config_goes_with_what_it_belongs_to(tmp_path):
    async def test(room):
        for name in ("fn", "fn:1", "fn:Prod"):
            await put(room, name, MaximumRetryAttempts=1)

        async def kept():
            listed = await room.call("ListFunctionEventInvokeConfigs", FunctionName="fn")
            return [each["FunctionArn"].rpartition(":")[2] for each in listed["FunctionEventInvokeConfigs"]]

        await room.call("DeleteAlias", FunctionName="fn", Name="Prod")
        assert await kept() == ["$LATEST", "1"]
        await room.call("DeleteFunction", FunctionName="fn", Qualifier="1")
        assert await kept() == ["$LATEST"]
        await room.call("DeleteFunction", FunctionName="fn")
        await room.create("fn")
        assert await kept() == []

    in_room(tmp_path, test)


DESTINATION_REFUSALS = [
    (
        {"OnSuccess": {"Destination": ARN.replace(":lambda:", ":iam:")}},
        "The provided destination config DestinationConfig(onSuccess=OnSuccess(destination="
        f"{ARN.replace(':lambda:', ':iam:')}), onFailure=null) is invalid.",
    ),
    (
        {"OnSuccess": {"Destination": "arn:aws:s3:::bucket"}},
        "The provided destination config DestinationConfig(onSuccess=OnSuccess(destination=arn:aws:s3:::bucket), "
        "onFailure=null) is invalid.",
    ),
    ({"OnFailure": {"Destination": f"{OTHER}2"}}, f"The destination ARN {OTHER}2 is invalid."),
    ({"OnFailure": {"Destination": MISSING}}, f"The destination ARN {MISSING} is invalid."),
    ({"OnFailure": {"Destination": ARN}}, "You can't specify the function as a destination for itself."),
    ({"OnFailure": {"Destination": f"{ARN}:1"}}, "You can't specify the function as a destination for itself."),
]


@pytest.mark.parametrize(("destinations", "message"), DESTINATION_REFUSALS)
def test_destinations_that_cannot_be(tmp_path, destinations, message):
    # recorded: test_lambda_eventinvokeconfig_exceptions, put_destination_...
    async def test(room):
        assert await refusal(put(room, DestinationConfig=destinations)) == ("InvalidParameterValueException", message)
        missing = await refusal(room.call("GetFunctionEventInvokeConfig", FunctionName="fn"))
        assert missing[0] == "ResourceNotFoundException"

    in_room(tmp_path, test, queues=True)


@pytest.mark.parametrize(
    ("arn", "title"),
    [
        (QUEUE, "SQS"),
        (QUEUE.replace(":sqs:", ":sns:"), "SNS"),
        (QUEUE.replace(":sqs:", ":events:"), "EventBridge"),
        ("arn:aws:s3:::bucket", "S3"),
    ],
)
def test_a_service_that_is_not_there_is_refused_by_name(tmp_path, arn, title):
    async def test(room):
        code, message = await refusal(put(room, DestinationConfig={"OnFailure": {"Destination": arn}}))
        assert code == "NotImplementedException"
        assert f"{title} as a place for asynchronous events (DestinationConfig)" in message

    in_room(tmp_path, test)


def test_destinations_that_can_be(tmp_path):
    async def test(room):
        given = {"OnSuccess": {"Destination": OTHER}, "OnFailure": {"Destination": QUEUE}}
        assert (await put(room, DestinationConfig=given))["DestinationConfig"] == given
        kept = await room.call("UpdateFunctionEventInvokeConfig", FunctionName="fn", MaximumRetryAttempts=0)
        assert kept["DestinationConfig"] == given
        for empty in ({"OnSuccess": {}}, {"OnFailure": {}}, {"OnFailure": {"Destination": ""}}):
            assert (await put(room, DestinationConfig=empty))["DestinationConfig"] == NOWHERE

    in_room(tmp_path, test, queues=True)


def test_what_a_config_cannot_be_put_on(tmp_path):
    # recorded: test_lambda_eventinvokeconfig_exceptions
    async def test(room):
        no_function = ("ResourceNotFoundException", "The function doesn't exist.")
        for name in ("none", ARN + "2", "fn:None", "fn:2"):
            assert await refusal(put(room, name, MaximumRetryAttempts=0)) == no_function
        update = room.call("UpdateFunctionEventInvokeConfig", FunctionName="none", MaximumRetryAttempts=0)
        assert await refusal(update) == no_function
        assert await refusal(room.call("ListFunctionEventInvokeConfigs", FunctionName="none")) == no_function
        assert await refusal(put(room)) == (
            "InvalidParameterValueException",
            "You must specify at least one of error handling or destination setting.",
        )
        assert await refusal(put(room, "fn:Prod", Qualifier="1", MaximumRetryAttempts=0)) == (
            "InvalidParameterValueException",
            "The derived qualifier from the function name does not match the specified qualifier.",
        )

    in_room(tmp_path, test)


def test_the_worker_is_told_what_was_set(tmp_path):
    async def test(room):
        assert await policy(room) == AsyncPolicy(role=ROLE)
        await put(room, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": OTHER}})
        await put(room, "fn:Prod", MaximumEventAgeInSeconds=60)
        await room.call("PutFunctionConcurrency", FunctionName="fn", ReservedConcurrentExecutions=0)
        off = AsyncPolicy(role=ROLE, is_switched_off=True)
        assert await policy(room, "1") == off
        assert (await policy(room)).max_retries == 0
        assert (await policy(room, "$LATEST")).on_failure == OTHER
        prod = await policy(room, "Prod")
        assert (prod.max_age_s, prod.max_retries, prod.on_failure) == (60, 2, None)
        assert await room.functions.async_policy(ACCOUNT, REGION, "none", None) == AsyncPolicy()

    in_room(tmp_path, test)


def test_the_life_of_a_dead_letter_queue(tmp_path):
    # recorded: TestLambdaDLQ::test_dead_letter_queue; one that names no target changes nothing
    async def test(room):
        async def update(**given):
            updated = await room.call("UpdateFunctionConfiguration", FunctionName="fn", **given)
            await room.settle()
            return updated.get("DeadLetterConfig")

        assert await update(DeadLetterConfig={"TargetArn": QUEUE}) == {"TargetArn": QUEUE}
        assert (await policy(room)).dead_letter == QUEUE
        assert await update(DeadLetterConfig={}) == {"TargetArn": QUEUE}
        assert (await policy(room, "1")).dead_letter is None
        assert await update(DeadLetterConfig={"TargetArn": ""}) is None
        assert (await policy(room)).dead_letter is None
        created = await room.create("with", DeadLetterConfig={"TargetArn": QUEUE})
        assert created["DeadLetterConfig"] == {"TargetArn": QUEUE}
        for wrong in (MISSING, "arn:aws:s3:::bucket", OTHER):
            assert await refusal(room.create("wrong", DeadLetterConfig={"TargetArn": wrong})) == (
                "InvalidParameterValueException",
                f"Invalid dead letter queue ARN: {wrong}",
            )

    in_room(tmp_path, test, queues=True)


def test_iam_must_allow_each_operation_on_the_function(tmp_path):
    async def test(room):
        (needed,) = room.needs("PutFunctionEventInvokeConfig", FunctionName="fn", Qualifier="Prod")
        assert (needed.action, needed.resource) == ("lambda:PutFunctionEventInvokeConfig", f"{ARN}:Prod")

    in_room(tmp_path, test)


def test_the_life_of_a_recursion_config(tmp_path):
    async def test(room):
        async def stored():
            return (await room.call("GetFunctionRecursionConfig", FunctionName="fn"))["RecursiveLoop"]

        async def resolved():
            return (await room.functions.resolve(ACCOUNT, REGION, "fn", "Prod")).allows_recursion

        assert (await stored(), await resolved()) == ("Terminate", False)
        for loop, allows in (("Allow", True), ("Terminate", False), ("Allow", True)):
            put = await room.call("PutFunctionRecursionConfig", FunctionName="fn", RecursiveLoop=loop)
            assert put == {"RecursiveLoop": loop}
            assert (await stored(), await resolved()) == (loop, allows)
        missing = ("ResourceNotFoundException", f"Function not found: {ARN}2")
        assert await refusal(room.call("GetFunctionRecursionConfig", FunctionName="fn2")) == missing
        put = room.call("PutFunctionRecursionConfig", FunctionName="fn2", RecursiveLoop="Allow")
        assert await refusal(put) == missing
        await room.call("DeleteFunction", FunctionName="fn")
        await room.create("fn")
        assert await stored() == "Terminate"

    in_room(tmp_path, test)


def test_the_role_must_allow_what_is_sent_in_its_name(tmp_path):
    async def test(room):
        room.rights.denied = {("lambda:InvokeFunction", OTHER), ("sqs:SendMessage", QUEUE)}
        for arn, call in ((OTHER, "InvokeFunction"), (QUEUE, "SendMessage")):
            assert await refusal(put(room, DestinationConfig={"OnFailure": {"Destination": arn}})) == (
                "InvalidParameterValueException",
                f"The function's execution role does not have permissions to call {call} on {arn}",
            )
        refused = (
            "InvalidParameterValueException",
            "The provided execution role does not have permissions to call SendMessage on SQS",
        )
        dead_letter = {"DeadLetterConfig": {"TargetArn": QUEUE}}
        assert await refusal(room.create("new", **dead_letter)) == refused
        assert await refusal(room.call("UpdateFunctionConfiguration", FunctionName="fn", **dead_letter)) == refused
        assert {(role, source) for role, source, *_ in room.rights.asked} == {(ROLE, ARN), (ROLE, f"{ARN[:-2]}new")}

    in_room(tmp_path, test, queues=True)
