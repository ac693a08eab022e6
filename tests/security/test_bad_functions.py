"""Functions that do their worst, through the public door: each ends in AWS's words, alone, and leaves nothing.

What a function can reach from inside is test_jail.py; how ordinary mistakes end is tests/api/test_function_endings.py.
"""

import json
import os
import re
from typing import Any

import pytest

from support.host import tier
from support.victim import Ended, Victim

ATTACKER = """
import ctypes, json, os, signal, socket, struct, sys, threading, time

def frames(context, kind=b"R", **more):
    head = {"request_id": context.aws_request_id, "content_type": "application/json", **more}
    text = json.dumps(head).encode()
    return lambda body, length=None: struct.pack(">cII", kind, len(text), length or len(body)) + text + body

def write_everywhere(data, times=1):
    "To every descriptor that is not a standard one: one of them is the connection to the platform."
    for descriptor in range(3, 64):
        try:
            for _ in range(times):
                os.write(descriptor, data)
        except OSError:
            continue
    time.sleep(0.2)

def handler(event, context):
    scope = {**globals(), "context": context}
    exec(event, scope)
    return scope.get("result")
"""
NAME, HASTY = "attacker", "hasty"


@pytest.fixture(scope="module")
def attacker(victim: Victim) -> Victim:
    """With a minute's time, and with two seconds' for what ends by it alone."""
    victim.create(NAME, ATTACKER, Timeout=60, MemorySize=256)
    victim.create(HASTY, ATTACKER, Timeout=2, MemorySize=256)
    return victim


def attack(attacker: Victim, code: str, name: str = NAME) -> Ended:
    """Runs it, and sees that the server is well after it."""
    ended = attacker.invoke(name, code)
    attacker.assert_well()
    return ended


EXITED, TIMED_OUT = "Runtime.ExitError", "Sandbox.Timedout"
FAILURES: dict[str, tuple[str, str, str]] = {
    "exits": ("os._exit(3)", EXITED, "Error: Runtime exited with error: exit status 3"),
    "exits in peace": ("os._exit(0)", EXITED, "Error: Runtime exited without providing a reason"),
    "segfaults": ("ctypes.string_at(0)", EXITED, "Error: Runtime exited with error: signal: segmentation fault"),
    "aborts": ("os.abort()", EXITED, "Error: Runtime exited with error: signal: aborted"),
    "returns a set": ("result = {1}", "Runtime.MarshalError", "Unable to marshal response: Object of type set"),
    "returns a circle": ("result = []; result.append(result)", "Runtime.MarshalError", "Circular reference"),
    "nests too deep": ("result = []\nfor _ in range(100_000): result = [result]", "Runtime.MarshalError", "recursion"),
    "returns 7 MB": ("result = 'x' * 7_000_000", "Function.ResponseSizeTooLarge", r"size \(6291556 bytes\)"),
    "raises 7 MB": ("raise Exception('x' * 7_000_000)", "Function.ResponseSizeTooLarge", "exceeded maximum allowed"),
    "never returns": ("time.sleep(60)", TIMED_OUT, r"Error: Task timed out after 2\.00 seconds"),
    "spins, deaf": ("signal.signal(15, signal.SIG_IGN)\nwhile True: pass", TIMED_OUT, "timed out after 2.00"),
    "stops itself": ("os.kill(os.getpid(), signal.SIGSTOP)", TIMED_OUT, "timed out after 2.00"),
    "closes everything": ("os.closerange(0, 1024)", EXITED, "Error: Runtime exited with error: exit status"),
    "closes everything, stays": ("os.closerange(0, 1024); time.sleep(60)", TIMED_OUT, "timed out after 2.00"),
    "writes noise to its channel": ("write_everywhere(os.urandom(65536))", EXITED, "Runtime exited"),
    "claims a huge head": ("write_everywhere(b'R' + b'\\xff' * 8 + b'x' * 1000)", EXITED, "Runtime exited"),
    "nests a frame's head": ("write_everywhere(struct.pack('>cII', b'R', 4000, 4) + b'[' * 4000)", EXITED, "exited"),
    "claims 4 GB and sends": (
        "write_everywhere(frames(context)(b'', 2**32 - 1)); write_everywhere(b'x' * 65536, 4000); time.sleep(60)",
        TIMED_OUT,
        "timed out after 2.00",
    ),
    "leaves children and exits": (
        "for _ in range(20):\n if os.fork() == 0: os.setsid(); time.sleep(600)\nos._exit(0)",
        EXITED,
        "Runtime exited without providing a reason",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", FAILURES)
def test_ends_in_the_words_of_aws(attacker: Victim, what: str) -> None:
    code, error_type, message = FAILURES[what]
    ended = attack(attacker, code, HASTY if error_type == TIMED_OUT else NAME)
    assert ended.error == "Unhandled"
    assert ended.payload["errorType"] == error_type
    assert re.search(message, ended.payload["errorMessage"])
    assert re.search(r"REPORT RequestId: .*Memory Size: 256 MB", ended.tail)


NEEDS_JAIL = pytest.mark.skipif(
    tier() != "jail", reason="missing: the jail tier (Linux and root), which has the limits"
)
SURVIVED: dict[str, tuple[str, Any]] = {
    "uses up its threads": (
        "def more(n):\n"
        " try:\n"
        "  threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        " except RuntimeError: return n\n"
        " return None\n"
        "result = next(n for n in range(5000) if more(n) is not None)",
        range(900, 1024),
    ),
    "opens 1,024 files": (
        "result, held = 0, []\ntry:\n while True: held.append(os.open('/dev/null', 0)); result += 1\n"
        "except OSError as error: assert error.errno == 24\nfor each in held: os.close(each)",
        range(900, 1024),
    ),
    "kills the first process": ("os.kill(1, signal.SIGKILL); result = 1", range(1, 2)),
}  # fmt: skip


@NEEDS_JAIL
@pytest.mark.parametrize("what", SURVIVED)
def test_meets_its_limits(attacker: Victim, what: str) -> None:
    code, results = SURVIVED[what]
    ended = attack(attacker, code)
    assert ended.error is None, ended.payload
    assert ended.payload in results


FILLING = """
result = 0
try:
    with open('/tmp/big', 'wb', 0) as big:
        while True: result += big.write(bytes(1 << 20))
except OSError:
    os.unlink('/tmp/big')
"""


@NEEDS_JAIL
@pytest.mark.skipif(os.geteuid() != 0, reason="missing: root (without it no sum is capped, of /tmp or of processes)")
def test_tmp_has_an_end(victim: Victim) -> None:
    """512 MB, give or take what a file system keeps for itself; and there is room again for the next."""
    victim.create("filler", ATTACKER, Timeout=60, MemorySize=1024)
    for _ in range(2):
        ended = victim.invoke("filler", FILLING)
        assert ended.error is None, ended.payload
        assert ended.payload in range(400 << 20, 560 << 20)
    victim.assert_well()


@NEEDS_JAIL
def test_a_fork_bomb_ends_with_its_time(attacker: Victim) -> None:
    ended = attack(attacker, "while True:\n try: os.fork()\n except OSError: pass", HASTY)
    assert ended.payload["errorType"] == TIMED_OUT


@NEEDS_JAIL
def test_the_memory_has_an_end(attacker: Victim) -> None:
    ended = attack(attacker, "result = len([bytearray(1 << 20) for _ in range(100_000)])")
    assert ended.payload["errorType"] == "Runtime.OutOfMemory"
    if os.geteuid() == 0:  # without a cgroup memory is looked at ten times a second: the peak may go unseen
        assert re.search(r"Max Memory Used: 256 MB", ended.tail)


DAEMON = """
result = os.getpid()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True:
            try: os.write(1, b'still here\\n')
            except OSError: pass
            time.sleep(0.01)
    os._exit(0)
"""


def test_what_a_function_leaves_running_ends_with_its_environment(attacker: Victim) -> None:
    """Its parent answers; the daemon goes on printing, as on AWS until the freeze, and dies when the environment
    does: the end of this module would see it."""
    for _ in range(3):
        assert attack(attacker, DAEMON).error is None
    assert attack(attacker, "os._exit(1)").payload["errorType"] == EXITED


def test_a_forged_answer_is_the_functions_own_and_nobody_elses(attacker: Victim) -> None:
    forged = "write_everywhere(frames(context, content_type='text/html\\r\\nx-evil: 1')(b'\"forged\"'))"
    answer = attacker.client.invoke(FunctionName=NAME, Payload=json.dumps(forged))
    assert answer["Payload"].read() == b'"forged"'
    assert "x-evil" not in answer["ResponseMetadata"]["HTTPHeaders"]
    attacker.assert_well()
    # Its real answer comes when nobody waits for one, and ends that environment, under whoever has it by then.
    assert attack(attacker, "time.sleep(0.5)").error in (None, "Unhandled")
    assert attack(attacker, "pass").error is None
    stranger = "write_everywhere(frames(context, request_id='another')(b'1'))"
    assert attack(attacker, stranger).error == "Unhandled"


def test_prints_100_mb(victim: Victim) -> None:
    printing = "import sys\ndef handler(event, context):\n    {}\n    return 'printed'\n"
    lines = "for _ in range(100 * 1024): sys.stdout.write('x' * 1023 + '\\n')"
    for name, code in {"lines": lines, "line": "sys.stdout.write('x' * (100 << 20)); sys.stdout.flush()"}.items():
        victim.create(f"prints-{name}", printing.format(code), Timeout=120, MemorySize=512)
        ended = victim.invoke(f"prints-{name}")
        assert ended.payload == "printed"
        assert len(ended.tail) <= 4096
        victim.assert_well()


@pytest.mark.parametrize(
    ("source", "handler", "error_type", "message"),
    [
        ("", "app.handler", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
        ("handler = 1", "app.handler", "TypeError", "not callable"),
        ("", "nowhere.handler", "Runtime.ImportModuleError", "Unable to import module 'nowhere'"),
        ("import nowhere", "app.handler", "Runtime.ImportModuleError", "No module named 'nowhere'"),
        ("def handler(:", "app.handler", "Runtime.UserCodeSyntaxError", "Syntax error in module 'app'"),
        ("1 / 0", "app.handler", "ZeroDivisionError", "division by zero"),
        ("import os; os._exit(9)", "app.handler", EXITED, "exit status 9"),
        ("import os; os.closerange(0, 1024); os._exit(0)", "app.handler", EXITED, "Runtime exited"),
    ],
)
def test_does_not_begin(victim: Victim, source: str, handler: str, error_type: str, message: str) -> None:
    victim.create("stillborn", source, Handler=handler)
    try:
        for _ in range(2):
            ended = victim.invoke("stillborn")
            assert ended.error == "Unhandled"
            assert ended.payload["errorType"] == error_type
            assert message in ended.payload["errorMessage"]
        victim.assert_well()
    finally:
        victim.client.delete_function(FunctionName="stillborn")
