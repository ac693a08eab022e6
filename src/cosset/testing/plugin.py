"""The pytest plugin that comes with Cosset: `cosset_server`, a running server for the whole test session.

Refuses to start one before a test asks for it. Read next: server.py.
"""

from collections.abc import Iterator

import pytest

from cosset.testing.server import CossetServer


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("cosset")
    group.addoption(
        "--cosset-tier", default="jail", choices=("jail", "process"), help="isolation tier of the cosset_server fixture"
    )


@pytest.fixture(scope="session")
def cosset_server(request: pytest.FixtureRequest) -> Iterator[CossetServer]:
    """A Cosset server in dev mode, shared by the session: `cosset_server.client("lambda")` is stock boto3."""
    tier = request.config.getoption("--cosset-tier")
    with CossetServer(["--dev", "--tier", tier]) as server:
        yield server
