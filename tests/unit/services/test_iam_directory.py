"""The first start, and the look-ups of keys and roles with their cache."""

import asyncio
import re
import secrets
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, update

from cosset.identity.principal import Principal, PrincipalKind
from cosset.services.iam.directory import IamDirectory
from cosset.services.iam.first_start import draw_seed, read_session_secret
from cosset.services.iam.records import CHANGES, find_access_key
from cosset.services.iam.tables import access_keys, roles, server_secrets
from cosset.store.database import Store, Transaction
from cosset.store.sealing import sealed_columns
from cosset.wire.errors import ServiceError
from support.clock import ManualClock
from support.identity import Iam, open_iam


def test_the_first_start_makes_an_administrator_whose_key_is_found(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_iam(tmp_path) as iam:
            assert re.fullmatch(r"[1-9]\d{11}", iam.directory.account)
            assert re.fullmatch(r"AKIA[A-Z2-7]{16}", iam.administrator.access_key_id)
            assert len(iam.administrator.secret_access_key) == 40
            known = await iam.directory.find_key(iam.administrator.access_key_id, None)
            assert known is not None
            assert known.credentials == iam.administrator
            assert known.principal.kind is PrincipalKind.USER
            assert known.principal.arn == f"arn:aws:iam::{iam.directory.account}:user/administrator"
            assert re.fullmatch(r"AIDA[A-Z2-7]{17}", known.principal.user_id)

    asyncio.run(scenario())


def test_the_second_start_tells_no_key_and_keeps_the_account(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_iam(tmp_path) as iam:
            again = IamDirectory(iam.store, iam.clock)
            assert await again.ensure_first_start() is None
            assert again.account == iam.directory.account
            assert await again.find_key(iam.administrator.access_key_id, None) is not None

    asyncio.run(scenario())


def test_the_second_start_succeeds_on_a_full_disk(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_iam(tmp_path) as iam:
            account = iam.directory.account
        store = await Store.open(data=tmp_path, database=None, clock=ManualClock(), min_free_mb=1 << 40)
        again = IamDirectory(store, ManualClock())
        assert await again.ensure_first_start() is None
        assert again.account == account
        await store.close()

    asyncio.run(scenario())


def test_two_nodes_that_start_at_once_make_one_account(tmp_path: Path) -> None:
    async def scenario() -> None:
        clock = ManualClock()
        store = await Store.open(data=tmp_path, database=None, clock=clock, min_free_mb=0)
        nodes = [IamDirectory(store, clock) for _ in range(4)]
        told = await asyncio.gather(*(node.ensure_first_start() for node in nodes))
        assert len({node.account for node in nodes}) == 1
        assert sum(each is not None for each in told) == 1
        await store.close()

    asyncio.run(scenario())


def test_development_keys_hold_in_development_only(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_iam(tmp_path, dev=True) as iam:
            assert iam.directory.account == "000000000000"
            session = await iam.directory.sessions.issue("arn:aws:iam::000000000000:role/cosset-basic", "s", 900)
            assert await iam.directory.find_key("test", None) is not None
            production = IamDirectory(iam.store, iam.clock)
            assert await production.ensure_first_start() is not None
            assert production.account != "000000000000"
            assert await production.find_key("test", None) is None
            with pytest.raises(ServiceError) as refused:
                await production.find_key(session.access_key_id, session.session_token)
            assert refused.value.code == "InvalidClientTokenId"

    asyncio.run(scenario())


def test_a_change_is_in_force_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_iam(tmp_path) as iam:
            key_id = iam.administrator.access_key_id

            async def change(statement: object) -> None:
                await iam.store.write(
                    lambda tx: (tx.execute(statement), tx.announce(CHANGES, iam.directory.account))  # type: ignore[arg-type]
                )

            assert await iam.directory.find_key(key_id, None) is not None
            await change(update(access_keys).values(status="Inactive"))
            assert await iam.directory.find_key(key_id, None) is None

    asyncio.run(scenario())


def test_an_unknown_key_is_none_and_a_late_one_is_found(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_iam(tmp_path) as iam:
            assert await iam.directory.find_key("AKIAUNKNOWN", None) is None

            def make(tx: object) -> None:
                tx.execute(  # type: ignore[attr-defined]
                    insert(access_keys).values(
                        access_key_id="AKIAUNKNOWN",
                        account=iam.directory.account,
                        user_key="administrator",
                        status="Active",
                        secret=tx.seal(access_keys.c.secret, ("AKIAUNKNOWN",), "s"),  # type: ignore[attr-defined]
                        created_ms=0,
                    )
                )
                tx.announce(CHANGES, iam.directory.account)  # type: ignore[attr-defined]

            await iam.store.write(make)
            assert await iam.directory.find_key("AKIAUNKNOWN", None) is not None

    asyncio.run(scenario())


def test_a_data_folder_of_an_older_cosset_is_sealed_and_its_keys_hold(tmp_path: Path) -> None:
    """It kept keys and the sessions' secret in clear, and had no root key."""
    secrets_before: list[bytes] = []

    async def scenario() -> None:
        async with open_iam(tmp_path) as iam:
            key, account = iam.administrator, iam.directory.account
            session = await iam.directory.sessions.issue(_role(iam, "cosset-basic"), "s", 900)
            raw = await iam.store.read(read_session_secret)

            def undo(tx: Transaction) -> None:
                tx.execute(update(access_keys).values(secret=key.secret_access_key))
                tx.execute(update(server_secrets).values(value=raw))
                tx.execute(delete(sealed_columns))

            await iam.store.write(undo)
            now_ms = iam.clock.now_ms()
        (tmp_path / "root.key").unlink()
        store = await Store.open(data=tmp_path, database=None, clock=ManualClock(now_ms), min_free_mb=0)
        again = IamDirectory(store, ManualClock(now_ms))
        assert await again.ensure_first_start() is None
        assert again.account == account
        for made in (key, session):
            known = await again.find_key(made.access_key_id, made.session_token)
            assert known is not None
            assert known.credentials == made
        kept = await store.read(lambda tx: tx.execute(select(access_keys.c.secret)).scalar_one())
        assert kept.startswith("sealed:")
        await store.close()
        secrets_before.extend([raw, key.secret_access_key.encode()])

    asyncio.run(scenario())
    files = [path.read_bytes() for path in tmp_path.glob("cosset.db*")]
    assert files
    assert not any(secret in data for secret in secrets_before for data in files)


def _role(iam: Iam, name: str) -> str:
    return f"arn:aws:iam::{iam.directory.account}:role/{name}"


def test_a_session_of_the_starter_role(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_iam(tmp_path) as iam:
            role_arn = _role(iam, "cosset-basic")
            assert await iam.directory.assumable_by_lambda(role_arn)
            session = await iam.directory.sessions.issue(role_arn, "greetings", 3600)
            assert re.fullmatch(r"ASIA[A-Z2-7]{16}", session.access_key_id)
            known = await iam.directory.find_key(session.access_key_id, session.session_token)
            assert known is not None
            assert known.credentials == session
            role = await iam.directory.role(role_arn)
            assert role is not None
            assert known.principal == Principal(
                PrincipalKind.ROLE,
                iam.directory.account,
                f"arn:aws:sts::{iam.directory.account}:assumed-role/cosset-basic/greetings",
                f"{role.unique_id}:greetings",
                role_arn=role_arn,
                is_temporary=True,
                issued_at_ms=iam.clock.now_ms() // 1000 * 1000,
            )

    asyncio.run(scenario())


def test_a_session_expires_even_from_the_cache(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_iam(tmp_path) as iam:
            session = await iam.directory.sessions.issue(_role(iam, "cosset-basic"), "s", 900)
            assert await iam.directory.find_key(session.access_key_id, session.session_token) is not None
            iam.clock.advance(901)
            for _ in range(2):
                with pytest.raises(ServiceError) as refused:
                    await iam.directory.find_key(session.access_key_id, session.session_token)
                assert refused.value.code == "ExpiredToken"

    asyncio.run(scenario())


def test_a_session_ends_with_its_role(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_iam(tmp_path) as iam:
            session = await iam.directory.sessions.issue(_role(iam, "cosset-basic"), "s", 900)
            assert await iam.directory.find_key(session.access_key_id, session.session_token) is not None
            await iam.store.write(
                lambda tx: (
                    tx.execute(update(roles).values(role_id="AROASUCCESSOR")),
                    tx.announce(CHANGES, iam.directory.account),
                )
            )
            with pytest.raises(ServiceError) as refused:
                await iam.directory.find_key(session.access_key_id, session.session_token)
            assert refused.value.code == "InvalidClientTokenId"

    asyncio.run(scenario())


def test_a_temporary_key_without_its_token_is_unknown(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_iam(tmp_path) as iam:
            session = await iam.directory.sessions.issue(_role(iam, "cosset-basic"), "s", 900)
            assert await iam.directory.find_key(session.access_key_id, None) is None

    asyncio.run(scenario())


def test_an_unknown_role_is_refused_outside_development(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_iam(tmp_path) as iam:
            assert await iam.directory.is_passable(_role(iam, "nobody"), iam.directory.account)
            assert not await iam.directory.is_passable("arn:aws:iam::123456789012:role/nobody", iam.directory.account)
            assert not await iam.directory.is_passable("not an arn", iam.directory.account)
            assert not await iam.directory.assumable_by_lambda(_role(iam, "nobody"))
            with pytest.raises(ServiceError) as refused:
                await iam.directory.sessions.issue(_role(iam, "nobody"), "s", 900)
            assert refused.value.message == "The role defined for the function cannot be assumed by Lambda."

    asyncio.run(scenario())


def test_an_unknown_role_is_accepted_in_development(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_iam(tmp_path, dev=True) as iam:
            role_arn = "arn:aws:iam::123456789012:role/service-role/anything"
            assert await iam.directory.is_passable(role_arn, iam.directory.account)
            assert await iam.directory.assumable_by_lambda(role_arn)
            assert not await iam.directory.assumable_by_lambda("not an arn")
            session = await iam.directory.sessions.issue(role_arn, "s", 900)
            known = await iam.directory.find_key(session.access_key_id, session.session_token)
            assert known is not None
            assert known.principal.arn == "arn:aws:sts::000000000000:assumed-role/anything/s"

    asyncio.run(scenario())


def test_no_secret_is_in_a_repr(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_iam(tmp_path) as iam:
            session = await iam.directory.sessions.issue(_role(iam, "cosset-basic"), "s", 900)
            known = await iam.directory.find_key(session.access_key_id, session.session_token)
            record = await iam.store.read(lambda tx: find_access_key(tx, iam.administrator.access_key_id))
            shown = repr((known, session, record, iam.administrator, draw_seed(secrets.token_bytes, dev=False)))
            for secret in (
                session.secret_access_key,
                session.session_token,
                iam.administrator.secret_access_key,
                "session_secret",
            ):
                assert str(secret) not in shown

    asyncio.run(scenario())
