"""Secrets at rest: what is in the database opens with the root key only, and no crash of a rotation loses anything."""

import asyncio
import os
from collections.abc import Awaitable
from pathlib import Path

import pytest
from sqlalchemy import Column, String, Table, Text, delete, insert, select, text, update

from cosset.clock import SystemClock
from cosset.functions.tables import secrets as lambda_secrets
from cosset.store.database import Store, Transaction
from cosset.store.errors import StoreError
from cosset.store.migrations import MIGRATIONS
from cosset.store.root_key import RootKey, RootKeyFile
from cosset.store.schema import SEALED, metadata
from cosset.store.sealing import sealed_columns
from support.stores import OpenStore

secrets_table = Table(
    "test_sealing",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("secret", Text, nullable=False, info=SEALED),
)
SECRET = secrets_table.c.secret


def put(tx: Transaction, name: str, plain: str) -> None:
    tx.execute(delete(secrets_table).where(secrets_table.c.name == name))
    tx.execute(insert(secrets_table).values(name=name, secret=tx.seal(SECRET, (name,), plain)))


def kept(tx: Transaction, name: str) -> str:
    return str(tx.execute(select(SECRET).where(secrets_table.c.name == name)).scalar_one())


def get(tx: Transaction, name: str) -> str:
    return tx.unseal(SECRET, (name,), kept(tx, name))


async def keep(store: Store, *names: str) -> None:
    for name in names:
        await store.write(lambda tx, name=name: put(tx, name, f"the secret of {name}"))


async def check(store: Store, *names: str) -> None:
    for name in names:
        assert await store.read(lambda tx, name=name: get(tx, name)) == f"the secret of {name}"


def test_nothing_of_a_secret_is_in_the_database(open_store: OpenStore, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_store() as store:
            await keep(store, "a", "b")
            held = await store.read(lambda tx: kept(tx, "a"))
            assert "secret" not in held
            assert held != await store.read(lambda tx: kept(tx, "b"))
        async with open_store() as store:
            await check(store, "a", "b")
        file = tmp_path / "data" / "root.key"
        assert file.stat().st_mode & 0o777 == 0o600

    asyncio.run(scenario())
    for each in (tmp_path / "data").rglob("cosset.db*"):
        assert b"the secret of" not in each.read_bytes()


def test_a_value_opens_in_its_own_row_only(open_store: OpenStore) -> None:
    async def scenario() -> None:
        async with open_store() as store:
            await keep(store, "mine", "theirs")

            def swap(tx: Transaction) -> None:
                stolen = kept(tx, "theirs")
                tx.execute(update(secrets_table).where(secrets_table.c.name == "mine").values(secret=stolen))

            await store.write(swap)
            with pytest.raises(StoreError, match="does not open"):
                await store.read(lambda tx: get(tx, "mine"))
            await store.write(lambda tx: tx.execute(update(secrets_table).values(secret="in clear")) and None)
            with pytest.raises(StoreError, match="not sealed"):
                await store.read(lambda tx: get(tx, "mine"))

    asyncio.run(scenario())


def test_what_an_older_cosset_left_in_clear_is_sealed_at_the_next_start(open_store: OpenStore) -> None:
    async def scenario() -> None:
        async with open_store() as store:

            def undo(tx: Transaction) -> None:
                tx.execute(insert(secrets_table).values(name="old", secret="the secret of old"))
                tx.execute(delete(sealed_columns).where(sealed_columns.c.name == "test_sealing.secret"))

            await store.write(undo)
        async with open_store() as store:
            assert (await store.read(lambda tx: kept(tx, "old"))).startswith("sealed:")
            await check(store, "old")

    asyncio.run(scenario())


def test_without_its_root_key_a_database_is_not_opened(open_store: OpenStore, tmp_path: Path) -> None:
    file = tmp_path / "data" / "root.key"

    async def scenario() -> None:
        async with open_store() as store:
            await keep(store, "a")
        former = file.read_bytes()
        file.unlink()
        with pytest.raises(StoreError, match=r"which .* does not hold"):
            async with open_store():
                pass
        assert not file.exists()
        RootKeyFile(file).write([RootKey(b"x" * 32)])
        with pytest.raises(StoreError, match=r"which .* does not hold"):
            async with open_store():
                pass
        file.write_bytes(former)
        async with open_store() as store:
            await check(store, "a")

    asyncio.run(scenario())


def test_a_rotation_leaves_nothing_under_the_former_key(open_store: OpenStore, tmp_path: Path) -> None:
    file = RootKeyFile(tmp_path / "data" / "root.key")

    async def scenario() -> None:
        async with open_store() as store:
            await keep(store, "a", "b")
            (former,) = file.read()
            assert await store.rotate_root_key() >= 2
            (newest,) = file.read()
            assert newest.secret != former.secret
            assert former.id not in await store.read(lambda tx: kept(tx, "a"))
            await keep(store, "c")
            await check(store, "a", "b", "c")
        async with open_store() as store:
            await check(store, "a", "b", "c")
        for path in (tmp_path / "data").glob("cosset.db*"):
            assert former.id.encode() not in path.read_bytes()

    asyncio.run(scenario())


@pytest.mark.parametrize("cut_after", ["the new key", "the sealing"])
def test_a_rotation_that_is_cut_short_loses_nothing(open_store: OpenStore, tmp_path: Path, cut_after: str) -> None:
    file = RootKeyFile(tmp_path / "data" / "root.key")

    async def scenario() -> None:
        async with open_store() as store:
            await keep(store, "a", "b")
            store._sealing.begin_rotation(await store.read(lambda tx: tx.root_keys_in_use()))
            if cut_after == "the sealing":
                await store.write(lambda tx: tx.reseal())
        assert len(file.read()) == 2
        async with open_store() as store:
            await check(store, "a", "b")
            assert file.read()[0].id in await store.read(lambda tx: kept(tx, "a"))
            await store.rotate_root_key()
            assert len(file.read()) == 1
        async with open_store() as store:
            await check(store, "a", "b")

    asyncio.run(scenario())


def test_rotations_that_are_cut_short_time_and_again_leave_no_heap_of_keys(
    open_store: OpenStore, tmp_path: Path
) -> None:
    file = RootKeyFile(tmp_path / "data" / "root.key")

    async def scenario() -> None:
        for _ in range(20):
            async with open_store() as store:
                await keep(store, "a")
                store._sealing.begin_rotation(await store.read(lambda tx: tx.root_keys_in_use()))
            assert len(file.read()) == 2
        async with open_store() as store:
            await check(store, "a")
            # Two at once: neither drops the key that the other still needs.
            for _ in range(2):
                store._sealing.begin_rotation(await store.read(lambda tx: tx.root_keys_in_use()))
            assert len(file.read()) == 3
        async with open_store() as store:
            await check(store, "a")

    asyncio.run(scenario())


def test_one_rotation_at_a_time(open_store: OpenStore, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_store() as store:
            await keep(store, "a")
            with RootKeyFile(tmp_path / "data" / "root.key").rotating(), pytest.raises(StoreError, match="under way"):
                await store.rotate_root_key()
            await store.rotate_root_key()
            await check(store, "a")

    asyncio.run(scenario())


def test_a_failed_sealing_changes_nothing(open_store: OpenStore) -> None:
    async def scenario() -> None:
        async with open_store() as store:
            await keep(store, "a", "b")

            def damage(tx: Transaction) -> None:
                put(tx, "c", "x")
                tx.execute(update(secrets_table).where(secrets_table.c.name == "c").values(secret="damaged"))

            await store.write(damage)
            with pytest.raises(StoreError, match="not sealed"):
                await store.rotate_root_key()
            await check(store, "a", "b")
            await store.write(lambda tx: tx.execute(delete(secrets_table).where(secrets_table.c.name == "c")) and None)
        async with open_store() as store:
            await check(store, "a", "b")

    asyncio.run(scenario())


def test_other_nodes_follow_a_rotation(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    database = request.getfixturevalue("postgres").new_database()

    async def scenario() -> None:
        one, two = [
            await Store.open(
                data=tmp_path / name, database=database, clock=SystemClock(), key_file=tmp_path / "root.key"
            )
            for name in ("one", "two")
        ]
        await keep(one, "a")
        await one.rotate_root_key()
        await check(two, "a")
        await keep(two, "b")
        names = [f"{place}{i}" for i in range(10) for place in "xy"]
        writes = [keep(one if name.startswith("x") else two, name) for name in names]
        await asyncio.gather(one.rotate_root_key(), *writes)
        await check(one, "a", "b", *names)
        await check(two, "a", "b", *names)
        with pytest.raises(StoreError, match="does not hold"):
            await Store.open(data=tmp_path / "three", database=database, clock=SystemClock())
        await one.close()
        await two.close()

    asyncio.run(scenario())


def test_a_database_of_an_older_cosset_has_room_for_sealed_values(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    database = request.getfixturevalue("postgres").new_database()

    async def scenario() -> None:
        def opened() -> Awaitable[Store]:
            return Store.open(data=tmp_path, database=database, clock=SystemClock())

        def grow_younger(tx: Transaction) -> None:
            tx.execute(text("ALTER TABLE lambda_secrets ALTER COLUMN value TYPE VARCHAR(64)"))
            tx.execute(insert(lambda_secrets).values(name="links", value="ab" * 32))
            tx.execute(delete(sealed_columns).where(sealed_columns.c.name == "lambda_secrets.value"))
            MIGRATIONS[1](tx._connection)

        store = await opened()
        await store.write(grow_younger)
        await store.close()
        store = await opened()
        value = lambda_secrets.c.value
        kept = await store.read(lambda tx: tx.execute(select(value)).scalar_one())
        assert kept.startswith("sealed:")
        assert await store.read(lambda tx: tx.unseal(value, ("links",), kept)) == "ab" * 32
        await store.close()

    asyncio.run(scenario())


def test_a_lost_root_key_takes_what_it_sealed(tmp_path: Path) -> None:
    async def scenario() -> None:
        def opened(*, is_key_lost: bool = False) -> Awaitable[Store]:
            return Store.open(data=tmp_path, database=None, clock=SystemClock(), is_key_lost=is_key_lost)

        store = await opened()
        await keep(store, "a", "b")
        await store.close()
        (tmp_path / "root.key").unlink()
        store = await opened(is_key_lost=True)
        assert store.lost == 2
        await keep(store, "a")
        await store.close()
        store = await opened()
        await check(store, "a")
        assert store.lost == 0
        await store.close()

    asyncio.run(scenario())


def test_a_root_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = RootKeyFile(tmp_path / "root.key")
    assert file.read() == ()
    file.write([RootKey(b"x" * 32)])
    assert [each.secret for each in file.read()] == [b"x" * 32]
    for mode in (0o640, 0o604, 0o660):
        os.chmod(file.path, mode)
        with pytest.raises(StoreError, match="chmod 600"):
            file.read()


@pytest.mark.parametrize("content", ["", "# nothing\n", "zz" * 32, "ab" * 31, "ab" * 33])
def test_a_file_without_keys_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "root.key"
    path.touch(0o600)
    path.write_text(content)
    with pytest.raises(StoreError, match="holds no root keys"):
        RootKeyFile(path).read()


def test_of_several_that_make_the_first_key_one_wins(tmp_path: Path) -> None:
    file = RootKeyFile(tmp_path / "root.key")
    first = file.make(RootKey(b"1" * 32))
    assert file.make(RootKey(b"2" * 32)) == first
    assert os.listdir(tmp_path) == ["root.key"]


def test_keys_are_not_shown() -> None:
    assert b"x".hex() * 32 not in repr(RootKey(b"x" * 32))
    assert "xxx" not in repr(RootKey(b"x" * 32))
