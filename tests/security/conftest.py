"""The server that the modules of attacks share: one after the other, each must leave it as it found it."""

import sys
from collections.abc import Iterator

import pytest

from cosset.testing.server import CossetServer
from support.host import tier
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
