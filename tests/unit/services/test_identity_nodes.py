"""Two nodes on one PostgreSQL database: one account, one truth, and what one node changes the other hears of."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from cosset.clock import SystemClock
from cosset.identity.access_book import AccessBook
from cosset.identity.authorizer import PolicyAuthorizer
from cosset.identity.principal import Credentials, Principal, PrincipalKind
from cosset.services.iam.accounts import AccountBook
from cosset.services.iam.directory import IamDirectory
from cosset.services.iam.held_policies import CarriedPolicies
from cosset.services.iam.policy_book import PolicyBook
from cosset.services.iam.records import CHANGES
from cosset.services.iam.service import iam_service
from cosset.services.installation.access_log import AccessLog
from cosset.services.logs.group_book import LogGroupBook, find_group
from cosset.store.database import Store
from cosset.wire.errors import ServiceError
from support.caller import Caller
from support.enforcement import refusal_of
from support.postgres import PostgresServer

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)


async def open_nodes(folder: Path, database: str) -> list[Store]:
    return [
        await Store.open(
            data=folder / name,
            database=database,
            clock=SystemClock(),
            min_free_mb=0,
            key_file=folder / "root.key",
        )
        for name in ("one", "two")
    ]


async def first_start(stores: list[Store]) -> tuple[list[IamDirectory], Credentials]:
    directories = [IamDirectory(store, SystemClock()) for store in stores]
    told = [each for each in await asyncio.gather(*(each.ensure_first_start() for each in directories)) if each]
    assert len(told) == 1
    return directories, told[0]


async def until(ask: Callable[[], Awaitable[bool]], expected: bool) -> None:
    """Waits for what another node is to hear of; the limit is for a test that fails."""
    async with asyncio.timeout(60):
        while await ask() is not expected:
            await asyncio.sleep(0.01)


def test_nodes_that_start_at_once_agree(tmp_path: Path, postgres: PostgresServer) -> None:
    async def scenario() -> None:
        stores = await open_nodes(tmp_path, postgres.new_database())
        directories, key = await first_start(stores)
        assert directories[0].account == directories[1].account
        for directory in directories:
            assert await directory.find_key(key.access_key_id, None) is not None
        role_arn = f"arn:aws:iam::{directories[0].account}:role/cosset-basic"
        session = await directories[0].sessions.issue(role_arn, "s", 900)
        known = await directories[1].find_key(session.access_key_id, session.session_token)
        assert known is not None
        assert known.credentials == session
        for store in stores:
            await store.close()

    asyncio.run(scenario())


def test_a_change_on_one_node_is_in_force_on_the_other(tmp_path: Path, postgres: PostgresServer) -> None:
    async def scenario() -> None:
        stores = await open_nodes(tmp_path, postgres.new_database())
        directories, key = await first_start(stores)
        known = await directories[0].find_key(key.access_key_id, None)
        assert known is not None
        calls = [Caller(iam_service(store, SystemClock()), known.principal) for store in stores]
        role_arn = f"arn:aws:iam::{directories[0].account}:role/worker"
        assert not await directories[1].assumable_by_lambda(role_arn)
        made = await asyncio.gather(
            *(call("CreateRole", RoleName="worker", AssumeRolePolicyDocument=TRUST) for call in calls * 3),
            return_exceptions=True,
        )
        assert sum(isinstance(each, dict) for each in made) == 1
        assert {each.code for each in made if isinstance(each, ServiceError)} == {"EntityAlreadyExists"}
        await until(lambda: directories[1].assumable_by_lambda(role_arn), True)
        await calls[0]("DeleteRole", RoleName="worker")
        assert not await directories[0].assumable_by_lambda(role_arn)
        await until(lambda: directories[1].assumable_by_lambda(role_arn), False)
        for store in stores:
            await store.close()

    asyncio.run(scenario())


def test_a_decision_ends_on_every_node_with_what_it_rested_on(tmp_path: Path, postgres: PostgresServer) -> None:
    async def scenario() -> None:
        stores = await open_nodes(tmp_path, postgres.new_database())
        directories, key = await first_start(stores)
        known = await directories[0].find_key(key.access_key_id, None)
        assert known is not None
        call = Caller(iam_service(stores[0], SystemClock()), known.principal)
        made = (await call("CreateUser", UserName="u"))["User"]
        user = Principal(PrincipalKind.USER, directories[0].account, made["Arn"], made["UserId"])
        authorizers = [PolicyAuthorizer(CarriedPolicies(store, PolicyBook()), {}, SystemClock()) for store in stores]
        for store, authorizer in zip(stores, authorizers, strict=True):
            store.on_change(CHANGES, authorizer.forget)

        async def may(at: int) -> bool:
            return await refusal_of(authorizers[at], user, ("s3:GetObject", "arn:aws:s3:::b/k")) is None

        assert [await may(0), await may(1)] == [False, False]
        allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        await call("PutUserPolicy", UserName="u", PolicyName="p", PolicyDocument=json.dumps(allow))
        assert await may(0)
        await until(lambda: may(1), True)
        await call("DeleteUserPolicy", UserName="u", PolicyName="p")
        assert not await may(0)
        await until(lambda: may(1), False)
        for store in stores:
            await store.close()

    asyncio.run(scenario())


def test_a_log_group_that_every_node_wants_is_made_once(tmp_path: Path, postgres: PostgresServer) -> None:
    async def scenario() -> None:
        stores = await open_nodes(tmp_path, postgres.new_database())
        books = [LogGroupBook(store, SystemClock()) for store in stores]
        await asyncio.gather(*(book.ensure_groups([("111111111111", "us-east-1", "g")]) for book in books * 5))
        group = await stores[0].read(lambda tx: find_group(tx, "111111111111", "us-east-1", "g"))
        assert group is not None
        for store in stores:
            await store.close()

    asyncio.run(scenario())


def test_what_every_node_saw_is_counted_together(tmp_path: Path, postgres: PostgresServer) -> None:
    async def scenario() -> None:
        stores = await open_nodes(tmp_path, postgres.new_database())
        books = [AccessBook() for _ in stores]
        logs = [AccessLog(store, book, SystemClock()) for store, book in zip(stores, books, strict=True)]
        user = Principal(PrincipalKind.USER, "111111111111", "arn:aws:iam::111111111111:user/u", "AIDA")
        for round_ in range(3):
            for book in books:
                book.denied(user, "s3:GetObject", f"arn:aws:s3:::{'b' * 2_000}", "because", round_, let_through=True)
            await asyncio.gather(*(log.flush() for log in logs))
        (kept,) = await logs[0].of_account("111111111111")
        assert kept.tally.denied == 6
        for store in stores:
            await store.close()

    asyncio.run(scenario())


def test_an_account_that_two_nodes_add_is_made_once(tmp_path: Path, postgres: PostgresServer) -> None:
    async def scenario() -> None:
        stores = await open_nodes(tmp_path, postgres.new_database())
        directories, _ = await first_start(stores)
        own = directories[0].account
        books = [AccountBook(store, SystemClock(), own) for store in stores]
        made = await asyncio.gather(*(book.add("210987654321") for book in books), return_exceptions=True)
        assert sum(isinstance(each, tuple) for each in made) == 1
        assert {each.code for each in made if isinstance(each, ServiceError)} == {"EntityAlreadyExists"}
        assert {account for account, _, _ in await books[1].list()} == {own, "210987654321"}
        again = IamDirectory(stores[1], SystemClock())
        await again.ensure_first_start()
        assert again.account == own
        for store in stores:
            await store.close()

    asyncio.run(scenario())
