"""What a function in the jail can do, and what it cannot. Every attack runs inside (inside.py)."""

import asyncio
import errno
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from cosset.environments.api import Environment, EnvironmentGoneError, InitError, Outcome
from support.jail import Jail, event, jail
from support.patience import until_nothing
from support.processes import children, left_of, nobody_buries

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="the jail needs Linux and, for its full strength, root"
)

ATTACK = (Path(__file__).parent / "inside.py").read_text()
SECRET = "MY_TEST_SECRET_VARIABLE"
LIMITS = {"NOFILE": 1024, "NPROC": 1024, "CORE": 1, "MEMLOCK": 65536, "MSGQUEUE": 819200, "NICE": 0, "RTPRIO": 0}


def in_jail(scenario: Callable[[Jail], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        async with jail(**options) as inside:
            await scenario(inside)

    asyncio.run(run())


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the attack found, in an environment beside another one that has secrets."""
    host_file = tmp_path_factory.mktemp("host") / "secret"
    host_file.write_text("secret")
    host_file.chmod(0o644)
    os.environ[SECRET] = "secret"
    listener = socket.create_server(("127.0.0.1", 0))

    async def run() -> dict[str, Any]:
        async with jail() as inside:
            victim = await inside.start({"app.py": "def handler(event, context): open('/tmp/mine', 'w').write('x')"})
            await victim.invoke(event())
            paths = [str(host_file), str(victim.spec.code_dir / "app.py"), f"/proc/{inside.launcher_pid}/environ"]
            paths += ["/etc/shadow", str(inside.data), "/proc/kcore", "/proc/kmsg", "/tmp/mine", "/dev/sda", "/dev/vda"]
            targets = ["/var/task/x", "/opt/x", "/var/runtime/x", "/usr/x", "/x", "/etc/passwd", "/.cosset/data/x"]
            targets += ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/dev/x"]
            addresses = [["127.0.0.1", listener.getsockname()[1]], ["169.254.169.254", 80], ["1.1.1.1", 53]]
            question = {"paths": paths, "targets": targets, "addresses": addresses, "limits": list(LIMITS)}
            attacker = await inside.start({"app.py": ATTACK}, memory_mb=1769)
            answer = await attacker.invoke(event(json.dumps(question).encode()))
            assert answer.outcome is Outcome.SUCCESS, answer
            return json.loads(answer.payload)

    try:
        return asyncio.run(run())
    finally:
        listener.close()
        del os.environ[SECRET]


def test_refuses_the_calls_that_lead_out(findings: dict[str, Any]) -> None:
    assert findings["refused"] == dict.fromkeys(findings["refused"], errno.EPERM)


def test_knows_no_calls_that_go_round_the_filter(findings: dict[str, Any]) -> None:
    assert findings["absent"] == dict.fromkeys(findings["absent"], errno.ENOSYS)


def test_shows_no_file_of_the_host_or_of_others(findings: dict[str, Any]) -> None:
    for path, result in findings["unreadable"].items():
        assert result in (errno.ENOENT, errno.EACCES, errno.EPERM), (path, result)
    assert findings["hidden"] == []
    assert findings["root home"] == []


def test_can_write_nowhere_but_in_tmp(findings: dict[str, Any]) -> None:
    for path, result in findings["unwritable"].items():
        assert result in (errno.EROFS, errno.EACCES, errno.ENOENT, errno.EPERM), (path, result)


def test_sees_no_other_process(findings: dict[str, Any]) -> None:
    assert findings["processes"] == [1, 2]
    assert findings["init"] == dict.fromkeys(findings["init"], errno.EACCES)
    assert findings["init descriptors"] == errno.EACCES


def test_cannot_end_its_init(findings: dict[str, Any]) -> None:
    """The calls succeed, as to any process of the same user, and do nothing: the invocation has answered since."""
    assert findings["kill"] == ["done: None"] * 3


def test_has_no_network_but_its_own_loopback(findings: dict[str, Any]) -> None:
    assert findings["interfaces"] == ["lo"]
    assert set(findings["connections"].values()) <= {errno.ENETUNREACH, errno.ECONNREFUSED}
    assert set(findings["sockets"].values()) == {errno.EAFNOSUPPORT}
    assert findings["raw"] == errno.EPERM


def test_has_no_privilege_and_no_way_to_one(findings: dict[str, Any]) -> None:
    status = findings["status"]
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert findings["ids"] == [993, 993, 990, 990, []]
    assert findings["setuid"] in (errno.EINVAL, errno.EPERM)


def test_gets_only_the_descriptors_meant_for_it(findings: dict[str, Any]) -> None:
    # Input, output twice, telemetry, transport; the last one is the listing itself.
    assert findings["descriptors"] == ["/dev/null", "pipe", "pipe", "pipe", "socket", None]


def test_gets_no_variable_of_the_host(findings: dict[str, Any]) -> None:
    environment = findings["environment"]
    assert SECRET not in environment
    allowed = {"LANG", "TZ", "PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "_HANDLER", "LAMBDA_TASK_ROOT"}
    allowed |= {"LAMBDA_RUNTIME_DIR", "_X_AMZN_TRACE_ID", "PWD", "SHLVL", "LC_CTYPE"}
    allowed |= {"_AWS_XRAY_DAEMON_ADDRESS", "_AWS_XRAY_DAEMON_PORT"}
    assert {name for name in environment if not name.startswith("AWS_")} <= allowed
    assert environment["AWS_ACCESS_KEY_ID"] == "ASIAEXAMPLE"


def test_is_as_aws_has_it(findings: dict[str, Any]) -> None:
    assert findings["cwd"] == "/var/task"
    assert findings["ignored"] == []
    assert findings["modules"] == []
    # Recorded: test_runtime_introspection_x86. There root owns them; here no other user is mapped.
    modes = {"/tmp": "0o1777", "/var/task": "0o755", "/opt": "0o755", "/var/runtime": "0o755"}
    assert findings["modes"] == modes
    assert findings["limits"] == LIMITS
    assert findings["argv"] == ["/var/runtime/bootstrap.py"]


def test_sees_its_cgroups_as_the_root(findings: dict[str, Any]) -> None:
    limited = [line for line in findings["groups"].splitlines() if ":memory:" in line or line.startswith("0::")]
    assert limited
    assert all(line.endswith(":/") for line in limited)


def test_starts_with_an_empty_tmp_and_leaves_nothing() -> None:
    async def scenario(inside: Jail) -> None:
        source = "import os\ndef handler(event, context):\n    seen = os.listdir('/tmp')\n"
        source += "    os.makedirs('/tmp/a/b')\n    open('/tmp/a/b/c', 'w').write('x')\n    return seen"
        for _ in range(2):
            assert json.loads((await inside.run(source)).payload) == []
        assert _holds_nothing(inside.data / "scratch")

    in_jail(scenario)


def test_merges_layers_the_later_over_the_earlier() -> None:
    async def scenario(inside: Jail) -> None:
        first = inside.folder(
            {"python/shared.py": "NAME = 'first'", "python/one.py": "", "bin/tool": "#!/bin/sh\necho 1"}
        )
        second = inside.folder({"python/shared.py": "NAME = 'second'"})
        source = "import one, shared, subprocess\ndef handler(event, context):\n"
        source += "    return [shared.NAME, subprocess.run(['tool'], capture_output=True, text=True).stdout]"
        answer = await inside.run(source, layer_dirs=(first, second), memory_mb=1769)
        assert json.loads(answer.payload) == ["second", "1\n"]

    in_jail(scenario)


def test_prefers_the_functions_own_packages() -> None:
    async def scenario(inside: Jail) -> None:
        source = "import boto3\ndef handler(event, context): return boto3.MINE"
        environment = await inside.start({"app.py": source, "boto3/__init__.py": "MINE = True"})
        assert (await environment.invoke(event())).payload == b"true"
        layer = inside.folder({"python/boto3/__init__.py": "MINE = 'layer'"})
        assert (await inside.run(source, layer_dirs=(layer,))).payload == b'"layer"'

    in_jail(scenario)


@pytest.mark.parametrize(
    ("body", "outcome", "error_type", "words"),
    [
        ("os._exit(0)", Outcome.EXIT, "Runtime.ExitError", "without providing a reason"),
        ("os._exit(7)", Outcome.EXIT, "Runtime.ExitError", "exit status 7"),
        ("sys.exit(3)", Outcome.EXIT, "Runtime.ExitError", "exit status 3"),
        ("ctypes.string_at(0)", Outcome.EXIT, "Runtime.ExitError", "segmentation fault"),
        ("os.kill(os.getpid(), 9)", Outcome.EXIT, "Runtime.ExitError", "signal: killed"),
        ("os.write(4, b'Z' * 100)", Outcome.EXIT, "Runtime.ExitError", "Runtime exited"),
        ("take(event)", Outcome.OUT_OF_MEMORY, "Runtime.OutOfMemory", "signal: killed"),
        ("share(event)", Outcome.OUT_OF_MEMORY, "Runtime.OutOfMemory", "signal: killed"),
    ],
)
def test_tells_how_a_function_ended(body: str, outcome: Outcome, error_type: str, words: str) -> None:
    source = "import ctypes, os, sys, time\n"
    source += "def take(event):\n    kept = []\n    while True: kept.append(bytearray(1 << 23))\n"
    source += "def share(event):\n    fd = os.memfd_create('x')\n    while True: os.write(fd, bytes(1 << 20))\n"
    source += f"def handler(event, context):\n    {body}"

    async def scenario(inside: Jail) -> None:
        answer = await inside.run(source, memory_mb=128)
        assert (answer.outcome, answer.error_type) == (outcome, error_type)
        assert words in answer.payload.decode()
        assert _holds_nothing(inside.data / "scratch")

    in_jail(scenario, has_cpu_quota=False)


def test_opens_its_output_by_name() -> None:
    async def scenario(inside: Jail) -> None:
        await inside.run(
            "def handler(event, context):\n    with open('/dev/stdout', 'w') as out: out.write('named\\n')"
        )
        assert inside.lines.events == ["named\n"]

    in_jail(scenario)


def test_kills_what_never_returns() -> None:
    async def scenario(inside: Jail) -> None:
        environment = await inside.start({"app.py": "def handler(event, context):\n    while True: pass"}, timeout_s=1)
        answer = await environment.invoke(event(timeout_s=0.3))
        assert answer.outcome is Outcome.TIMEOUT
        assert not _members(inside)
        with pytest.raises(EnvironmentGoneError):
            await environment.invoke(event())

    in_jail(scenario)


def test_bounds_a_fork_bomb() -> None:
    source = "import os\ndef handler(event, context):\n    while True:\n"
    source += "        try: os.fork()\n        except OSError: pass"

    async def scenario(inside: Jail) -> None:
        environment = await inside.start({"app.py": source})
        invocation = asyncio.ensure_future(environment.invoke(event(timeout_s=2)))
        await asyncio.sleep(1)
        assert len(_members(inside)) <= 1100
        assert (await invocation).outcome in (Outcome.TIMEOUT, Outcome.OUT_OF_MEMORY, Outcome.EXIT)
        await environment.shutdown()
        assert not _members(inside)

    in_jail(scenario)


def test_lets_no_child_outlive_the_environment() -> None:
    source = "import os, time\ndef handler(event, context):\n    if os.fork() == 0:\n        os.setsid()\n"
    source += "        if os.fork() == 0: time.sleep(600)\n        os._exit(0)\n    return os.getpid()"

    async def scenario(inside: Jail) -> None:
        environment = await inside.start({"app.py": source})
        assert (await environment.invoke(event())).payload == b"2"
        await environment.shutdown()
        assert not _members(inside)

    in_jail(scenario)


def test_caps_descriptors() -> None:
    source = "import os\ndef handler(event, context):\n    fds = []\n    try:\n"
    source += "        while True: fds.append(os.open('/dev/null', 0))\n    except OSError as error: return error.errno"

    async def scenario(inside: Jail) -> None:
        assert json.loads((await inside.run(source)).payload) == errno.EMFILE

    in_jail(scenario)


@pytest.mark.parametrize(
    ("files", "error_type", "message"),
    [
        ({"other.py": ""}, "Runtime.ImportModuleError", "Unable to import module 'app': No module named 'app'"),
        (
            {"app.py": "import nosuch"},
            "Runtime.ImportModuleError",
            "Unable to import module 'app': No module named 'nosuch'",
        ),
        ({"app.py": "x = 1"}, "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
        ({"app.py": "raise ValueError('boo')"}, "ValueError", "boo"),
    ],
)
def test_tells_why_init_failed(files: dict[str, str], error_type: str, message: str) -> None:
    async def scenario(inside: Jail) -> None:
        with pytest.raises(InitError) as caught:
            await inside.start(files)
        assert caught.value.error_type == error_type
        assert json.loads(caught.value.payload)["errorMessage"] == message
        assert "/root/" not in caught.value.payload.decode()
        assert _holds_nothing(inside.data / "scratch")

    in_jail(scenario)


def test_listens_inside_for_the_platforms_endpoint() -> None:
    """The listening socket is the environment's identity: what is accepted on it came from inside."""
    source = "import os, urllib.request\ndef handler(event, context):\n"
    source += "    return urllib.request.urlopen(os.environ['AWS_ENDPOINT_URL']).read().decode()"
    served: list[str] = []
    closed: list[bool] = []

    def on_endpoint(spec: Any, listener: socket.socket) -> Callable[[], None]:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            served.append(spec.function_name)
            writer.write(b"HTTP/1.0 200 OK\r\n\r\nhello")
            await writer.drain()
            writer.close()

        listener.setblocking(False)
        serving = asyncio.ensure_future(asyncio.start_server(answer, sock=listener))

        def close() -> None:
            serving.result().close()
            closed.append(True)

        return close

    async def scenario(inside: Jail) -> None:
        assert (await inside.run(source, memory_mb=1769)).payload == b'"hello"'

    in_jail(scenario, on_endpoint=on_endpoint)
    assert (served, closed) == (["greetingsOnDemand"], [True])


def test_runs_node_with_the_sdk_that_is_installed(tmp_path: Path) -> None:
    package = tmp_path / "runtimes" / "nodejs" / "node_modules" / "sdk"
    package.mkdir(parents=True)
    (package / "index.js").write_text("module.exports = { name: 'sdk' };")
    (package / "package.json").write_text('{"name": "sdk", "main": "index.js"}')

    async def scenario(inside: Jail) -> None:
        source = "const sdk = require('sdk');\nexports.handler = async (event) => [sdk.name, event, process.getuid()];"
        environment = await inside.start({"app.js": source}, runtime="nodejs22.x", memory_mb=1769)
        assert json.loads((await environment.invoke(event(b"5"))).payload) == ["sdk", 5, 993]

    in_jail(scenario, data=tmp_path, node_modules=package.parent)


def test_gives_cpu_by_memory_once_init_is_over() -> None:
    source = "open('/tmp/before', 'w').close()\ndef handler(event, context): pass"

    async def scenario(inside: Jail) -> None:
        environment = await inside.start({"app.py": source}, memory_mb=256)
        await environment.invoke(event())
        # The launcher is told without being waited for: it may set the quota after the first answer.
        for _ in range(5_000):
            groups = [path for group in _groups(inside.data) for path in group.glob("*/cpu.*")]
            texts = [path.read_text() for path in groups if "quota" in path.name or path.name == "cpu.max"]
            if (quotas := {text.split()[0] for text in texts}) & {str(20_000 * 256 // 1769)}:
                break
            await asyncio.sleep(0.01)
        assert str(20_000 * 256 // 1769) in quotas

    in_jail(scenario)


def test_a_prepared_runtime_is_there_before_the_first_function() -> None:
    async def scenario(inside: Jail) -> None:
        spec = inside.spec({"app.py": "def handler(event, context): return 1"})
        await inside.tier.prepare(spec.runtime, spec.architecture)
        await inside.tier.prepare("java21", "x86_64")  # not served here: said when it is asked for
        for _ in range(5_000):  # one whose loop device somebody else has taken is followed by another
            if await inside.launcher.count_spares():
                break
            await asyncio.sleep(0.02)
        assert await inside.launcher.count_spares()  # though nobody has asked
        environment = await inside.tier.start(spec, inside.lines)
        assert (await environment.invoke(event())).payload == b"1"

    in_jail(scenario)


def test_runs_a_bootstrap_of_ones_own() -> None:
    source = b"""#!/usr/bin/env python3
import os, urllib.request
base = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    with urllib.request.urlopen(base + "next") as got:
        name, body = got.headers["Lambda-Runtime-Aws-Request-Id"], got.read()
    print("pid", os.getpid(), sorted(os.listdir("/proc/self/fd"))[:3], flush=True)
    urllib.request.urlopen(base + name + "/response", data=b"[" + body + b"]").close()
"""

    async def scenario(inside: Jail) -> None:
        environment = await inside.start({"bootstrap": source}, runtime="provided.al2023", memory_mb=1769)
        for number in (b"1", b"2"):
            assert (await environment.invoke(event(number))).payload == b"[" + number + b"]"
        assert inside.lines.events == ["pid 2 ['0', '1', '2']\n"] * 2
        await environment.shutdown()
        with pytest.raises(InitError) as caught:
            await inside.start({"other": ""}, runtime="provided.al2023")
        assert caught.value.error_type == "Runtime.InvalidEntrypoint"

    if not Path("/usr/bin/python3").exists():
        pytest.skip("no /usr/bin/python3 for the bootstrap")
    in_jail(scenario)


def test_a_killed_spawner_takes_its_environments_and_is_made_anew() -> None:
    source = "def handler(event, context): return 1"

    async def scenario(inside: Jail) -> None:
        environment = await inside.start({"app.py": source})
        (spawner,) = children(inside.launcher_pid)
        os.kill(spawner, signal.SIGKILL)
        with pytest.raises(EnvironmentGoneError):
            await _invoke_without_end(environment)
        assert (await inside.run(source)).payload == b"1"

    in_jail(scenario)


def test_what_a_killed_spawner_leaves_is_buried_where_nobody_else_would() -> None:
    async def scenario(inside: Jail) -> None:
        environment = await inside.start({"app.py": "def handler(event, context): return 1"})
        (spawner,) = children(inside.launcher_pid)
        below = children(spawner)
        os.kill(spawner, signal.SIGKILL)
        with pytest.raises(EnvironmentGoneError):
            await _invoke_without_end(environment)
        await asyncio.to_thread(until_nothing, lambda: _unburied(below))

    with nobody_buries():
        in_jail(scenario)


def test_a_killed_launcher_takes_everything_with_it_and_the_next_clears_up(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    script = """
import asyncio, os, signal, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from support.jail import jail
async def main():
    async with jail(Path(sys.argv[1])) as inside:
        await inside.start({"app.py": "def handler(event, context): pass"})
        print(inside.launcher_pid, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""
    support = str(Path(__file__).parents[1])
    owner = subprocess.Popen([sys.executable, "-c", script, str(tmp_path), support], stdout=subprocess.PIPE, text=True)
    try:
        assert owner.stdout is not None
        launcher = int(owner.stdout.readline())
        below = _descendants(launcher)
        assert len(below) >= 2
        os.kill(launcher, signal.SIGKILL)
        assert left_of(below) == []
    finally:
        owner.kill()
        owner.communicate()

    async def scenario(inside: Jail) -> None:
        await inside.run("def handler(event, context): pass")
        assert _holds_nothing(tmp_path / "scratch")

    in_jail(scenario, data=tmp_path)
    assert not _groups(tmp_path)


def _holds_nothing(scratch: Path) -> bool:
    """But the empty folder of one environment that is kept prepared for nobody yet."""
    folders = list(scratch.iterdir())
    return len(folders) <= 1 and not any(os.listdir(folder) for folder in folders)


def _groups(data: Path) -> list[Path]:
    from cosset.environments.launcher import hierarchies, run_folder

    name = run_folder.group_name(run_folder.key_of(data))
    return [hierarchy.parent / name for hierarchy in hierarchies.detect() if (hierarchy.parent / name).exists()]


def _members(inside: Jail) -> list[int]:
    """Processes of this jail's functions. The init of an environment that is kept prepared for nobody yet is root's."""
    found: set[int] = set()
    for group in _groups(inside.data):
        for listing in group.glob("*/cgroup.procs"):
            uids = {int(pid): _uid(int(pid)) for pid in listing.read_text().split()}
            if 0 not in uids.values():
                found |= {pid for pid, uid in uids.items() if uid is not None}
    return sorted(found)


def _uid(pid: int) -> int | None:
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except FileNotFoundError:
        return None


async def _invoke_without_end(environment: Environment) -> None:
    while True:
        await environment.invoke(event())


def _descendants(pid: int) -> set[int]:
    found: set[int] = set()
    for child in children(pid):
        found |= {child} | _descendants(child)
    return found


def _unburied(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]
