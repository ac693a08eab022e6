"""The same rows on both engines: one long story that reads and writes every table of this room."""

import asyncio
import json

import pytest

from cosset.clock import SystemClock
from cosset.functions.function_book import FunctionBook
from cosset.functions.model import FunctionKey
from cosset.functions.names import FunctionReference
from cosset.functions.policies import Grant
from cosset.functions.registry import SWEEP_S
from cosset.store.database import Store
from cosset.testing import ListedEventSource
from cosset.wire.errors import ServiceError
from support.functions import ACCOUNT, HANDLER_ZIP, REGION, functions_room
from support.zip import make_zip

ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:fn"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request):
    return None if request.param == "sqlite" else request.getfixturevalue("postgres").new_database()


def test_a_function_lives_the_same_life_on_every_engine(tmp_path, database):
    async def run():
        async with functions_room(tmp_path, database) as room:
            await live(room)
        async with functions_room(tmp_path, database) as room:
            found = await room.call("GetFunction", FunctionName="fn", Qualifier="Prod")
            assert found["Configuration"]["LastUpdateStatus"] == "Successful"
        async with functions_room(tmp_path, database, inactive_after_s=SWEEP_S) as room:
            while (await room.call("GetFunctionConfiguration", FunctionName="fn"))["State"] != "Inactive":
                room.clock.advance(SWEEP_S)
                await asyncio.sleep(0.01)
            await room.call("DeleteFunction", FunctionName="fn")
            for name in ("fn", "other"):
                with pytest.raises(ServiceError):
                    await room.functions.resolve(ACCOUNT, REGION, "fn", name)

    asyncio.run(run())


def test_a_node_hears_what_another_does_to_a_function_that_it_has_looked_up(tmp_path, postgres):
    database = postgres.new_database()
    other = Grant(sid="s", action="lambda:InvokeFunction", principal="222222222222")
    key = FunctionKey(ACCOUNT, REGION, "fn")

    async def run():
        async with functions_room(tmp_path / "one", database) as room:
            await room.create("fn")
            store = await Store.open(
                data=tmp_path / "two",
                database=database,
                clock=SystemClock(),
                min_free_mb=0,
                key_file=tmp_path / "one/root.key",
            )
            book = FunctionBook(store)

            async def until(holds):
                async with asyncio.timeout(60):
                    while not holds(await book.page_of(key, None)):
                        await asyncio.sleep(0.01)

            await until(lambda page: page is not None and page.policies == {"": None})
            await room.functions.policies.add(FunctionReference(key), other, revision_id=None)
            await until(lambda page: "222222222222" in (page.policies[""] or ""))
            await room.functions.policies.remove(FunctionReference(key), "s", revision_id=None)
            await until(lambda page: page.policies[""] is None)
            await room.call("UpdateFunctionConfiguration", FunctionName="fn", MemorySize=512)
            await until(lambda page: page.versions["$LATEST"].memory_mb == 512)
            await room.call("DeleteFunction", FunctionName="fn")
            await until(lambda page: page is None)
            await store.close()

    asyncio.run(run())


async def live(room):
    layer = await room.call("PublishLayerVersion", LayerName="tools", Content={"ZipFile": HANDLER_ZIP})
    await room.create("fn", Publish=True, Layers=[layer["LayerVersionArn"]], Tags={"a": "é"})
    created = await asyncio.gather(*[room.create("other") for _ in range(4)], return_exceptions=True)
    assert sum(isinstance(end, ServiceError) for end in created) == 3
    package = make_zip({"index.py": "changed"})
    await room.call("UpdateFunctionCode", FunctionName="fn", ZipFile=package, Publish=True)
    await room.settle()
    weights = {"AdditionalVersionWeights": {"2": 0.5}}
    await room.call("CreateAlias", FunctionName="fn", Name="Prod", FunctionVersion="1", RoutingConfig=weights)
    room.draws += [0.1, 0.9]
    targets = [await room.functions.resolve(ACCOUNT, REGION, "fn", "Prod") for _ in range(2)]
    assert [target.version for target in targets] == ["2", "1"]
    await room.call("PutFunctionConcurrency", FunctionName="fn", ReservedConcurrentExecutions=7)
    await room.call(
        "PutProvisionedConcurrencyConfig", FunctionName="fn", Qualifier="Prod", ProvisionedConcurrentExecutions=4
    )
    (provision,) = await room.functions.provisioned.provisions()
    assert {share.target.version: share.count for share in provision.shares} == {"1": 2, "2": 2}
    assert (await room.functions.resolve(ACCOUNT, REGION, "other", None)).set_aside == 7
    deny = {"Effect": "Deny", "Principal": "*", "Action": "lambda:InvokeFunction", "Resource": f"{ARN}:2"}
    policy = json.dumps({"Version": "2012-10-17", "Id": "mine", "Statement": [deny]})
    await room.call("PutResourcePolicy", ResourceArn=f"{ARN}:2", Policy=policy)
    assert json.loads((await room.call("GetResourcePolicy", ResourceArn=f"{ARN}:2"))["Policy"])["Id"] == "mine"
    await room.call("TagResource", Resource=ARN, Tags={"b": "c"})
    grant = {"Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
    for sid in ("one", "two"):
        await room.call("AddPermission", FunctionName="fn", StatementId=sid, **grant)
    await room.call("RemovePermission", FunctionName="fn", StatementId="one")
    url = {"FunctionName": "fn", "AuthType": "NONE", "Cors": {"MaxAge": 5}}
    made = await asyncio.gather(
        *[room.call("CreateFunctionUrlConfig", **url) for _ in range(4)], return_exceptions=True
    )
    assert sum(isinstance(end, ServiceError) for end in made) == 3
    await room.call("UpdateFunctionUrlConfig", FunctionName="fn", AuthType="AWS_IAM")
    listed = (await room.call("ListFunctionUrlConfigs", FunctionName="fn"))["FunctionUrlConfigs"]
    assert [(each["AuthType"], each["Cors"]) for each in listed] == [("AWS_IAM", {"MaxAge": 5})]
    await set_ends_and_signing(room)
    await map_sources(room)
    given = {"LayerName": "tools", "VersionNumber": 1}
    await room.call(
        "AddLayerVersionPermission", **given, StatementId="s", Action="lambda:GetLayerVersion", Principal="*"
    )
    await room.call("DeleteLayerVersion", **given)
    listed = await room.call("ListFunctions", FunctionVersion="ALL")
    assert [item["FunctionArn"].split(":", 6)[6] for item in listed["Functions"]] == [
        "fn:$LATEST",
        "fn:1",
        "fn:2",
        "other:$LATEST",
    ]
    usage = (await room.call("GetAccountSettings"))["AccountUsage"]
    assert usage == {"FunctionCount": 2, "TotalCodeSize": 2 * len(HANDLER_ZIP) + 2 * len(package)}
    await room.call("DeleteFunction", FunctionName="other")
    room.clock.advance(7200)
    await room.code.collect()
    await room.call("UpdateFunctionConfiguration", FunctionName="fn", Layers=[])
    await room.settle()


async def set_ends_and_signing(room):
    other = ARN.replace(":fn", ":other")
    for name in ("fn", "fn:1", "fn:Prod"):
        await room.call(
            "PutFunctionEventInvokeConfig",
            FunctionName=name,
            MaximumRetryAttempts=1,
            DestinationConfig={"OnFailure": {"Destination": other}},
        )
    await room.call("UpdateFunctionEventInvokeConfig", FunctionName="fn:Prod", MaximumEventAgeInSeconds=60)
    await room.call("DeleteFunctionEventInvokeConfig", FunctionName="fn:1")
    listed = (await room.call("ListFunctionEventInvokeConfigs", FunctionName="fn"))["FunctionEventInvokeConfigs"]
    assert [each["FunctionArn"].rpartition(":")[2] for each in listed] == ["$LATEST", "Prod"]
    policy = await room.functions.async_policy(ACCOUNT, REGION, "fn", "Prod")
    assert (policy.max_retries, policy.max_age_s, policy.on_failure) == (1, 60, other)
    await room.call("PutFunctionRecursionConfig", FunctionName="fn", RecursiveLoop="Allow")
    publishers = {"SigningProfileVersionArns": [f"arn:aws:signer:{REGION}:{ACCOUNT}:/signing-profiles/p"]}
    config = (await room.call("CreateCodeSigningConfig", AllowedPublishers=publishers))["CodeSigningConfig"]
    named = {"CodeSigningConfigArn": config["CodeSigningConfigArn"]}
    await room.call("PutFunctionCodeSigningConfig", FunctionName="fn", **named)
    assert await room.call("ListFunctionsByCodeSigningConfig", **named) == {"FunctionArns": [ARN]}
    target = await room.functions.resolve(ACCOUNT, REGION, "fn", None)
    assert target.allows_recursion


async def map_sources(room):
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"
    room.sources.serve("sqs", ListedEventSource([queue]))
    given = {"EventSourceArn": queue, "FunctionName": "fn", "Tags": {"a": "é"}}
    made = await asyncio.gather(
        *[room.call("CreateEventSourceMapping", **given) for _ in range(4)], return_exceptions=True
    )
    assert sum(isinstance(end, ServiceError) for end in made) == 3
    (mapping,) = (await room.call("ListEventSourceMappings", FunctionName="fn"))["EventSourceMappings"]
    room.clock.advance(1)
    await room.call("UpdateEventSourceMapping", UUID=mapping["UUID"], Enabled=False)
    room.clock.advance(1)
    assert (await room.call("GetEventSourceMapping", UUID=mapping["UUID"]))["State"] == "Disabled"
    await room.call("DeleteEventSourceMapping", UUID=mapping["UUID"])
    room.clock.advance(1)
    assert await room.call("ListEventSourceMappings") == {"EventSourceMappings": []}
