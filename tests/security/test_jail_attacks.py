"""What one environment tries against another, against the launcher, and against who clears up after it. The list of all
attacks, and which test makes each, is README.md beside this."""

import asyncio
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from cosset.environments.api import Outcome
from support.jail import Jail, event, jail

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="the jail needs Linux and, for its full strength, root"
)
HERE = Path(__file__).parent

VICTIM = """
import os
TOKEN = "the-victims-token"
os.environ["LATER"] = TOKEN
with open("/tmp/mine", "w") as file:
    file.write(TOKEN)
def handler(event, context):
    return os.getpid()
"""
SEARCH = r'''
import ctypes, os, platform, socket
TOKEN = b"the-victims-" + b"token"
libc = ctypes.CDLL(None, use_errno=True)
X86 = platform.machine() == "x86_64"

def files():
    """Everything that can be read, but for the system's own programs."""
    found = []
    for place, folders, names in os.walk("/"):
        folders[:] = [name for name in folders if place + name not in ("/usr", "/sys")]
        for name in names:
            path = os.path.join(place, name)
            try:
                with open(path, "rb", buffering=0) as file:
                    if os.path.isfile(path) and TOKEN in file.read(200_000):
                        found.append(path)
            except OSError:
                continue
    return found

def processes():
    """Every pid that there may be: who can be seen, and whose memory or variables can be read."""
    own = {os.getpid(), os.getppid()}
    seen = [pid for pid in range(1, 40_000) if pid not in own | {1} and alive(pid)]
    return seen

def alive(pid):
    try:
        os.kill(pid, 0)
        return True
    except PermissionError:
        return True
    except ProcessLookupError:
        return False

def descriptors():
    """Of the init, which holds the channel to the launcher."""
    pidfd = libc.syscall(434, 1, 0)
    taken = [libc.syscall(438, pidfd, number, 0) for number in range(64)] if pidfd >= 0 else []
    listed = []
    for pid in (1, os.getpid()):
        for number in range(64):
            try:
                listed.append(os.readlink(f"/proc/{pid}/fd/{number}"))
            except OSError:
                continue
    return [max(taken, default=-1), [each for each in listed if "seqpacket" in each.lower()]]

def sockets():
    """Of the kind that has names of its own: others' are in other networks."""
    names = []
    with open("/proc/net/unix") as file:
        for line in file.readlines()[1:]:
            names += line.split()[7:]
    return names

def packets():
    """Speaks the launcher's protocol to whatever descriptor takes it."""
    answered = []
    for number in range(3, 64):
        try:
            kind = socket.socket(fileno=os.dup(number))
        except OSError:
            continue
        with kind:
            if kind.type == socket.SOCK_SEQPACKET:
                answered.append(number)
    return answered

def code():
    """Writing to it in every way but opening it for writing."""
    results = {}
    def attempt(name, action):
        try:
            action()
            results[name] = "done"
        except OSError as error:
            results[name] = error.errno
    attempt("append", lambda: open("/var/task/app.py", "ab"))
    attempt("unlink", lambda: os.unlink("/var/task/app.py"))
    attempt("rename", lambda: os.rename("/var/task/app.py", "/var/task/b.py"))
    attempt("rename over", lambda: os.rename("/tmp", "/var/task"))
    attempt("link", lambda: os.link("/var/task/app.py", "/tmp/app.py"))
    attempt("symlink", lambda: os.symlink("/tmp", "/var/task/x"))
    attempt("chmod", lambda: os.chmod("/var/task/app.py", 0o777))
    attempt("utime", lambda: os.utime("/var/task/app.py"))
    attempt("truncate", lambda: os.truncate("/var/task/app.py", 0))
    attempt("xattr", lambda: os.setxattr("/var/task/app.py", "user.x", b"x"))
    attempt("by its descriptor", lambda: os.open(f"/proc/self/fd/{os.open('/var/task/app.py', 0)}", os.O_RDWR))
    attempt("through the root", lambda: open("/proc/self/root/var/task/app.py", "ab"))
    attempt("through the cwd", lambda: open("/proc/self/cwd/app.py", "ab"))
    attempt("runtime", lambda: open("/var/runtime/x", "ab"))
    attempt("layers", lambda: open("/opt/x", "ab"))
    return results

def handler(event, context):
    return {name: globals()[name]() for name in event}
'''


def in_jail(scenario: Callable[[Jail], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        async with jail(**options) as inside:
            await scenario(inside)

    asyncio.run(run())


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """What was found beside a victim that has secrets everywhere, and is busy and idle."""
    answers: dict[str, Any] = {}

    async def scenario(inside: Jail) -> None:
        secrets = {"TOKEN": "the-victims-token"}
        layer = inside.folder({"secret.txt": "the-victims-token"})
        victim = await inside.start({"app.py": VICTIM}, variables=secrets, layer_dirs=(layer,), memory_mb=1769)
        await victim.invoke(event())
        attacker = await inside.start({"app.py": SEARCH}, memory_mb=1769)
        for name in ("files", "processes", "descriptors", "sockets", "packets", "code"):
            answer = await attacker.invoke(event(json.dumps([name]).encode(), timeout_s=60))
            assert answer.outcome is Outcome.SUCCESS, answer
            answers.update(json.loads(answer.payload))
        assert (await victim.invoke(event())).outcome is Outcome.SUCCESS

    in_jail(scenario)
    return answers


def test_finds_nothing_of_another_function_in_any_file(found: dict[str, Any]) -> None:
    """Code, layers, variables, /tmp, /proc: the token lies in all of these."""
    assert found["files"] == []


def test_the_search_would_find_it() -> None:
    async def scenario(inside: Jail) -> None:
        own = SEARCH + "\nopen('/tmp/mine', 'wb').write(TOKEN)\n"
        layer = inside.folder({"deep/secret.txt": "the-victims-token"})
        files = {"app.py": own, "deep/secret.txt": "the-victims-token"}
        environment = await inside.start(files, layer_dirs=(layer,), memory_mb=1769)
        answer = await environment.invoke(event(b'["files"]', timeout_s=60))
        places = set(json.loads(answer.payload)["files"])
        assert places == {"/tmp/mine", "/var/task/deep/secret.txt", "/opt/deep/secret.txt"}

    in_jail(scenario)


def test_sees_no_process_by_any_number(found: dict[str, Any]) -> None:
    assert found["processes"] == []


def test_has_no_way_to_the_launcher(found: dict[str, Any]) -> None:
    assert found["descriptors"] == [-1, []]
    assert found["packets"] == []


def test_sees_no_socket_with_a_name(found: dict[str, Any]) -> None:
    assert found["sockets"] == []


def test_cannot_change_its_code(found: dict[str, Any]) -> None:
    assert {name: result for name, result in found["code"].items() if not isinstance(result, int)} == {}


TRICKS = """
import os, socket
def handler(event, context):
    for number, target in enumerate(event):
        os.symlink(target, f"/tmp/link{number}")
        os.makedirs(f"/tmp/{number}/a")
        os.symlink(target, f"/tmp/{number}/a/b")
    os.symlink("/tmp", "/tmp/circle")
    os.symlink("..", "/tmp/up")
    deep = os.open("/tmp", os.O_RDONLY)
    for _ in range(500):
        os.mkdir("d" * 200, dir_fd=deep)
        deeper = os.open("d" * 200, os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = deeper
    os.mkfifo("/tmp/fifo")
    socket.socket(socket.AF_UNIX).bind("/tmp/socket")
    open("/tmp/" + "x" * 255, "w").close()
    open(b"/tmp/\\xff\\n-rf", "w").close()
    os.mkdir("/tmp/closed")
    open("/tmp/closed/file", "w").close()
    os.chmod("/tmp/closed", 0)
    os.chmod("/tmp", 0)
"""


@pytest.mark.parametrize("has_images", [True, False])
def test_whoever_erases_tmp_follows_nothing_out_of_it(has_images: bool, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    (tmp_path / "precious").write_text("x")

    async def scenario(inside: Jail) -> None:
        targets = [str(tmp_path), str(inside.data), str(inside.data / "code"), "/etc"]
        kept = inside.folder({"kept": "x"})
        environment = await inside.start({"app.py": TRICKS}, memory_mb=1769)
        answer = await environment.invoke(event(json.dumps(targets).encode(), timeout_s=60))
        assert answer.outcome is Outcome.SUCCESS, answer
        await environment.shutdown()
        scratch = inside.data / "scratch"
        for _ in range(5_000):
            left = [name for name in scratch.iterdir() if any(name.iterdir())]
            if not left:
                break
            await asyncio.sleep(0.02)
        assert left == []
        assert (tmp_path / "precious").read_text() == "x"
        assert (kept / "kept").read_text() == "x"

    in_jail(scenario, has_images=has_images)


def test_every_attack_in_the_list_has_a_test() -> None:
    """README.md names them; and a test that it names is there."""
    rows = [line for line in (HERE / "README.md").read_text().splitlines() if line.startswith("| ")]
    named = [re.findall(r"`(test_\w+)\.py::(test_\w+)`", row) for row in rows[1:]]
    assert len(named) > 20
    for row, tests in zip(rows[1:], named, strict=True):
        assert tests, row
        for module, name in tests:
            assert f"def {name}(" in (HERE / f"{module}.py").read_text(), (module, name)
