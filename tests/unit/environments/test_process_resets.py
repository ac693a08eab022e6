"""What a reset keeps in the process tier: the folder for temporary files, for the one that is started in its place."""

import asyncio
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cosset.clock import SystemClock
from cosset.environments.api import RESET_KEPT_S, Outcome
from cosset.environments.process import ProcessTier
from cosset.environments.process_layout import MOST_LEFT, LeftFolders
from cosset.runtimes.catalogue import Catalogue
from support.patience import until
from support.written import Lines, event_for, run, running, spec_for

CATALOGUE = Catalogue()
APP = """
import os, tempfile
def handler(event, context):
    folder = tempfile.gettempdir()
    with open(folder + "/seen", "a") as file:
        file.write("x")
    if isinstance(event, str):
        exec(event)
    return [open(folder + "/seen").read(), sorted(os.listdir(folder))]
"""


def in_tier(tmp_path: Path, body: Any) -> None:
    (tmp_path / "app.py").write_text(APP)
    run(partial(ProcessTier, CATALOGUE, SystemClock()), body)


@pytest.mark.parametrize("code", ["os._exit(1)", "os.abort()"])
def test_the_next_finds_it(tmp_path: Path, code: str) -> None:
    async def body(tier: ProcessTier) -> None:
        spec = spec_for(tmp_path, id="old")
        async with running(tier, spec, Lines()) as old:
            assert (await old.invoke(event_for(f'"{code}"'.encode()))).outcome is Outcome.EXIT
        for heir, seen in (("first", b'["xx", ["seen"]]'), ("second", b'["x", ["seen"]]')):
            async with running(tier, replace(spec, id=heir, predecessor="old"), Lines()) as environment:
                assert (await environment.invoke(event_for())).payload == seen

    in_tier(tmp_path, body)


def test_nothing_is_kept_of_what_ended_otherwise_or_is_forgotten(tmp_path: Path) -> None:
    async def body(tier: ProcessTier) -> None:
        spec = spec_for(tmp_path, id="idle")
        async with running(tier, spec, Lines()) as idle:
            await idle.invoke(event_for())
        async with running(tier, replace(spec, id="old"), Lines()) as old:
            await old.invoke(event_for(b'"os._exit(1)"'))
        tier.forget("old")
        for name in ("idle", "old"):
            async with running(tier, replace(spec, id=f"after-{name}", predecessor=name), Lines()) as environment:
                assert (await environment.invoke(event_for())).payload == b'["x", ["seen"]]'

    in_tier(tmp_path, body)


def test_a_folder_that_is_none_any_more_is_not_kept(tmp_path: Path) -> None:
    trick = "import shutil; shutil.rmtree(folder); os.symlink('/etc', folder); os._exit(1)"

    async def body(tier: ProcessTier) -> None:
        spec = spec_for(tmp_path, id="old")
        async with running(tier, spec, Lines()) as old:
            assert (await old.invoke(event_for(f'"{trick}"'.encode()))).outcome is Outcome.EXIT
        async with running(tier, replace(spec, id="heir", predecessor="old"), Lines()) as environment:
            assert (await environment.invoke(event_for())).payload == b'["x", ["seen"]]'

    in_tier(tmp_path, body)


def test_their_number_and_their_time_are_bounded(tmp_path: Path) -> None:
    async def body() -> None:
        loop = asyncio.get_running_loop()
        later: list[tuple[float, Any]] = []
        loop.call_later = lambda delay, callback, *given: later.append((delay, partial(callback, *given)))  # type: ignore[assignment,misc,return-value]
        left = LeftFolders(tmp_path / "left")
        for number in range(MOST_LEFT + 1):
            folder = tmp_path / str(number)
            folder.mkdir()
            left.keep(f"e{number}", folder)
        assert not left.give("e0", tmp_path / "given")
        assert {delay for delay, _ in later} == {RESET_KEPT_S}
        for _, forget in later[:-1]:
            forget()
        assert left.give(f"e{MOST_LEFT}", tmp_path / "given")
        await asyncio.to_thread(until, lambda: not os.listdir(tmp_path / "left"))

    asyncio.run(body())
