"""`kill -9` of a Cosset whose environments are plain processes: nothing of them stays."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cosset.clock import SystemClock
from cosset.environments.process import ProcessTier
from cosset.runtimes.catalogue import Catalogue
from support.processes import is_running, left_of

OWNER = """
import asyncio, sys, pathlib
sys.path.insert(0, sys.argv[1])
from support.written import Lines, event_for, spec_for
from cosset.clock import SystemClock
from cosset.environments.process import ProcessTier
from cosset.runtimes.catalogue import Catalogue

async def main():
    tier = ProcessTier(Catalogue(), SystemClock(), folder=pathlib.Path(sys.argv[2]) / "run")
    environment = await tier.start(spec_for(pathlib.Path(sys.argv[2])), Lines())
    print((await environment.invoke(event_for())).payload.decode(), flush=True)
    await asyncio.sleep(100)

asyncio.run(main())
"""
FUNCTION = """
import os, subprocess
def handler(event, context):
    return "%d %d" % (os.getpid(), subprocess.Popen(["sleep", "100"], start_new_session=True).pid)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="dying with the parent needs Linux")
def test_environments_die_with_a_killed_owner_and_strays_at_the_next_start(tmp_path):
    (tmp_path / "app.py").write_text(FUNCTION)
    (tmp_path / "run").mkdir()
    tests = str(Path(__file__).parent.parent)
    owner = subprocess.Popen([sys.executable, "-c", OWNER, tests, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    pids = []
    try:
        pids = [int(text) for text in owner.stdout.readline().strip().strip('"').split()]
        assert len(pids) == 2
        owner.kill()
        owner.wait()
        runtime, stray = pids
        assert left_of([runtime]) == []
        assert is_running(stray)
        assert len(list((tmp_path / "run").iterdir())) == 1
        ProcessTier(Catalogue(), SystemClock(), folder=tmp_path / "run")
        assert left_of([stray]) == []
        assert [path.name.split("-")[2] for path in (tmp_path / "run").iterdir()] == [str(os.getpid())]
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
