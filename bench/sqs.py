"""What SQS costs above the store it stands on: `python bench/sqs.py [postgresql://...]`.

A real server, batching clients over HTTP on loopback. The floor is the store's own rate of commits, one row each, in
the same run: only the ratios travel between machines. Then the time of a receive with 1,000 and with 1,000,000
messages waiting, and the time to be ready with 100,000.
"""

import asyncio
import hashlib
import hmac
import http.client
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Integer, LargeBinary, Table, insert

from cosset.clock import SystemClock
from cosset.services.sqs.book import QueueBook
from cosset.services.sqs.envelope import Envelope
from cosset.services.sqs.model import QueueKey
from cosset.store.database import Store
from cosset.store.queue import Draft, DurableQueue
from cosset.store.schema import metadata
from cosset.testing.server import CossetServer

SECONDS = 4.0
CLIENTS = 16
BODY = "x" * 200
WAITING = (1_000, 100_000, 1_000_000)

rows = Table("bench_rows", metadata, Column("id", Integer, primary_key=True), Column("body", LargeBinary))


async def commits(database: str | None, concurrency: int) -> float:
    """Commits a second of the store, one row each."""
    with tempfile.TemporaryDirectory() as folder:
        store = await Store.open(data=Path(folder), database=database, clock=SystemClock(), min_free_mb=0)
        count, started = 0, time.perf_counter()

        async def work() -> None:
            nonlocal count
            while time.perf_counter() - started < SECONDS:
                await store.write(lambda tx: tx.execute(insert(rows).values(body=BODY.encode())))
                count += 1

        await asyncio.gather(*(work() for _ in range(concurrency)))
        rate = count / (time.perf_counter() - started)
        await store.close()
        return rate


class Client:
    """As little of a client as can be, so that the server is measured: one connection, signatures by hand."""

    def __init__(self, server: CossetServer) -> None:
        keys = server.credentials
        self._key_id, self._region = keys.access_key_id, server.region
        self._host = server.endpoint.partition("//")[2]
        self._day = time.strftime("%Y%m%d", time.gmtime())
        secret = f"AWS4{keys.secret_access_key}".encode()
        for part in (self._day, server.region, "sqs", "aws4_request"):
            secret = hmac.digest(secret, part.encode(), "sha256")
        self._secret = secret
        self._connection = http.client.HTTPConnection(self._host)

    def __call__(self, operation: str, **params: Any) -> dict[str, Any]:
        body = json.dumps(params).encode()
        date = self._day + time.strftime("T%H%M%SZ", time.gmtime())
        target = f"AmazonSQS.{operation}"
        signed = "host;x-amz-date;x-amz-target"
        canonical = (
            f"POST\n/\n\nhost:{self._host}\nx-amz-date:{date}\nx-amz-target:{target}\n\n{signed}\n"
            f"{hashlib.sha256(body).hexdigest()}"
        )
        scope = f"{self._day}/{self._region}/sqs/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(self._secret, text.encode(), "sha256").hex()
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Date": date,
            "X-Amz-Target": target,
            "Authorization": f"AWS4-HMAC-SHA256 Credential={self._key_id}/{scope}, SignedHeaders={signed}, "
            f"Signature={signature}",
        }
        self._connection.request("POST", "/", body, headers)
        response = self._connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
        assert response.status == 200, answer
        return answer


def rate(server: CossetServer, call: Callable[[Client], int]) -> float:
    """What `call` counts a second, over CLIENTS clients at once."""
    counts = [0] * CLIENTS
    started = time.perf_counter()

    def work(number: int) -> None:
        client = Client(server)
        while time.perf_counter() - started < SECONDS:
            counts[number] += call(client)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - started)


def send(url: str) -> Callable[[Client], int]:
    entries = [{"Id": str(n), "MessageBody": BODY} for n in range(10)]
    return lambda client: len(client("SendMessageBatch", QueueUrl=url, Entries=entries)["Successful"])


def receive_and_delete(url: str) -> Callable[[Client], int]:
    def call(client: Client) -> int:
        found = client("ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        if found:
            handles = [{"Id": str(n), "ReceiptHandle": each["ReceiptHandle"]} for n, each in enumerate(found)]
            client("DeleteMessageBatch", QueueUrl=url, Entries=handles)
        return len(found)

    return call


def cycle(url: str) -> Callable[[Client], int]:
    """Sent, received and deleted."""
    sending, ending = send(url), receive_and_delete(url)

    def call(client: Client) -> int:
        sending(client)
        return ending(client)

    return call


def receive_ms(server: CossetServer, urls: dict[int, str]) -> dict[int, float]:
    """The median time of a receive of ten from each queue, over HTTP; by turns: a busy moment is all queues'."""
    client = Client(server)
    taken: dict[int, list[float]] = {count: [] for count in urls}
    for _ in range(90):
        for count, url in urls.items():
            started = time.perf_counter()
            found = client("ReceiveMessage", QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
            taken[count].append(time.perf_counter() - started)
            assert len(found) == 10
    return {count: 1000 * statistics.median(times) for count, times in taken.items()}


async def fill(server: CossetServer, database: str | None, name: str, count: int) -> None:
    """Straight into the store of a server that is stopped."""
    store = await Store.open(data=server.data, database=database, clock=SystemClock(), min_free_mb=0)
    record = await QueueBook(store, SystemClock()).get(QueueKey(server.account, server.region, name))
    queue = DurableQueue(store, record.uid, SystemClock())
    body = Envelope(BODY, "AIDABENCH").pack()
    for start in range(0, count, 10_000):
        drafts = [Draft(body=body)] * min(10_000, count - start)
        await store.write(lambda tx, drafts=drafts: queue.put_many(tx, drafts), serializable=False)  # type: ignore[misc]
    await store.close()


def ready_s(server: CossetServer) -> float:
    started = time.perf_counter()
    server.start()
    return time.perf_counter() - started


def main(database: str | None) -> None:
    def line(name: str, value: float, of: float | None = None) -> None:
        ratio = "" if of is None else f"{value / of:8.2f}"
        print(f"{name:58} {value:12,.2f} {ratio}", flush=True)

    line("the store's commits a second, one at a time", asyncio.run(commits(database, 1)))
    floor = asyncio.run(commits(database, 64))
    line("the same, 64 at once: the floor", floor, floor)
    flags = ["--tier", "process", *(("--database", database) if database else ())]
    with CossetServer(flags) as server:
        client = server.client("sqs")
        url = client.create_queue(QueueName="bench")["QueueUrl"]
        line("messages sent a second, batches of 10", rate(server, send(url)), floor)
        line("received and deleted a second", rate(server, receive_and_delete(url)), floor)
        line("sent, received and deleted a second", rate(server, cycle(url)), floor)

        for count in WAITING:
            name = f"waiting-{count}"
            client.create_queue(QueueName=name)
            server.stop()
            asyncio.run(fill(server, database, name, count + 1_000))
            line(f"seconds until ready, {count:,} more waiting", ready_s(server))
            client = server.client("sqs")
        urls = {count: client.get_queue_url(QueueName=f"waiting-{count}")["QueueUrl"] for count in WAITING}
        few = None
        for count, median_ms in receive_ms(server, urls).items():
            few = few or median_ms
            line(f"milliseconds of a receive of ten, {count:,} waiting", median_ms, few)
        for count, url in urls.items():
            started = time.perf_counter()
            client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
            line(f"milliseconds of GetQueueAttributes, {count:,} waiting", 1000 * (time.perf_counter() - started))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
