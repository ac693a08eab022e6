"""Statements that are made ready once, on both databases: what they take, give and count."""

import asyncio

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    String,
    Table,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from cosset.store.prepared import ROWS, Prepared, PreparedMany, in_parts
from cosset.store.schema import metadata
from support.stores import OpenStore

things = Table(
    "test_things",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String),
    Column("size", BigInteger),
    Column("body", LargeBinary),
)
ADD = Prepared(insert(things))
ADD_MANY = PreparedMany(
    lambda count: insert(things).values(
        [{name: bindparam(f"{name}_{row}") for name in ("name", "size", "body")} for row in range(count)]
    )
)
FIND = Prepared(select(things).where(things.c.size >= bindparam("least")).order_by(things.c.id))
FORGET_NAMES = Prepared(
    update(things).where(things.c.size > bindparam("least")).values(name=None, size=things.c.size + 1)
)
REMOVE = PreparedMany(
    lambda count: delete(things).where(things.c.id.in_([bindparam(f"id_{row}") for row in range(count)]))
)


def test_rows_go_in_and_come_out(open_store: OpenStore) -> None:
    async def main() -> None:
        async with open_store() as store:
            row = {"name": "é", "size": 2**40, "body": b"\x00\xff"}
            first = await store.write(lambda tx: tx.run(ADD, row).number)
            second = await store.write(lambda tx: tx.run(ADD, {**row, "name": None, "body": None}).number)
            assert first is not None
            assert second is not None
            assert second > first
            found = await store.read(lambda tx: tx.run(FIND, {"least": 0}))
            assert [(each.id, each.name, each.size) for each in found.rows] == [
                (first, "é", 2**40),
                (second, None, 2**40),
            ]
            assert bytes(found.first().body) == b"\x00\xff"
            assert found.scalar() == first
            nothing = await store.read(lambda tx: tx.run(FIND, {"least": 2**41}))
            assert (nothing.first(), nothing.scalar(), list(nothing.rows)) == (None, None, [])
            assert await store.write(lambda tx: tx.run(FORGET_NAMES, {"least": 0}).count) == 2
            changed = await store.read(lambda tx: tx.run(FIND, {"least": 0}))
            assert {(each.name, each.size) for each in changed.rows} == {(None, 2**40 + 1)}

    asyncio.run(main())


def test_many_rows_are_one_statement_for_each_ten(open_store: OpenStore) -> None:
    async def main() -> None:
        async with open_store() as store:
            rows = [{"name": f"n{number}", "size": number, "body": b""} for number in range(2 * ROWS + 3)]
            parts = list(in_parts(rows))
            assert [len(part) for part in parts] == [ROWS, ROWS, 3]
            for part in parts:
                given = {f"{name}_{number}": value for number, row in enumerate(part) for name, value in row.items()}
                await store.write(lambda tx, given=given, part=part: tx.run(ADD_MANY.of(len(part)), given))  # type: ignore[misc]
            found = (await store.read(lambda tx: tx.run(FIND, {"least": 0}))).rows
            assert [each.name for each in found] == [row["name"] for row in rows]
            ids = {f"id_{number}": each.id for number, each in enumerate(found[:4])}
            assert await store.write(lambda tx: tx.run(REMOVE.of(4), ids).count) == 4
            assert await store.write(lambda tx: tx.run(REMOVE.of(4), ids).count) == 0

    asyncio.run(main())
