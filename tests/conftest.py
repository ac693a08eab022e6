"""Fixtures of the whole suite: a live server, and the rule that in CI nothing may be missing.

`server` is shared by the session: a test that uses it names its functions and roles by itself. `new_server` makes one
of one's own, for tests that kill or configure it. `postgres` is shared too.
"""

import gc
import os
import resource
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from cosset.testing.server import CossetServer
from support.answers import OpenAnswers
from support.host import tier
from support.postgres import PostgresServer, running_postgres


def pytest_configure(config: pytest.Config) -> None:
    """Some tests open thousands of connections: as many descriptors as this process may have. Some interrupt what they
    start, which must not have learnt to ignore it from a shell that runs this suite in the background. And no example
    of Hypothesis has a deadline: a loaded machine would miss it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    settings.register_profile("cosset", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("cosset")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return ByPlace(config, log)


class ByPlace(LoadScopeScheduling):  # type: ignore[misc]
    """Where tests run when there are several workers: a file's on one, and on one all that watch the whole host, kill
    servers or share what they build."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "host" if file.startswith(("tests/security", "tests/crash", "tests/runtimes")) else file


@pytest.fixture(scope="module", autouse=True)
def _leaks_are_charged_to_their_module() -> Iterator[None]:
    """What nobody closed is found here, not in a test that happens to run when it is collected. What is still there
    belongs to the session: it is not looked at again, which makes every later collection cheap."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def _open_answers() -> Iterator[OpenAnswers]:
    answers = OpenAnswers()
    with pytest.MonkeyPatch.context() as patch:
        answers.watch(patch)
        yield answers


@pytest.fixture(autouse=True)
def _answers_are_closed(_open_answers: OpenAnswers) -> Iterator[None]:
    yield
    _open_answers.close()


@pytest.fixture(scope="session")
def server() -> Iterator[CossetServer]:
    """A live server in the strongest tier that this host can give."""
    with CossetServer(["--tier", tier()]) as running:
        yield running


@pytest.fixture
def new_server() -> Iterator[Callable[..., CossetServer]]:
    """Makes servers, `new_server("--dev")`, and ends them with the test."""
    made: list[CossetServer] = []

    def make(*flags: str, **arguments: object) -> CossetServer:
        given = [] if "--tier" in flags else ["--tier", tier()]
        running = CossetServer([*given, *flags], **arguments)  # type: ignore[arg-type]
        made.append(running)
        running.start()
        return running

    try:
        yield make
    finally:
        for running in made:
            running.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Shared as `server` is: each test makes a database of its own."""
    with running_postgres() as running:
        yield running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    return _nothing_missing(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    report = yield
    return _nothing_missing(report)


def _nothing_missing(report):
    """With COSSET_TEST_ALL=1 a skip is a failure that names what is missing."""
    if os.environ.get("COSSET_TEST_ALL") == "1" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"COSSET_TEST_ALL=1 allows no skip, and this one was skipped: {reason}"
    return report
