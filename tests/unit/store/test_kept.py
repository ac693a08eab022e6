"""What is kept until it changes: it is read once, never older than the last change, and bounded."""

import asyncio

import pytest

from cosset.store.changes import EVERYTHING, ChangeFeed
from cosset.store.kept import Kept, KeptWhole

TOPIC = "rows"


class Rows:
    """A store of one row a key, which are read one at a time. `meanwhile` runs between a read and its answer."""

    def __init__(self, **rows):
        self.feed = ChangeFeed()
        self.on_change = self.feed.on_change
        self.rows = rows
        self.reads = []
        self.meanwhile = None

    async def read(self, key):
        self.reads.append(key)
        found = self.rows.get(key)
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        return found

    async def write(self, key, value):
        self.rows[key] = value
        self.feed.deliver([(TOPIC, key)])

    def kept(self, limit=10, is_meant=None):
        kept = Kept(self.read, limit)
        kept.follow(self, TOPIC, is_meant)
        return kept

    def kept_whole(self):
        whole = KeptWhole(lambda: self.read("all"))
        whole.follow(self, TOPIC)
        return whole


def by_key(announced, key, _answer):
    return announced == key


def test_an_answer_is_read_once_and_again_after_a_change():
    async def run():
        rows = Rows(a=1)
        kept = rows.kept()
        assert [await kept.get("a") for _ in range(3)] == [1, 1, 1]
        await rows.write("a", 2)
        assert [await kept.get("a") for _ in range(3)] == [2, 2, 2]
        assert rows.reads == ["a", "a"]

    asyncio.run(run())


def test_an_answer_that_a_change_overtook_is_given_and_not_kept():
    async def run():
        rows = Rows(a=1)
        kept = rows.kept()
        rows.meanwhile = lambda: rows.write("a", 2)
        assert await kept.get("a") == 1
        assert await kept.get("a") == 2

    asyncio.run(run())


def test_no_answer_is_kept_that_any_change_overtook():
    """Which rows an answer rests on is not known before it is there."""

    async def run():
        rows = Rows(a=1, b=1)
        kept = rows.kept(is_meant=by_key)
        rows.meanwhile = lambda: rows.write("b", 2)
        assert await kept.get("a") == 1
        assert await kept.get("a") == 1
        assert rows.reads == ["a", "a"]

    asyncio.run(run())


def test_two_who_ask_at_once_are_both_answered_and_neither_keeps_what_is_old():
    async def run():
        rows = Rows(a=1)
        kept = rows.kept()
        goes_on = asyncio.Event()
        rows.meanwhile = goes_on.wait
        early = asyncio.create_task(kept.get("a"))
        while not rows.reads:
            await asyncio.sleep(0)
        await rows.write("a", 2)
        assert await kept.get("a") == 2
        goes_on.set()
        assert await early == 1
        assert await kept.get("a") == 2

    asyncio.run(run())


def test_a_change_takes_what_it_is_about_and_a_missed_one_everything():
    async def run():
        rows = Rows(a=1, b=1)
        kept = rows.kept(is_meant=by_key)
        await kept.get("a"), await kept.get("b")
        await rows.write("a", 2)
        assert (await kept.get("a"), await kept.get("b")) == (2, 1)
        assert rows.reads == ["a", "b", "a"]
        await rows.write(EVERYTHING, None)
        await kept.get("a"), await kept.get("b")
        assert rows.reads == ["a", "b", "a", "a", "b"]

    asyncio.run(run())


def test_what_was_asked_for_longest_ago_makes_room():
    async def run():
        rows = Rows(a=1, b=1, c=1)
        kept = rows.kept(limit=2)
        for key in ("a", "b", "a", "c", "a", "b"):
            await kept.get(key)
        assert rows.reads == ["a", "b", "c", "b"]

    asyncio.run(run())


def test_what_is_not_there_and_what_fails_takes_no_place():
    async def run():
        rows = Rows(a=1)
        kept = rows.kept(limit=1)
        await kept.get("a")
        for _ in range(2):
            assert await kept.get("nothing") is None

        async def fail():
            raise OSError("a disk")

        rows.meanwhile = fail
        with pytest.raises(OSError, match="a disk"):
            await kept.get("b")
        await kept.get("a")
        assert rows.reads == ["a", "nothing", "nothing", "b"]

    asyncio.run(run())


def test_one_answer_about_everything_is_kept_likewise():
    async def run():
        rows = Rows(all={})
        whole = rows.kept_whole()
        assert whole.known is None
        assert await whole.get() == {} == whole.known
        await whole.get()
        assert rows.reads == ["all"]
        await rows.write("all", {"a": 1})
        assert whole.known is None
        rows.meanwhile = lambda: rows.write("all", {"a": 2})
        assert await whole.get() == {"a": 1}
        assert await whole.get() == {"a": 2} == whole.known

    asyncio.run(run())
