"""A Door on a loopback port, in a thread of its own, for clients that block (boto3, raw sockets)."""

import asyncio
import socket
import threading
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import boto3
import uvloop
from botocore.config import Config

from cosset.clock import Clock, SystemClock
from cosset.gateway.door import Door
from cosset.gateway.http import Front
from cosset.gateway.limits import Limits
from cosset.gateway.plain import PlainRoute
from cosset.identity.evaluation.context import CallContext
from cosset.identity.ports import KnownKey, Requirement
from cosset.identity.principal import Credentials, Principal, PrincipalKind
from cosset.services.operation import Service
from cosset.settings import Settings
from cosset.wire.errors import ServiceError
from cosset.wire.models import Catalogue

ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
ACCOUNT = "123456789012"
ADMINISTRATOR = Principal(
    kind=PrincipalKind.USER,
    account=ACCOUNT,
    arn=f"arn:aws:iam::{ACCOUNT}:user/administrator",
    user_id="AIDAEXAMPLE",
)


class MemoryKeys:
    """A KeyDirectory of what tests put in; a code put in as `failures` is raised for that key."""

    def __init__(self) -> None:
        self.known = {ACCESS_KEY: KnownKey(Credentials(ACCESS_KEY, SECRET_KEY), ADMINISTRATOR)}
        self.failures: dict[str, ServiceError] = {}

    async def find_key(self, access_key_id: str, session_token: str | None) -> KnownKey | None:
        if access_key_id in self.failures:
            raise self.failures[access_key_id]
        return self.known.get(access_key_id)


class MemoryAuthorizer:
    """Allows everything but the actions in `denied`; keeps what it was asked."""

    def __init__(self) -> None:
        self.denied: set[str] = set()
        self.asked: list[Requirement] = []

    async def authorize(
        self, principal: Principal, requirements: Sequence[Requirement], call: CallContext | None = None
    ) -> None:
        for requirement in requirements:
            self.asked.append(requirement)
            if requirement.action in self.denied:
                raise ServiceError(
                    "AccessDeniedException",
                    f"User: {principal.arn} is not authorized to perform: {requirement.action}",
                    status=403,
                )

    def has_allowed(self, principal: Principal, requirement: Requirement, call: CallContext) -> bool:
        return False


def make_door(
    services: Sequence[Service],
    *,
    settings: Settings | None = None,
    clock: Clock | None = None,
    keys: MemoryKeys | None = None,
    authorizer: MemoryAuthorizer | None = None,
    routes: Sequence[PlainRoute] = (),
    catalogue: Catalogue | None = None,
) -> Door:
    return Door(
        services=services,
        keys=keys or MemoryKeys(),
        authorizer=authorizer or MemoryAuthorizer(),
        settings=settings or Settings(),
        clock=clock or SystemClock(),
        routes=routes,
        catalogue=catalogue,
    )


class RunningFront:
    """A Front that serves; `run` runs a coroutine on its loop and waits for it."""

    def __init__(self, front: Front, port: int, loop: asyncio.AbstractEventLoop) -> None:
        self.front = front
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._loop = loop

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        return future.result(60)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def client(self, service: str, **overrides: Any) -> Any:
        options: dict[str, Any] = {
            "endpoint_url": self.url,
            "region_name": "us-east-1",
            "aws_access_key_id": ACCESS_KEY,
            "aws_secret_access_key": SECRET_KEY,
            "config": Config(retries={"total_max_attempts": 1}, read_timeout=60, connect_timeout=5),
        }
        return boto3.Session().client(service, **(options | overrides))


@contextmanager
def running_front(door: Door, settings: Settings | None = None, limits: Limits | None = None) -> Iterator[RunningFront]:
    settings = settings or Settings(drain_s=2)
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    started: Future[RunningFront] = Future()

    async def serve() -> None:
        front = Front(door, settings, limits)
        await front.start([sock])
        stop = asyncio.Event()
        running = RunningFront(front, port, asyncio.get_running_loop())
        running.stop = stop  # type: ignore[attr-defined]
        started.set_result(running)
        await stop.wait()
        await front.close()

    def target() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    running = started.result(60)
    try:
        yield running
    finally:
        running._loop.call_soon_threadsafe(running.stop.set)  # type: ignore[attr-defined]
        thread.join(60)
        assert not thread.is_alive()


async def send_until_full(sock: socket.socket) -> int:
    """Sends zeros until the kernel takes no more of them; how many it took."""
    sent, quiet = 0, 0
    while quiet < 3:
        try:
            sent += sock.send(bytes(1 << 20))
            quiet = 0
        except BlockingIOError:
            quiet += 1
            await asyncio.sleep(0.05)
    return sent
