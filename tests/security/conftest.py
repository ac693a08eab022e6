"""The server that the modules of attacks share: one after the other, each must leave it as it found it. And doors of
one's own."""

import sys
from collections.abc import Iterator

import pytest

from cosset.gateway.limits import Limits
from cosset.settings import Settings
from cosset.testing.server import CossetServer
from support.host import tier
from support.house import House, open_house
from support.victim import Victim


@pytest.fixture(scope="session")
def attacked_server() -> Iterator[Victim]:
    if sys.platform != "linux":
        pytest.skip("missing: Linux, to see from outside what a server holds")
    with CossetServer(["--tier", tier(), "--idle-timeout-s", "1"]) as running:
        yield Victim(running)


@pytest.fixture(scope="module")
def victim(attacked_server: Victim) -> Iterator[Victim]:
    """At the end of the module: no process, descriptor, mount, group or environment more than before it, no traceback
    in the server's log, and memory within a bound."""
    yield attacked_server
    attacked_server.assert_well()
    attacked_server.assert_nothing_left()


@pytest.fixture
def house() -> Iterator[House]:
    yield from open_house(Settings(max_body_mb=1, drain_s=1, max_connections=1500))


@pytest.fixture
def hasty_house() -> Iterator[House]:
    """One that waits for nobody, so that tests need not either."""
    limits = Limits(max_connections=4, head_s=0.1, stall_s=0.1, keep_alive_s=0.1)
    yield from open_house(Settings(max_body_mb=1, drain_s=1), limits)
