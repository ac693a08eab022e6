"""Functions that nobody calls become Inactive, and wake."""

import asyncio

import pytest

from cosset.functions.registry import SWEEP_S
from cosset.wire.errors import ServiceError
from support.functions import ACCOUNT, REGION, functions_room

DAY_S = 86_400


def in_room(tmp_path, test, **settings):
    async def run():
        async with functions_room(tmp_path, **settings) as room:
            await room.create("fn", Publish=True)
            await asyncio.wait_for(test(room), 60)

    asyncio.run(run())


async def state(room, qualifier=None):
    found = await room.call(
        "GetFunctionConfiguration", FunctionName="fn", **({"Qualifier": qualifier} if qualifier else {})
    )
    return found["State"], found.get("StateReasonCode")


async def call(room):
    await room.functions.resolve(ACCOUNT, REGION, "fn", None)


async def pass_time(room, seconds):
    """Until the sweep has run that is due by then."""
    room.clock.advance(seconds)
    for _ in range(200):
        await asyncio.sleep(0.001)


def test_a_function_that_nobody_calls_becomes_inactive_and_wakes(tmp_path):
    async def test(room):
        await pass_time(room, SWEEP_S)  # from here on it counts
        await call(room)
        await pass_time(room, DAY_S - SWEEP_S)
        assert await state(room) == ("Active", None)
        await pass_time(room, 2 * DAY_S)
        while await state(room) != ("Inactive", "Idle"):
            await pass_time(room, SWEEP_S)
        assert await state(room, "1") == ("Inactive", "Idle")
        with pytest.raises(ServiceError) as refused:
            await call(room)
        assert refused.value.code == "ResourceConflictException"
        assert refused.value.message.endswith("currently in the following state: Inactive")
        assert await state(room) == ("Pending", "Restoring")
        assert await state(room, "1") == ("Inactive", "Idle")
        with pytest.raises(ServiceError, match="Pending"):
            await call(room)
        await room.settle()
        assert await state(room) == ("Active", None)
        await call(room)

    in_room(tmp_path, test, inactive_after_s=2 * DAY_S)


def test_an_update_wakes_too(tmp_path):
    async def test(room):
        await pass_time(room, SWEEP_S)
        await pass_time(room, 3 * DAY_S)
        while await state(room) != ("Inactive", "Idle"):
            await pass_time(room, SWEEP_S)
        await room.call("UpdateFunctionConfiguration", FunctionName="fn", Description="again")
        await room.settle()
        assert await state(room) == ("Active", None)

    in_room(tmp_path, test, inactive_after_s=2 * DAY_S)


def test_nobody_becomes_inactive_unless_that_is_wanted(tmp_path):
    async def test(room):
        for _ in range(3):
            await pass_time(room, 400 * DAY_S)
        assert await state(room) == ("Active", None)

    in_room(tmp_path, test)
