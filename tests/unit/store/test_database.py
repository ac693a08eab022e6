"""The contract of transactions, on both engines."""

import asyncio
import threading

import pytest
from sqlalchemy import Column, Integer, String, Table, func, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from cosset.store.database import Store, Transaction
from cosset.store.schema import metadata
from support.stores import OpenStore

pairs = Table(
    "test_pairs",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", Integer, nullable=False),
    keep_existing=True,
)


def put(tx: Transaction, key: str, value: int = 0) -> None:
    tx.execute(insert(pairs).values(key=key, value=value))


def value_of(tx: Transaction, key: str) -> int | None:
    return tx.execute(select(pairs.c.value).where(pairs.c.key == key)).scalar()


def test_a_write_is_there_after_reopening(open_store: OpenStore) -> None:
    async def main() -> None:
        async with open_store() as store:
            await store.write(lambda tx: put(tx, "a", 1))
            assert await store.read(lambda tx: value_of(tx, "a")) == 1
        async with open_store() as store:
            assert await store.read(lambda tx: value_of(tx, "a")) == 1

    asyncio.run(main())


def test_a_write_gives_what_its_function_returns(open_store: OpenStore) -> None:
    async def main() -> None:
        async with open_store() as store:
            assert await store.write(lambda tx: "answer") == "answer"

    asyncio.run(main())


def test_an_error_undoes_its_own_function_only(open_store: OpenStore) -> None:
    def fail(tx: Transaction) -> None:
        put(tx, "bad")
        raise LookupError("mine")

    async def main() -> None:
        async with open_store() as store:
            results = await asyncio.gather(
                store.write(lambda tx: put(tx, "before")),
                store.write(fail),
                store.write(lambda tx: put(tx, "before")),
                store.write(lambda tx: put(tx, "after")),
                return_exceptions=True,
            )
            assert [type(result) for result in results].count(type(None)) == 2
            assert isinstance(results[1], LookupError)
            assert [type(result) for result in results].count(IntegrityError) == 1
            keys = await store.read(lambda tx: set(tx.execute(select(pairs.c.key)).scalars()))
            assert keys == {"before", "after"}

    asyncio.run(main())


def test_a_read_cannot_write(open_store: OpenStore) -> None:
    async def main() -> None:
        async with open_store() as store:
            with pytest.raises((DBAPIError, Exception), match="read"):
                await store.read(lambda tx: put(tx, "a"))
            with pytest.raises(RuntimeError, match="write"):
                await store.read(lambda tx: tx.announce("topic", "key"))
            assert await store.read(lambda tx: value_of(tx, "a")) is None

    asyncio.run(main())


def test_concurrent_increments_are_all_counted(open_store: OpenStore) -> None:
    def increment(tx: Transaction) -> None:
        value = value_of(tx, "n")
        assert value is not None
        tx.execute(update(pairs).where(pairs.c.key == "n").values(value=value + 1))

    async def main() -> None:
        async with open_store() as store:
            await store.write(lambda tx: put(tx, "n"))
            await asyncio.gather(*(store.write(increment) for _ in range(60)))
            assert await store.read(lambda tx: value_of(tx, "n")) == 60

    asyncio.run(main())


def test_write_skew_cannot_happen(open_store: OpenStore) -> None:
    """Each of many writers adds a row only while there are fewer than three: a weaker isolation lets more in."""

    def add(tx: Transaction, key: str) -> None:
        if (tx.execute(select(func.count()).select_from(pairs)).scalar() or 0) < 3:
            put(tx, key)

    async def main() -> None:
        async with open_store() as store:
            await asyncio.gather(*(store.write(lambda tx, key=str(n): add(tx, key)) for n in range(24)))
            assert await store.read(lambda tx: tx.execute(select(func.count()).select_from(pairs)).scalar()) == 3

    asyncio.run(main())


def test_announcements_come_after_the_commit_and_before_the_write_returns(open_store: OpenStore) -> None:
    async def main() -> None:
        async with open_store() as store:
            heard: list[str] = []
            store.on_change("colour", heard.append)

            def announce(tx: Transaction) -> None:
                tx.announce("colour", "red")
                tx.announce("colour", "red")
                tx.announce("shape", "round")

            await store.write(announce)
            assert heard == ["red"]

    asyncio.run(main())


def test_what_is_undone_is_not_announced(open_store: OpenStore) -> None:
    def fail(tx: Transaction) -> None:
        tx.announce("colour", "red")
        raise LookupError

    async def main() -> None:
        async with open_store() as store:
            heard: list[str] = []
            store.on_change("colour", heard.append)
            with pytest.raises(LookupError):
                await store.write(fail)
            assert heard == []

    asyncio.run(main())


def test_what_follows_runs_on_the_loop_after_a_commit_alone(
    open_store: OpenStore, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with open_store() as store:
            here = threading.get_ident()
            followed: list[int] = []

            def fails() -> None:
                raise ValueError("broken follower")

            def work(tx: Transaction) -> None:
                tx.follow(fails)
                tx.follow(lambda: followed.append(threading.get_ident()))

            def undone(tx: Transaction) -> None:
                work(tx)
                raise LookupError

            with pytest.raises(LookupError):
                await store.write(undone)
            await store.write(work)
            assert followed == [here]
            with pytest.raises(RuntimeError):
                await store.read(work)

    asyncio.run(main())
    assert sum("followed from a transaction" in each.message for each in caplog.records) == 1


def test_a_failing_callback_stops_nobody(open_store: OpenStore, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_key: str) -> None:
        raise LookupError("broken callback")

    async def main() -> None:
        async with open_store() as store:
            heard: list[str] = []
            store.on_change("colour", fail)
            store.on_change("colour", heard.append)
            await store.write(lambda tx: tx.announce("colour", "red"))
            assert heard == ["red"]

    asyncio.run(main())
    assert "broken callback" in caplog.text


def test_a_cancelled_write_is_whole_or_not_there(open_store: OpenStore) -> None:
    async def main() -> None:
        async with open_store() as store:
            tasks = [asyncio.create_task(store.write(lambda tx, n=n: put(tx, str(n)))) for n in range(20)]
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await store.write(lambda tx: put(tx, "later"))
            assert await store.read(lambda tx: value_of(tx, "later")) == 0

    asyncio.run(main())


async def _hearing(store: Store) -> bool:
    return store.hearing


def test_a_store_hears_its_changes(open_store: OpenStore) -> None:
    async def main() -> None:
        async with open_store() as store:
            assert await _hearing(store)

    asyncio.run(main())
