import asyncio
import dataclasses
import errno
from collections import Counter

import pytest

from cosset.functions import archive, checks, records, registry, usage
from cosset.functions.model import Change, FunctionKey, FunctionState, UpdateStatus
from cosset.functions.names import FunctionReference
from cosset.store.errors import DiskFullError
from cosset.wire.errors import ServiceError
from support.functions import ACCOUNT, HANDLER_ZIP, REGION, ROLE, functions_room
from support.zip import make_zip

KEY = FunctionKey(ACCOUNT, REGION, "fn")
CHANGE = Change(runtime="python3.12", role=ROLE, handler="index.handler")
OTHER_ZIP = make_zip({"index.py": "handler = print"})


async def create(room, key=KEY, change=CHANGE, *, publish_it=False, tags=None):
    return await room.functions.create(key, change, HANDLER_ZIP, publish_it=publish_it, tags=tags or {})


async def update_code(room, package=OTHER_ZIP, **given):
    options = {"architectures": None, "publish_it": False, "dry_run": False, "revision_id": None, **given}
    return await room.functions.update_code(KEY, package, **options)


async def resolve(room, qualifier=None):
    return await room.functions.resolve(ACCOUNT, REGION, "fn", qualifier)


async def latest(room):
    return await room.functions.get(FunctionReference(KEY))


def test_a_new_function_is_pending_and_then_active(tmp_path):
    async def run():
        async with functions_room(tmp_path) as room:
            created = await create(room)
            assert created.state is FunctionState.PENDING
            assert created.last_update_status is None
            assert created.last_modified == "2025-11-21T04:40:00.000+0000"
            await resolve(room)
            active = await latest(room)
            assert active.state is FunctionState.ACTIVE
            assert active.last_update_status is UpdateStatus.SUCCESSFUL
            assert active.revision_id != created.revision_id

    asyncio.run(run())


def test_a_call_right_after_the_creation_waits_for_it(tmp_path):
    async def run():
        async with functions_room(tmp_path) as room:
            await create(room)
            target = await resolve(room)
            assert (target.code_dir / "index.py").is_file()
            assert target.version == "$LATEST"
            assert target.function_arn == KEY.arn

    asyncio.run(run())


def test_of_two_creations_at_once_one_wins(tmp_path):
    async def run():
        async with functions_room(tmp_path) as room:
            ended = await asyncio.gather(*[create(room) for _ in range(8)], return_exceptions=True)
            failures = [end for end in ended if isinstance(end, ServiceError)]
            assert len(failures) == 7
            assert {(error.code, error.message) for error in failures} == {
                ("ResourceConflictException", "Function already exist: fn")
            }

    asyncio.run(run())


def test_an_update_is_in_progress_for_a_moment_and_refuses_another(tmp_path):
    async def run():
        async with functions_room(tmp_path) as room:
            await create(room)
            updated = await update_code(room)
            assert updated.last_update_status is UpdateStatus.IN_PROGRESS
            for again in (
                update_code(room),
                room.functions.update_configuration(KEY, Change(memory_mb=256), revision_id=None),
                room.functions.versions.publish(KEY, description=None, code_sha256=None, revision_id=None),
            ):
                with pytest.raises(ServiceError) as caught:
                    await again
                assert caught.value.code == "ResourceConflictException"
                assert caught.value.message == (
                    f"The operation cannot be performed at this time. An update is in progress for resource: {KEY.arn}"
                )
            await room.settle()
            settled = await latest(room)
            assert settled.last_update_status is UpdateStatus.SUCCESSFUL
            assert settled.revision_id != updated.revision_id

    asyncio.run(run())


def test_a_state_that_a_stop_caught_half_way_is_settled_at_the_next_start(tmp_path):
    async def run():
        async with functions_room(tmp_path) as room:
            await create(room)
            await update_code(room, publish_it=True)
        async with functions_room(tmp_path) as room:
            assert (await latest(room)).last_update_status is UpdateStatus.SUCCESSFUL
            version = await room.functions.get(FunctionReference(KEY, "1"))
            assert version.state is FunctionState.ACTIVE

    asyncio.run(run())


def test_new_code_and_new_settings_end_idle_environments_and_nothing_else_does(tmp_path):
    async def run():
        async with functions_room(tmp_path) as room:
            await create(room)
            revisions = [(await resolve(room)).revision]
            await room.functions.tags.add(KEY, {"a": "b"})
            await room.functions.versions.publish(KEY, description=None, code_sha256=None, revision_id=None)
            await room.functions.concurrency.put(KEY, 5)
            target = await resolve(room)
            assert target.revision == revisions[0]
            assert target.reserved_concurrency == 5
            await update_code(room)
            await room.settle()
            revisions.append((await resolve(room)).revision)
            await room.functions.update_configuration(KEY, Change(memory_mb=256), revision_id=None)
            await room.settle()
            target = await resolve(room)
            assert target.memory_mb == 256
            assert len({*revisions, target.revision}) == 3

    asyncio.run(run())


def test_a_function_made_again_is_another(tmp_path):
    async def run():
        async with functions_room(tmp_path) as room:
            await create(room)
            first = await resolve(room)
            await room.functions.delete(FunctionReference(KEY))
            await create(room)
            assert (await resolve(room)).revision != first.revision

    asyncio.run(run())


def test_publishing_what_has_not_changed_gives_the_last_version(tmp_path):
    # recorded: TestLambdaVersions::test_version_lifecycle
    async def run():
        async with functions_room(tmp_path) as room:

            async def publish(description=None):
                return await room.functions.versions.publish(
                    KEY, description=description, code_sha256=None, revision_id=None
                )

            await create(room)
            first = await publish("one")
            assert (first.version, first.description, first.state) == ("1", "one", FunctionState.ACTIVE)
            again = await publish("another description alone is no change")
            assert again == first
            await room.functions.update_configuration(KEY, Change(description="two"), revision_id=None)
            await room.settle()
            second = await publish()
            assert (second.version, second.description) == ("2", "two")
            await room.functions.delete(FunctionReference(KEY, "2"))
            await update_code(room)
            await room.settle()
            assert (await publish()).version == "3"

    asyncio.run(run())


def test_publishing_gives_latest_a_new_revision(tmp_path):
    # recorded: TestLambdaRevisions::test_function_revisions_version_and_alias
    async def run():
        async with functions_room(tmp_path) as room:
            await create(room)
            await resolve(room)
            before = await latest(room)
            version = await room.functions.versions.publish(
                KEY, description=None, code_sha256=before.code.sha256, revision_id=before.revision_id
            )
            after = await latest(room)
            assert len({before.revision_id, version.revision_id, after.revision_id}) == 3

    asyncio.run(run())


def test_preconditions_of_publishing(tmp_path):
    async def run():
        async with functions_room(tmp_path) as room:
            await create(room)
            with pytest.raises(ServiceError) as caught:
                await room.functions.versions.publish(KEY, description=None, code_sha256=None, revision_id="stale")
            assert (caught.value.code, caught.value.status) == ("PreconditionFailedException", 412)
            with pytest.raises(ServiceError) as caught:
                await room.functions.versions.publish(KEY, description=None, code_sha256="other", revision_id=None)
            assert caught.value.message.startswith("CodeSHA256 (other) is different from current CodeSHA256")

    asyncio.run(run())


def test_a_dry_run_changes_nothing(tmp_path):
    async def run():
        async with functions_room(tmp_path) as room:
            await create(room)
            await resolve(room)
            before = await latest(room)
            answered = await update_code(room, dry_run=True)
            assert answered.code.sha256 != before.code.sha256
            assert await latest(room) == before
            assert len([*(tmp_path / "code").iterdir()]) == 1

    asyncio.run(run())


def test_weights_really_route(tmp_path):
    async def run():
        async with functions_room(tmp_path) as room:
            await create(room, publish_it=True)
            await resolve(room)
            await update_code(room, publish_it=True)
            await room.settle()
            await room.functions.aliases.create(KEY, "Prod", "1", description="", weights={"2": 0.2})
            room.draws += [number / 100 for number in range(100)]
            served = Counter([(await resolve(room, "Prod")).version for _ in range(100)])
            assert served == {"2": 20, "1": 80}

    asyncio.run(run())


def test_an_alias_follows_its_version_at_once(tmp_path):
    async def run():
        async with functions_room(tmp_path) as room:
            await create(room, publish_it=True)
            await room.functions.aliases.create(KEY, "Prod", "1", description="", weights={})
            assert (await resolve(room, "Prod")).version == "1"
            await room.functions.aliases.update(
                KEY, "Prod", version="$LATEST", description=None, weights=None, revision_id=None
            )
            assert (await resolve(room, "Prod")).version == "$LATEST"
            await room.functions.aliases.delete(KEY, "Prod")
            with pytest.raises(ServiceError) as caught:
                await resolve(room, "Prod")
            assert caught.value.message == f"Function not found: {KEY.arn}:Prod"

    asyncio.run(run())


def test_what_is_not_there_is_named_with_latest_when_invoked(tmp_path):
    # recorded: test_function_name_and_qualifier_validation[function_name_too_long-invoke]
    async def run():
        async with functions_room(tmp_path) as room:
            with pytest.raises(ServiceError) as caught:
                await resolve(room)
            assert (caught.value.code, caught.value.status) == ("ResourceNotFoundException", 404)
            assert caught.value.message == f"Function not found: {KEY.arn}:$LATEST"

    asyncio.run(run())


def test_code_that_no_version_holds_is_collected_after_an_hour(tmp_path):
    async def run():
        async with functions_room(tmp_path) as room:
            await create(room, publish_it=True)
            old = (await resolve(room)).code_dir
            await update_code(room)
            await room.settle()
            new = (await resolve(room)).code_dir
            await room.functions.delete(FunctionReference(KEY, "1"))
            room.clock.advance(3590)
            await room.code.collect()
            assert old.exists()
            room.clock.advance(20)
            await room.code.collect()
            assert not old.exists()
            assert not room.code.zip_path(old.name).exists()
            assert new.exists()
            assert room.code.zip_path(new.name).exists()

    asyncio.run(run())


def test_code_shared_by_functions_stays_while_one_holds_it(tmp_path):
    async def run():
        async with functions_room(tmp_path) as room:
            await create(room)
            await create(room, FunctionKey(ACCOUNT, REGION, "other"))
            await room.functions.delete(FunctionReference(KEY))
            folder = (await room.functions.resolve(ACCOUNT, REGION, "other", None)).code_dir
            room.clock.advance(7200)
            await room.code.collect()
            assert folder.exists()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (Change(runtime="python3.12", role=ROLE), "Runtime and Handler are mandatory parameters for functions"),
        (Change(handler="i.h", role=ROLE), "Runtime and Handler are mandatory parameters for functions"),
        (
            Change(runtime="python3.12", handler="i.h", role=f"arn:aws:iam::{ACCOUNT}:role/stranger"),
            "The role defined for the function cannot be assumed by Lambda.",
        ),
        (Change(runtime="python2.7", handler="i.h", role=ROLE), "The runtime parameter of python2.7 is no longer"),
        (Change(runtime="PYTHON3.9", handler="i.h", role=ROLE), "Value PYTHON3.9 at 'runtime' failed to satisfy"),
        (
            Change(runtime="python3.12", handler="i.h", role=ROLE, variables={"AWS_REGION": "x", "OK": "y"}),
            "Lambda was unable to configure your environment variables because the environment variables you have "
            "provided contains reserved keys that are currently not supported for modification. Reserved keys used "
            "in this request: AWS_REGION",
        ),
    ],
)
def test_what_cannot_be_created(tmp_path, change, message):
    async def run():
        async with functions_room(tmp_path) as room:
            with pytest.raises(ServiceError) as caught:
                await create(room, change=change)
            assert caught.value.code == "InvalidParameterValueException"
            assert caught.value.message.startswith(message)
            assert list((tmp_path / "code").iterdir()) == []

    asyncio.run(run())


def test_the_4_kb_of_variables_are_counted_as_json():
    fits = {"A": "x" * (4096 - len('{"A":""}'))}
    checks.check_variables(fits)
    with pytest.raises(ServiceError) as caught:
        checks.check_variables({"A": fits["A"] + "x"})
    assert caught.value.message.endswith(f'exceeded the 4KB limit. String measured: {{"A":"{fits["A"]}x"}}')


def test_reserved_concurrency_leaves_a_hundred_to_the_others(tmp_path):
    # recorded: TestLambdaReservedConcurrency::test_function_concurrency_limits
    async def run():
        async with functions_room(tmp_path, concurrency=1000) as room:
            await create(room)
            await create(room, FunctionKey(ACCOUNT, REGION, "other"))
            await room.functions.concurrency.put(KEY, 900)
            await room.functions.concurrency.put(KEY, 800)
            await room.functions.concurrency.put(FunctionKey(ACCOUNT, REGION, "other"), 100)
            with pytest.raises(ServiceError) as caught:
                await room.functions.concurrency.put(KEY, 801)
            assert caught.value.message == (
                "Specified ReservedConcurrentExecutions for function decreases account's "
                "UnreservedConcurrentExecution below its minimum value of [100]."
            )
            assert caught.value.fields == {"Type": None}
            assert await room.functions.concurrency.unreserved(ACCOUNT, REGION) == 100

    asyncio.run(run())


def test_a_full_disk_refuses_the_function_and_leaves_nothing(tmp_path, monkeypatch):
    def full(package, folder):
        raise OSError(errno.ENOSPC, "No space left on device")

    async def run():
        async with functions_room(tmp_path) as room:
            monkeypatch.setattr(archive, "unpack", full)
            with pytest.raises(DiskFullError):
                await create(room)
            with pytest.raises(ServiceError) as caught:
                await latest(room)
            assert caught.value.code == "ResourceNotFoundException"

    asyncio.run(run())


def test_the_account_has_a_limit_of_code(tmp_path, monkeypatch):
    monkeypatch.setattr(usage, "MAX_CODE_BYTES", len(HANDLER_ZIP) * 2)

    async def run():
        async with functions_room(tmp_path) as room:
            await create(room)
            await create(room, FunctionKey(ACCOUNT, REGION, "other"))
            with pytest.raises(ServiceError) as caught:
                await create(room, FunctionKey(ACCOUNT, REGION, "one-too-many"))
            assert caught.value.code == "CodeStorageExceededException"

    asyncio.run(run())


def test_packages_are_collected_now_and_then(tmp_path):
    async def run():
        async with functions_room(tmp_path) as room:
            await create(room)
            folder = (await resolve(room)).code_dir
            await room.functions.delete(FunctionReference(KEY))
            room.clock.advance(2 * 3600)
            while folder.exists():
                await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(run(), 60))


def test_what_another_node_left_half_way_is_settled_by_the_sweep(tmp_path):
    async def run():
        async with functions_room(tmp_path) as room:
            await create(room)
            await resolve(room)
            half = dataclasses.replace(await latest(room), last_update_status=UpdateStatus.IN_PROGRESS)
            await room.store.write(lambda tx: records.write_version(tx, half))
            room.clock.advance(registry.SWEEP_S)
            while (await latest(room)).last_update_status is not UpdateStatus.SUCCESSFUL:
                await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(run(), 60))
