"""One thread keeps off the processor of another, and may go anywhere again at the end."""

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from cosset.services.s3.processors import Separation, allowed_processors, current_processor

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="missing: processors of threads, which Linux has")


def in_thread(threads: ThreadPoolExecutor, work: Callable[[], None]) -> set[int]:
    """Where the thread may run after it."""

    def run() -> set[int]:
        work()
        return os.sched_getaffinity(0)

    return threads.submit(run).result()


def test_who_feeds_keeps_off_who_counts_until_the_end() -> None:
    allowed = allowed_processors()
    here = iter([min(allowed), max(allowed)])
    separation = Separation(allowed, lambda: next(here))
    with ThreadPoolExecutor(1) as threads:
        assert in_thread(threads, separation.keep_off) == allowed  # nobody has counted yet
        for taken in (min(allowed), max(allowed)):
            separation.note()
            assert in_thread(threads, separation.keep_off) == (allowed - {taken} or allowed)
        separation.end()
        assert in_thread(threads, lambda: None) == allowed
    assert allowed_processors() == allowed


def test_nothing_changes_where_processors_are_not_known() -> None:
    allowed = allowed_processors()
    separation = Separation(allowed, lambda: -1)
    separation.note()
    with ThreadPoolExecutor(1) as threads:
        assert in_thread(threads, separation.keep_off) == allowed
    separation.end()


def test_a_thread_that_has_gone_is_no_error() -> None:
    allowed = allowed_processors()
    separation = Separation(allowed, lambda: min(allowed))
    separation.note()
    thread = threading.Thread(target=separation.keep_off)
    thread.start()
    thread.join()
    separation.end()


def test_a_thread_knows_its_processor() -> None:
    assert current_processor() in allowed_processors()
