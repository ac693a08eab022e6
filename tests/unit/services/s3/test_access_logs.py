"""Access logs gather lines per bucket, write them once, and are bounded; on both engines."""

import asyncio
from typing import Any

import pytest

from cosset.services.s3 import access_logs
from cosset.services.s3.access_logs import AccessLogs, Logged, LoggedRequest, write_line
from cosset.services.s3.bucket_book import add_bucket, put_setting, remove_setting
from cosset.services.s3.kinds import Kind
from cosset.services.s3.model import Bucket
from cosset.store.database import Store
from cosset.wire.errors import ServiceError
from support.clock import ManualClock
from support.stores import OpenStore

ACCOUNT = "123456789012"


def request(bucket: str = "source", **more: Any) -> LoggedRequest:
    told: dict[str, Any] = dict.fromkeys(
        ("key", "subresource", "error_code", "requester", "source_ip", "referer", "user_agent", "version_id", "host"),
        "",
    )
    told |= {"signature_version": "", "authentication_type": "", "at_ms": 1_700_000_000_000, "operation": "GetObject"}
    told |= {"method": "GET", "uri": "/source/k", "status": 200, "bytes_sent": 5, "request_id": "r", **more}
    return LoggedRequest(bucket=bucket, **told)


class Targets:
    def __init__(self) -> None:
        self.taken: list[tuple[str, str]] = []
        self.refusal: ServiceError | None = None

    async def put(self, logged: Logged, key: str, body: bytes) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.taken.append((key, body.decode()))


async def _make(store: Store) -> None:
    def make(tx: Any) -> None:
        add_bucket(tx, Bucket("source", ACCOUNT, "us-east-1", 0))
        put_setting(tx, "source", Kind.LOGGING, {"TargetBucket": "logs", "TargetPrefix": "p/"})

    await store.write(make)


def test_lines_are_written_once(open_store: OpenStore) -> None:
    async def run() -> None:
        async with open_store() as store:
            targets = Targets()
            logs = AccessLogs(store, targets, ManualClock(1_700_000_000_000))
            assert not await logs.takes("source")
            await _make(store)
            assert await logs.takes("source")
            assert not await logs.takes("other")
            logs.note(request())
            logs.note(request(key="k2"))
            logs.note(request("other"))
            await logs.flush()
            await logs.flush()
            [(key, text)] = targets.taken
            assert key.startswith("p/2023-11-14-22-13-20-")
            assert text.count("\n") == 2
            await store.write(lambda tx: remove_setting(tx, "source", Kind.LOGGING))
            assert not await logs.takes("source")

    asyncio.run(run())


def test_what_is_refused_goes_and_what_fails_waits(open_store: OpenStore) -> None:
    async def run() -> None:
        async with open_store() as store:
            targets = Targets()
            logs = AccessLogs(store, targets, ManualClock(0))
            await _make(store)
            assert await logs.takes("source")
            logs.note(request(key="first"))
            targets.refusal = ServiceError("SlowDown", "later", status=503)
            await logs.flush()
            logs.note(request(key="second"))
            targets.refusal = None
            await logs.flush()
            [(_, text)] = targets.taken
            assert text.index(" first ") < text.index(" second ")
            logs.note(request())
            targets.refusal = ServiceError("AccessDenied", "no", status=403)
            await logs.flush()
            targets.refusal = None
            await logs.flush()
            assert len(targets.taken) == 1

    asyncio.run(run())


def test_lines_are_bounded(open_store: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        async with open_store() as store:
            targets = Targets()
            logs = AccessLogs(store, targets, ManualClock(0))
            await _make(store)
            assert await logs.takes("source")
            for _ in range(100):
                logs.note(request())
            await logs.flush()
            [(_, text)] = targets.taken
            assert 0 < len(text) <= 2_000

    monkeypatch.setattr(access_logs, "MOST_CHARS", 2_000)
    asyncio.run(run())


def test_no_client_ends_a_line() -> None:
    line = write_line(request(user_agent='x"\r\ny', uri='/a"b', referer="\x1b["), ACCOUNT)
    assert (line.count("\n"), line.count('"')) == (1, 6)
    assert '"x%22  y"' in line
