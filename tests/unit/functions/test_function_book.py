import asyncio
import dataclasses

from cosset.functions import function_book
from cosset.functions.function_book import FunctionBook
from cosset.functions.model import Change, FunctionKey, UpdateStatus
from cosset.functions.names import FunctionReference
from cosset.functions.policies import Grant
from cosset.functions.resource_policies import FunctionResources
from cosset.functions.settling import UPDATE_S
from support.functions import ACCOUNT, HANDLER_ZIP, REGION, ROLE, functions_room

KEY = FunctionKey(ACCOUNT, REGION, "fn")
FUNCTION = FunctionReference(KEY)
GRANT = Grant(sid="a", action="lambda:InvokeFunction", principal="222222222222")


class Counted:
    """The store, with its reads counted. `meanwhile` is awaited between a read and its answer."""

    def __init__(self, store):
        self.on_change = store.on_change
        self.reads = 0
        self.meanwhile = None
        self._store = store

    async def read(self, work):
        self.reads += 1
        answer = await self._store.read(work)
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        return answer


async def create(room, key=KEY, **tags):
    change = Change(runtime="python3.12", role=ROLE, handler="index.handler")
    await room.functions.create(key, change, HANDLER_ZIP, publish_it=False, tags=tags)
    await room.functions.resolve(key.account, key.region, key.name, None)


async def publish(room):
    await room.functions.versions.publish(KEY, description=None, code_sha256=None, revision_id=None)


async def facts(store, book, qualifier=None):
    arn = KEY.arn if qualifier is None else KEY.qualified_arn(qualifier)
    return await FunctionResources(store, book).facts_of("lambda:InvokeFunction", arn)


def test_a_call_of_an_unknown_function_reads_once(tmp_path):
    async def run():
        async with functions_room(tmp_path) as room:
            await create(room)
            store = Counted(room.store)
            book = FunctionBook(store)
            for _ in range(2):
                assert (await facts(store, book)).policies == ()
                page = await book.page_of(KEY, "$LATEST")
                assert page is book.kept(KEY, None)
                assert page.versions["$LATEST"].role == ROLE
            assert store.reads == 1

    asyncio.run(run())


def test_a_change_of_the_function_is_seen_at_once(tmp_path):
    async def run():
        async with functions_room(tmp_path) as room:
            await create(room)
            book = FunctionBook(room.store)
            assert (await facts(room.store, book)).policies == ()
            await room.functions.policies.add(FUNCTION, GRANT, revision_id=None)
            assert "222222222222" in (await facts(room.store, book)).policies[0].text
            await room.functions.policies.remove(FUNCTION, "a", revision_id=None)
            assert (await facts(room.store, book)).policies == ()
            await room.functions.update_configuration(KEY, Change(memory_mb=512), revision_id=None)
            assert (await book.page_of(KEY, None)).versions["$LATEST"].memory_mb == 512
            await room.functions.delete(FUNCTION)
            assert book.kept(KEY, None) is None
            assert await facts(room.store, book) is None

    asyncio.run(run())


def test_an_alias_brings_every_version_that_it_may_mean_and_its_own_policy(tmp_path):
    async def run():
        async with functions_room(tmp_path) as room:
            await create(room)
            await publish(room)
            await room.functions.update_configuration(KEY, Change(description="another"), revision_id=None)
            while (await room.functions.get(FUNCTION)).last_update_status is not UpdateStatus.SUCCESSFUL:
                room.clock.advance(UPDATE_S)
            await publish(room)
            await room.functions.aliases.create(KEY, "live", "1", description="", weights={"2": 0.5})
            await room.functions.policies.add(FunctionReference(KEY, "live"), GRANT, revision_id=None)
            store = Counted(room.store)
            book = FunctionBook(store)
            assert len((await facts(store, book, "live")).policies) == 1
            assert set((await book.page_of(KEY, "live")).versions) == {"1", "2"}
            assert store.reads == 1
            assert (await facts(store, book)).policies == ()
            assert book.kept(KEY, "live") is book.kept(KEY, None)
            assert set(book.kept(KEY, None).versions) == {"1", "2", "$LATEST"}

    asyncio.run(asyncio.wait_for(run(), 60))


def test_what_a_change_overtook_is_not_kept(tmp_path):
    async def run():
        async with functions_room(tmp_path) as room:
            await create(room)
            store = Counted(room.store)
            book = FunctionBook(store)
            store.meanwhile = lambda: room.functions.policies.add(FUNCTION, GRANT, revision_id=None)
            await facts(store, book)
            assert book.kept(KEY, None) is None
            assert len((await facts(store, book)).policies) == 1

    asyncio.run(run())


def test_it_is_bounded_and_keeps_nothing_of_what_is_not_there(tmp_path, monkeypatch):
    async def run():
        async with functions_room(tmp_path) as room:
            keys = [dataclasses.replace(KEY, name=f"fn-{number}") for number in range(3)]
            for key in keys:
                await create(room, key)
                await room.functions.policies.add(FunctionReference(key), GRANT, revision_id=None)
            book = FunctionBook(room.store)
            assert await book.page_of(KEY, None) is None
            assert not (await book.page_of(keys[0], "7")).versions
            assert book.kept(keys[0], "7") is None
            monkeypatch.setattr(function_book, "MAX_KEPT", 2)
            for key in keys:
                await book.page_of(key, None)
            assert [book.kept(key, None) is not None for key in keys] == [False, True, True]
            monkeypatch.setattr(function_book, "MAX_POLICY_CHARS", 10)
            await book.page_of(keys[0], None)
            assert [book.kept(key, None) is not None for key in keys] == [True, False, False]

    asyncio.run(run())
