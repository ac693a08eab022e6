"""A door with fakes behind it, spoken to by raw bytes: what it answers, and that it still opens afterwards."""

import dataclasses
import json
import re
import socket
from collections.abc import Iterator

from cosset.gateway.limits import Limits
from cosset.settings import Settings
from cosset.wire.message import Headers, Request
from cosset.wire.models import Catalogue
from support.clock import ManualClock
from support.fake_services import FakeLambda, FakeLogs, FakeS3, FakeSts
from support.front import MemoryAuthorizer, MemoryKeys, RunningFront, make_door, running_front
from support.patience import until
from support.signing import SIGNED_AT_MS, sign, to_wire

CATALOGUE = Catalogue()
INVOKE = "/2015-03-31/functions/f/invocations"
LIST = "/2015-03-31/functions/"
FORM = ("content-type", "application/x-www-form-urlencoded")
TARGET = ("x-amz-target", "Logs_20140328.DescribeLogGroups")


@dataclasses.dataclass
class House:
    """A door with services behind it, and what a test may move."""

    front: RunningFront
    clock: ManualClock
    keys: MemoryKeys
    authorizer: MemoryAuthorizer
    functions: FakeLambda
    s3: FakeS3

    def send(self, data: bytes) -> "Answer":
        with self.front.connect() as sock:
            sock.sendall(data)
            return Answer.read(sock)

    def ask(self, request: Request, *extra: str) -> "Answer":
        return self.send(to_wire(request, *extra))

    def assert_alive(self) -> None:
        """A door that waits for nobody may have cut off a client whom a busy machine held up: it asks again."""
        until(lambda: self.ask(sign("header", "GET", LIST)).status == 200)


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def read(cls, sock: socket.socket) -> "Answer":
        """All until the end of the connection; status 0 when it was cut without a word."""
        data = b""
        try:
            while piece := sock.recv(65536):
                data += piece
        except ConnectionError:
            pass
        return cls.of(data)

    @classmethod
    def of(cls, data: bytes) -> "Answer":
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        if len(lines[0].split(" ")) < 2:
            return cls(0, {}, b"")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        return cls(int(lines[0].split(" ")[1]), headers, body)

    @property
    def code(self) -> str:
        """The error code, wherever the protocol puts it."""
        found = re.search(rb"<Code>(.*?)</Code>", self.body)
        if found is not None:
            return found[1].decode()
        return self.headers.get("x-amzn-errortype") or json.loads(self.body)["__type"].rpartition("#")[2]


def open_house(settings: Settings, limits: Limits | None = None) -> Iterator[House]:
    """At a time that tests choose, with nothing denied."""
    clock, keys, authorizer = ManualClock(SIGNED_AT_MS), MemoryKeys(), MemoryAuthorizer()
    functions, s3 = FakeLambda(), FakeS3()
    services = [functions.service(), FakeSts().service(), FakeLogs().service(), s3.service()]
    door = make_door(services, settings=settings, clock=clock, keys=keys, authorizer=authorizer, catalogue=CATALOGUE)
    with running_front(door, settings, limits) as front:
        yield House(front, clock, keys, authorizer, functions, s3)


def replaced(request: Request, name: str, value: str) -> Request:
    """With another value of one header."""
    return dataclasses.replace(
        request, headers=Headers([(key, value if key == name else old) for key, old in request.headers])
    )


def unsigned(method: str, path: str, *headers: tuple[str, str], query: str = "", body: bytes = b"") -> Request:
    return Request(method, path, query, Headers([("host", "127.0.0.1"), *headers]), body)
