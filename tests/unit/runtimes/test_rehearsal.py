"""What the zygote rehearses leaves no trace in what it forks."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import cosset.runtimes

RUNTIMES = Path(cosset.runtimes.__file__).parent
ZYGOTE = """
import functools, json, logging, os, signal, sys, threading

sys.path[:0] = json.loads(sys.argv[1])
import client, zygote
from awslambdaric import bootstrap
from rehearsal import EVENTS, RUNS, rehearse

def state():
    root = logging.getLogger()
    return {
        "modules": sorted(sys.modules),
        "path": list(sys.path),
        "finders": sorted(sys.path_importer_cache),
        "variables": dict(os.environ),
        "descriptors": sorted(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "handlers": [str(each) for each in root.handlers],
        "level": root.level,
        "streams": [type(sys.stdout).__name__, type(sys.stderr).__name__],
        "writes": [sys.dont_write_bytecode, sys.pycache_prefix],
        "converter": logging.Formatter.converter.__name__,
        "ids": [bootstrap._GLOBAL_AWS_REQUEST_ID, bootstrap._GLOBAL_TENANT_ID],
        "signals": [str(signal.getsignal(each)) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)],
        "argv": sys.argv[2:],
    }

answered = []

class Client(client.FramedRuntimeClient):
    def post_invocation_result(self, invoke_id, result_data, *others, **named):
        answered.append(result_data)
        super().post_invocation_result(invoke_id, result_data, *others, **named)

os.environ["TZ"] = "Asia/Tokyo"
begin = functools.partial(zygote._begin, own_path=[], bootstrap=bootstrap, client_class=Client)
before = state()
rehearse(bootstrap, begin)
after = state()

def fail(*_):
    raise OSError("no more files")

rehearse(bootstrap, fail)
print(json.dumps([before, after, state(), len(answered), EVENTS * RUNS, answered[0]]))
"""


def test_a_rehearsal_runs_whole_and_sets_everything_back() -> None:
    spec = find_spec("awslambdaric")
    assert spec is not None
    assert spec.origin is not None
    places = [str(RUNTIMES / "python"), str(Path(spec.origin).parents[1])]
    # Quiet: a run's socket is closed by whoever drops it, as in an environment.
    command = [sys.executable, "-S", "-W", "ignore", "-c", ZYGOTE, json.dumps(places)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    before, after, after_failure, answered, expected, answer = json.loads(ended.stdout)
    assert after == before
    assert after_failure | {"descriptors": before["descriptors"]} == before
    assert answered == expected
    assert json.loads(answer) == {"hello": "world"}
