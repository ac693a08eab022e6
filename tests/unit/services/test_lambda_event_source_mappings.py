"""Event source mappings over doubles of their sources: what is answered, refused, and shown while it changes."""

import asyncio
import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import delete, insert

from cosset.testing import ListedEventSource, RecordingDestination
from cosset.triggers.tables import progress
from cosset.wire.errors import ServiceError
from support.functions import ACCOUNT, REGION, functions_room

QUEUE, OTHER, FIFO = (f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}" for name in ("q", "other", "q.fifo"))
STREAM = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/s"
TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/t/stream/2025-02-22T03:03:25.490"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:t"
FN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:fn"
NOT_THERE = ("ResourceNotFoundException", "The resource you requested does not exist.")
UNKNOWN = "00000000-0000-4000-8000-00000000ffff"
FROM_START = {"StartingPosition": "TRIM_HORIZON"}


def in_room(tmp_path, test, *, sources=True):
    """With `fn`, its version 1 and alias Prod, and a function `other`."""

    async def run():
        async with functions_room(tmp_path) as room:
            if sources:
                for service, arns in (("sqs", (QUEUE, OTHER, FIFO)), ("kinesis", (STREAM,)), ("dynamodb", (TABLE,))):
                    room.sources.serve(service, ListedEventSource(arns))
                room.destinations.serve("sns", RecordingDestination(missing=[f"{TOPIC}2"]))
            await room.create("fn", Publish=True)
            await room.create("other")
            await room.call("CreateAlias", FunctionName="fn", Name="Prod", FunctionVersion="1")
            await test(room)

    asyncio.run(run())


async def refusal(call):
    with pytest.raises(ServiceError) as caught:
        await call
    return caught.value.code, caught.value.message


def create(room, source=QUEUE, function="fn", **given):
    return room.call("CreateEventSourceMapping", FunctionName=function, EventSourceArn=source, **given)


def varying(mapping):
    return {name: mapping[name] for name in ("UUID", "EventSourceMappingArn", "LastModified")}


def test_the_life_of_a_queues_mapping(tmp_path):
    # recorded: TestSQSEventSourceMapping::test_sqs_event_source_mapping_update
    async def test(room):
        made = await create(room)
        uuid = made["UUID"]
        assert made == {
            **varying(made),
            "BatchSize": 10,
            "EventSourceArn": QUEUE,
            "FunctionArn": FN,
            "FunctionResponseTypes": [],
            "MaximumBatchingWindowInSeconds": 0,
            "State": "Creating",
            "StateTransitionReason": "USER_INITIATED",
        }
        assert made["EventSourceMappingArn"] == f"arn:aws:lambda:{REGION}:{ACCOUNT}:event-source-mapping:{uuid}"
        assert made["LastModified"] == room.clock.now_ms() / 1000
        in_use = ("ResourceInUseException", "Cannot {} the event source mapping because it is in use.")
        for operation, verb in (("UpdateEventSourceMapping", "update"), ("DeleteEventSourceMapping", "delete")):
            assert await refusal(room.call(operation, UUID=uuid)) == (in_use[0], in_use[1].format(verb))
        room.clock.advance(1)
        got = await room.call("GetEventSourceMapping", UUID=uuid)
        assert got == {**made, "State": "Enabled"}
        updated = await room.call("UpdateEventSourceMapping", UUID=uuid, FunctionName="other", BatchSize=5)
        assert (updated["State"], updated["BatchSize"]) == ("Updating", 5)
        assert updated["FunctionArn"].endswith(":other")
        room.clock.advance(1)
        gone = await room.call("DeleteEventSourceMapping", UUID=uuid)
        assert gone["State"] == "Deleting"
        assert (await room.call("GetEventSourceMapping", UUID=uuid))["State"] == "Deleting"
        room.clock.advance(1)
        for operation in ("GetEventSourceMapping", "UpdateEventSourceMapping", "DeleteEventSourceMapping"):
            assert await refusal(room.call(operation, UUID=uuid)) == NOT_THERE
        assert await room.call("ListEventSourceMappings") == {"EventSourceMappings": []}

    in_room(tmp_path, test)


@pytest.mark.parametrize("source", [STREAM, TABLE])
def test_a_streams_mapping_has_more_members(tmp_path, source):
    # recorded: TestDynamoDBEventSourceMapping::test_deletion_event_source_mapping_with_dynamodb
    async def test(room):
        made = await create(room, source, **FROM_START)
        assert made == {
            **varying(made),
            "BatchSize": 100,
            "BisectBatchOnFunctionError": False,
            "DestinationConfig": {"OnFailure": {}},
            "EventSourceArn": source,
            "FunctionArn": FN,
            "FunctionResponseTypes": [],
            "LastProcessingResult": "No records processed",
            "MaximumBatchingWindowInSeconds": 0,
            "MaximumRecordAgeInSeconds": -1,
            "MaximumRetryAttempts": -1,
            "ParallelizationFactor": 1,
            "StartingPosition": "TRIM_HORIZON",
            "State": "Creating",
            "StateTransitionReason": "User action",
            "TumblingWindowInSeconds": 0,
        }

    in_room(tmp_path, test)


def test_what_is_given_is_answered(tmp_path):
    async def test(room):
        filters = {"Filters": [{"Pattern": json.dumps({"dynamodb": {"N": {"S": [{"exists": True}]}}})}]}
        given = {
            "BatchSize": 1,
            "MaximumBatchingWindowInSeconds": 1,
            "MaximumRetryAttempts": 0,
            "MaximumRecordAgeInSeconds": 60,
            "ParallelizationFactor": 2,
            "BisectBatchOnFunctionError": True,
            "TumblingWindowInSeconds": 5,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "FilterCriteria": filters,
            "DestinationConfig": {"OnFailure": {"Destination": TOPIC}},
        }
        made = await create(room, STREAM, **FROM_START, **given)
        assert given.items() <= made.items()
        room.clock.advance(1)
        kept = await room.call("UpdateEventSourceMapping", UUID=made["UUID"], MaximumRetryAttempts=7)
        assert kept == {**made, "MaximumRetryAttempts": 7, "State": "Updating", "LastModified": kept["LastModified"]}
        room.clock.advance(1)
        none = {"FilterCriteria": {"Filters": []}, "DestinationConfig": {}, "FunctionResponseTypes": []}
        emptied = await room.call("UpdateEventSourceMapping", UUID=made["UUID"], **none)
        assert "FilterCriteria" not in emptied
        assert (emptied["DestinationConfig"], emptied["FunctionResponseTypes"]) == ({"OnFailure": {}}, [])
        scaled = await create(room, OTHER, ScalingConfig={"MaximumConcurrency": 2}, FilterCriteria={"Filters": []})
        assert scaled["ScalingConfig"] == {"MaximumConcurrency": 2}
        assert "FilterCriteria" not in scaled

    in_room(tmp_path, test)


def test_a_mapping_is_switched_off_and_on(tmp_path):
    async def test(room):
        made = await create(room, Enabled=False)

        async def moves(*states, **given):
            shown = await room.call("UpdateEventSourceMapping", UUID=made["UUID"], **given)
            room.clock.advance(1)
            settled = await room.call("GetEventSourceMapping", UUID=made["UUID"])
            assert (shown["State"], settled["State"]) == states

        room.clock.advance(1)
        assert (await room.call("GetEventSourceMapping", UUID=made["UUID"]))["State"] == "Disabled"
        await moves("Enabling", "Enabled", Enabled=True)
        await moves("Updating", "Enabled", Enabled=True)
        await moves("Disabling", "Disabled", Enabled=False)
        await moves("Updating", "Disabled", BatchSize=1)

    in_room(tmp_path, test)


@pytest.mark.parametrize(
    ("name", "arn"),
    [
        ("fn", FN),
        (FN, FN),
        (f"{FN}:1", f"{FN}:1"),
        (f"{FN}:Prod", f"{FN}:Prod"),
        (f"{ACCOUNT}:function:fn:$LATEST", f"{FN}:$LATEST"),
    ],
)
def test_the_function_is_named_as_the_caller_did(tmp_path, name, arn):
    # recorded: TestLambdaEventSourceMappings::test_function_name_variations
    async def test(room):
        assert (await create(room, function=name))["FunctionArn"] == arn

    in_room(tmp_path, test)


BATCH = "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
REFUSALS = [
    # recorded: TestLambdaEventSourceMappings::test_event_source_mapping_exceptions
    (None, {}, "Unrecognized event source."),
    (FN, {}, "Unrecognized event source."),
    (QUEUE, {"function": "none"}, "Function does not exist"),
    (QUEUE, {"function": "fn:None"}, "Function does not exist"),
    (
        QUEUE,
        {"function": "none", "DestinationConfig": {"OnSuccess": {"Destination": OTHER}}},
        "Unsupported DestinationConfig parameter for given event source mapping type.",
    ),
    (STREAM, {**FROM_START, "ScalingConfig": {"MaximumConcurrency": 2}}, "Unsupported ScalingConfig parameter"),
    (QUEUE, {"ParallelizationFactor": 2}, "Unsupported ParallelizationFactor parameter"),
    (QUEUE, {"Topics": ["t"]}, "Unsupported Topics parameter"),
    (QUEUE, FROM_START, "StartingPosition is not valid for SQS event sources."),
    (
        STREAM,
        {},
        "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: "
        "Member must not be null.",
    ),
    (STREAM, {"StartingPosition": "AT_TIMESTAMP"}, "StartingPositionTimestamp is required"),
    (TABLE, {"StartingPosition": "AT_TIMESTAMP"}, f"Unsupported starting position for arn type: {TABLE}"),
    # recorded: TestSQSEventSourceMapping::test_event_source_mapping_default_batch_size
    (QUEUE, {"BatchSize": 11}, BATCH),
    (FIFO, {"BatchSize": 11}, BATCH),
    (FIFO, {"BatchSize": 11, "MaximumBatchingWindowInSeconds": 1}, "Batching window is not supported for FIFO queues"),
    # recorded: test_esm_with_not_existing_sqs_queue, ..._kinesis_stream, ..._dynamodb_stream
    (
        f"{QUEUE}2",
        {},
        "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. "
        "SQS Error Message: The specified queue does not exist.",
    ),
    (f"{STREAM}2", FROM_START, f"Stream not found: {STREAM}2"),
    (f"{TABLE}2", FROM_START, f"Stream not found: {TABLE}2"),
    (STREAM, {**FROM_START, "DestinationConfig": {"OnFailure": {"Destination": f"{TOPIC}2"}}}, "The destination ARN"),
    (STREAM, {**FROM_START, "DestinationConfig": {"OnFailure": {"Destination": FN}}}, "The destination ARN"),
]


@pytest.mark.parametrize(("source", "given", "message"), REFUSALS)
def test_what_cannot_be_mapped(tmp_path, source, given, message):
    async def test(room):
        given_source = {} if source is None else {"EventSourceArn": source}
        named = {"FunctionName": "fn", **given}
        named["FunctionName"] = named.pop("function", "fn")
        code, said = await refusal(room.call("CreateEventSourceMapping", **given_source, **named))
        assert code == "InvalidParameterValueException"
        assert said.startswith(message)
        assert await room.call("ListEventSourceMappings") == {"EventSourceMappings": []}

    in_room(tmp_path, test)


PATTERNS = ["null", '"simple string"', "single-string", '{"a": "b"}', '{"a": []}', '{"a": {}}', '[{"a": ["b"=1}]']


@pytest.mark.parametrize("pattern", [*PATTERNS, "[" * 5000])
def test_filters_that_match_nothing_known(tmp_path, pattern):
    # recorded: TestSQSEventSourceMapping::test_sqs_invalid_event_filter
    async def test(room):
        refused = ("InvalidParameterValueException", "Invalid filter pattern definition.")
        criteria = {"Filters": [{"Pattern": pattern}]}
        assert await refusal(create(room, FilterCriteria=criteria)) == refused
        made = await create(room)
        room.clock.advance(1)
        update = room.call("UpdateEventSourceMapping", UUID=made["UUID"], FilterCriteria=criteria)
        assert await refusal(update) == refused

    in_room(tmp_path, test)


def test_an_update_is_checked_against_what_there_is(tmp_path):
    async def test(room):
        made = await create(room, BatchSize=11, MaximumBatchingWindowInSeconds=1)
        room.clock.advance(1)
        update = room.call("UpdateEventSourceMapping", UUID=made["UUID"], MaximumBatchingWindowInSeconds=0)
        assert await refusal(update) == ("InvalidParameterValueException", BATCH)
        update = room.call("UpdateEventSourceMapping", UUID=made["UUID"], FunctionName="none")
        assert (await refusal(update))[1] == "Function does not exist"

    in_room(tmp_path, test)


@pytest.mark.parametrize(("source", "given"), [(QUEUE, {}), (STREAM, FROM_START), (TABLE, FROM_START)])
def test_one_function_has_one_mapping_to_a_source(tmp_path, source, given):
    # recorded: test_duplicate_event_source_mappings, of each kind
    async def test(room):
        uuid = (await create(room, source, **given))["UUID"]
        start = "An event source mapping with SQS arn" if source == QUEUE else "The event source arn"
        middle = "already exists" if source == QUEUE else "provided mapping already exists"
        assert await refusal(create(room, source, **given)) == (
            "ResourceConflictException",
            f'{start} (" {source} ") and function (" fn ") {middle}. Please update or delete the existing mapping '
            f"with UUID {uuid}",
        )
        await create(room, source, "other", **given)
        await create(room, source, "fn:1", **given)

    in_room(tmp_path, test)


def test_a_position_by_time(tmp_path):
    async def test(room):
        moment = datetime(2025, 2, 22, 3, 3, 25, tzinfo=UTC)
        made = await create(room, STREAM, StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=moment)
        assert made["StartingPositionTimestamp"] == moment.timestamp()

    in_room(tmp_path, test)


def test_mappings_are_listed_by_source_and_function(tmp_path):
    async def test(room):
        for source, function in ((QUEUE, "fn"), (QUEUE, "other"), (OTHER, "fn"), (OTHER, "fn:1")):
            await create(room, source, function)

        async def listed(**given):
            found, marker = [], {}
            while True:
                page = await room.call("ListEventSourceMappings", MaxItems=2, **given, **marker)
                found += [
                    (each["EventSourceArn"].rpartition(":")[2], each["FunctionArn"].partition("function:")[2])
                    for each in page["EventSourceMappings"]
                ]
                if "NextMarker" not in page:
                    return sorted(found)
                marker = {"Marker": page["NextMarker"]}

        assert len(await listed()) == 4
        assert await listed(FunctionName="fn") == [("other", "fn"), ("q", "fn")]
        assert await listed(EventSourceArn=OTHER) == [("other", "fn"), ("other", "fn:1")]
        assert await listed(EventSourceArn=OTHER, FunctionName=f"{FN}:1") == [("other", "fn:1")]
        assert await listed(FunctionName="none") == []

    in_room(tmp_path, test)


def test_the_tags_of_a_mapping(tmp_path):
    # recorded: TestLambdaTag::test_tag_lifecycle[event_source_mapping], ::test_create_tag_on_esm_create
    async def test(room):
        arn = (await create(room, Tags={"testtag": "one"}))["EventSourceMappingArn"]

        async def listed():
            return (await room.call("ListTags", Resource=arn))["Tags"]

        assert await listed() == {"testtag": "one"}
        await room.call("TagResource", Resource=arn, Tags={"A": "a", "testtag": "two"})
        assert await listed() == {"A": "a", "testtag": "two"}
        await room.call("UntagResource", Resource=arn, TagKeys=["testtag", "none"])
        assert await listed() == {"A": "a"}
        assert await refusal(room.call("ListTags", Resource=arn.rpartition(":")[0] + f":{UNKNOWN}")) == NOT_THERE

    in_room(tmp_path, test)


@pytest.mark.parametrize(
    ("source", "given", "title"),
    [
        (QUEUE, {}, "SQS"),
        (STREAM, FROM_START, "Kinesis"),
        (TABLE, FROM_START, "DynamoDB Streams"),
        (f"arn:aws:kafka:{REGION}:{ACCOUNT}:cluster/c/1", {**FROM_START, "Topics": ["t"]}, "Amazon MSK"),
        (f"arn:aws:mq:{REGION}:{ACCOUNT}:broker:b", {"Queues": ["q"]}, "Amazon MQ"),
        (f"arn:aws:rds:{REGION}:{ACCOUNT}:cluster:c", FROM_START, "DocumentDB"),
    ],
)
def test_a_source_whose_service_is_not_there_is_refused_by_name(tmp_path, source, given, title):
    async def test(room):
        code, message = await refusal(create(room, source, **given))
        assert code == "NotImplementedException"
        assert f"{title} as an event source" in message
        assert (await refusal(create(room, source, "none", **given)))[1] == "Function does not exist"

    in_room(tmp_path, test, sources=False)


def test_iam_must_allow_each_operation_on_the_mapping(tmp_path):
    async def test(room):
        (needed,) = room.needs("DeleteEventSourceMapping", UUID=UNKNOWN)
        assert needed.action == "lambda:DeleteEventSourceMapping"
        assert needed.resource == f"arn:aws:lambda:{REGION}:{ACCOUNT}:event-source-mapping:{UNKNOWN}"
        made, tagged = room.needs("CreateEventSourceMapping", FunctionName="fn", Tags={"a": "1"})
        assert (made.action, made.resource) == ("lambda:CreateEventSourceMapping", "*")
        assert made.context == {"lambda:FunctionArn": FN, "aws:RequestTag/a": "1", "aws:TagKeys": ["a"]}
        assert tagged.action == "lambda:TagResource"

    in_room(tmp_path, test)


def test_the_functions_role_must_be_allowed_to_read_the_source(tmp_path):
    async def test(room):
        actions = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
        room.sources.serve("sqs", ListedEventSource((QUEUE,), actions))
        sentence = "The provided execution role does not have permissions to call ReceiveMessage on SQS"
        for action in actions:
            room.rights.denied = {(action, QUEUE)}
            assert await refusal(create(room)) == ("InvalidParameterValueException", sentence)
        room.sources.serve("kinesis", ListedEventSource((STREAM,), ("kinesis:GetRecords",)))
        room.rights.denied = {("kinesis:GetRecords", STREAM)}
        code, message = await refusal(create(room, STREAM, **FROM_START))
        assert code == "InvalidParameterValueException"
        assert message.startswith(f"Cannot access stream {STREAM}. Please ensure the role can perform the GetRecords")
        room.rights.denied = set()
        made = await create(room)
        room.clock.advance(1)
        # Another function's role is asked for when the mapping is to have it.
        room.rights.denied = {("sqs:DeleteMessage", QUEUE)}
        update = room.call("UpdateEventSourceMapping", UUID=made["UUID"], FunctionName="other")
        assert await refusal(update) == ("InvalidParameterValueException", sentence)

    in_room(tmp_path, test)


def test_what_its_work_came_to_is_shown(tmp_path):
    """Of a stream always (recorded: test_kinesis_empty_provided), of a queue where something is wrong."""

    async def test(room):
        queue, stream = await create(room), await create(room, STREAM, **FROM_START)

        async def shown(made, result):
            def write(tx):
                tx.execute(delete(progress))
                tx.execute(insert(progress).values(uuid=made["UUID"], result=result, at_ms=1))

            await room.store.write(write)
            got = await room.call("GetEventSourceMapping", UUID=made["UUID"])
            (listed,) = (await room.call("ListEventSourceMappings", EventSourceArn=made["EventSourceArn"]))[
                "EventSourceMappings"
            ]
            assert listed == got
            return got.get("LastProcessingResult")

        assert await shown(stream, "OK") == "OK"
        assert await shown(queue, "OK") is None
        assert await shown(queue, "PROBLEM: Function call failed") == "PROBLEM: Function call failed"

    in_room(tmp_path, test)


def test_a_maximum_concurrency_is_taken_away_by_an_empty_scaling_config(tmp_path):
    async def test(room):
        made = await create(room, ScalingConfig={"MaximumConcurrency": 5})
        assert made["ScalingConfig"] == {"MaximumConcurrency": 5}
        for given, left in (({}, {"MaximumConcurrency": 5}), ({"ScalingConfig": {}}, None)):
            room.clock.advance(1)
            updated = await room.call("UpdateEventSourceMapping", UUID=made["UUID"], **given)
            assert updated.get("ScalingConfig") == left

    in_room(tmp_path, test)
