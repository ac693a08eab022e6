import asyncio

from cosset.functions.foresight import Foresight
from cosset.functions.function_book import FunctionBook
from cosset.functions.model import Change, FunctionKey
from cosset.functions.names import FunctionReference
from support.functions import ACCOUNT, HANDLER_ZIP, REGION, ROLE, functions_room

KEY = FunctionKey(ACCOUNT, REGION, "fn")
CHANGE = Change(runtime="python3.12", role=ROLE, handler="index.handler")


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.001)


def test_a_function_at_rest_is_looked_up_before_anyone_calls_it(tmp_path):
    async def run():
        async with functions_room(tmp_path) as room:
            seen = []

            async def look(target):
                seen.append((target.revision, target.memory_mb))

            room.functions.foresight.add(look)
            await room.functions.create(KEY, CHANGE, HANDLER_ZIP, publish_it=False, tags={})
            await until(lambda: seen)
            first = await room.functions.resolve(ACCOUNT, REGION, "fn", None)
            assert seen == [(first.revision, 128)]
            await room.functions.update_configuration(KEY, Change(memory_mb=512), revision_id=None)
            settled = await room.functions.resolve(ACCOUNT, REGION, "fn", None)
            assert settled.memory_mb == 512  # an update holds at once, looked up or not
            async with asyncio.timeout(60):
                while len(seen) < 2:
                    room.clock.advance(1)
                    await asyncio.sleep(0.001)
            assert seen[-1] == (settled.revision, 512)

    asyncio.run(run())


def test_what_was_looked_up_is_dropped_with_the_function(tmp_path):
    async def run():
        async with functions_room(tmp_path) as room:
            book = FunctionBook(room.store)
            foresight = Foresight(lambda key: book.page_of(key, None))
            room.functions.foresight.add(lambda target: look(foresight))
            await room.functions.create(KEY, CHANGE, HANDLER_ZIP, publish_it=False, tags={})
            await until(lambda: book.kept(KEY, None) is not None)
            await room.functions.delete(FunctionReference(KEY))
            assert book.kept(KEY, None) is None
            await foresight.close()

    async def look(foresight):
        foresight.note(KEY)

    asyncio.run(run())


def test_one_that_cannot_be_looked_up_holds_up_no_other():
    async def run():
        found = []

        async def find(key):
            if key.name == "broken":
                raise OSError("no such disk")
            found.append(key.name)

        foresight = Foresight(find)
        for name in ("broken", "gone", "gone", "last"):
            foresight.note(FunctionKey(ACCOUNT, REGION, name))
        await until(lambda: "last" in found)
        assert found == ["gone", "last"]
        await foresight.close()

    asyncio.run(run())
