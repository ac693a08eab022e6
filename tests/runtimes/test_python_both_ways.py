"""Managed Python speaks in frames where the jail starts it; AWS's own client speaks the HTTP Runtime API. The same
functions over both must give the same answers and the same log, byte for byte, event for event.

On one side the jail with all that is ours; on the other AWS's bootstrap and AWS's client as they come, a plain process
at Cosset's HTTP Runtime API. Only what differs by nature is made alike: ids, times, and where /var/task lies.
"""

import asyncio
import base64
import importlib.util
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from cosset.clock import SystemClock
from cosset.environments import process
from cosset.environments.api import Answer, EnvironmentSpec, InitError
from cosset.environments.process import ProcessTier
from cosset.runtimes.catalogue import Catalogue
from support.host import tier
from support.jail import jail
from support.written import Lines, event_for, running, spec_for

pytestmark = [
    pytest.mark.skipif(tier() != "jail", reason="missing: the jail, where managed Python speaks in frames"),
    pytest.mark.skipif(
        importlib.util.find_spec("runtime_client") is None,
        reason="missing: AWS's own client, a part of awslambdaric that is built for some versions of Python",
    ),
]

RUNTIME = "python{}.{}".format(*sys.version_info[:2])
START = """
import os, sys
runtime, task = os.environ["LAMBDA_RUNTIME_DIR"], os.environ["LAMBDA_TASK_ROOT"]
sys.path[0] = runtime
sys.path.append(%r)  # AWS's client, which is built in one file
import runtime_client
assert runtime_client.__file__.endswith(".so"), runtime_client.__file__
import awslambdaric.__main__, awslambdaric.bootstrap, awslambdaric.lambda_runtime_client
sys.path.remove(%r)
layers = os.environ.pop("_COSSET_LAYERS")
sys.path[0:1] = [task, layers + "/python/lib/" + "python%%d.%%d" %% sys.version_info[:2] + "/site-packages",
                 layers + "/python", runtime]
awslambdaric.__main__.main(["", os.environ["_HANDLER"]])
"""


@dataclass(frozen=True)
class Case:
    """Functions of one file, one handler and some events."""

    source: str
    events: tuple[bytes, ...] = (b"{}",)
    handler: str = "app.handler"
    config: Mapping[str, object] = field(default_factory=dict)
    about: Mapping[str, object] = field(default_factory=dict)
    timeout_s: float = 20.0


def returns(*expressions: str) -> Case:
    """Each event asks for one of these."""
    source = f"import datetime, decimal, uuid\nVALUES = [lambda: {', lambda: '.join(expressions)}]\n"
    source += "def handler(event, context): return VALUES[event]()"
    return Case(source, tuple(str(number).encode() for number in range(len(expressions))))


RAISES = """
class Mine(Exception): pass
def deep(event):
    if event == "chain":
        try: return 1 / 0
        except ZeroDivisionError as error: raise Mine("after") from error
    if event == "context":
        try: return {}["x"]
        except KeyError: raise ValueError("during")
    if event == "text": raise Mine("line one\\nline two \\u00e9\\u4e16\\U0001f600")
    if event == "empty": raise Mine
    if event == "tuple": raise Mine(1, "two", None)
    if event == "long": raise RuntimeError("x" * 5000)
    raise KeyError(event)
def handler(event, context): return deep(event)
"""
PRINTS = """
import os, sys
def handler(event, context):
    print("one\\ntwo")
    print("no end", end="")
    sys.stdout.write(" and more\\n")
    sys.stderr.write("error \\u00e9\\u4e16\\U0001f600\\n")
    sys.stdout.buffer.write(b"\\xff\\xfe not utf-8\\n"); sys.stdout.flush()
    os.write(1, b"raw\\n")
    print("carriage\\rreturn\\ttab\\x00zero")
    print("x" * 3000)
    print("last without end", end="")
    return "ok"
"""
LOGS = """
import json, logging
logger = logging.getLogger()
named = logging.getLogger("a.b")
logger.info("while it loads")
named.error("error while it loads")
def handler(event, context):
    if event: logger.setLevel(event)
    for level in (5, 10, 20, 30, 40, 50): logger.log(level, "level %d", level)
    named.warning("named %s", {"a": [1]})
    logger.error("two\\nlines \\u00e9\\u4e16")
    logger.warning("with more", extra={"colour": "green", "number": 5, "none": None, "nested": {"a": [1, 2]}})
    try: 1 / 0
    except ZeroDivisionError: logger.exception("caught")
    logger.info("stack", stack_info=False)
    logger.info(json.dumps({"already": "json"}))
    logger.critical(None)
    print("printed between")
    return len(logger.handlers)
"""
CONTEXT = """
import os
def handler(event, context):
    seen = {name: getattr(context, name) for name in ("function_name", "function_version", "invoked_function_arn",
        "memory_limit_in_mb", "aws_request_id", "log_group_name", "log_stream_name", "tenant_id")
        if hasattr(context, name)}
    seen["left"] = 0 < context.get_remaining_time_in_millis() <= 20000
    seen["identity"] = [context.identity.cognito_identity_id, context.identity.cognito_identity_pool_id]
    given = context.client_context
    seen["client"] = None if given is None else [given.custom, given.env,
        given.client and [given.client.app_title, given.client.installation_id, given.client.app_version_code]]
    seen["text"] = repr(context)
    seen["trace"] = os.environ.get("_X_AMZN_TRACE_ID")
    seen["names"] = sorted(vars(context))
    return seen
"""
CLIENT_CONTEXT = base64.b64encode(
    json.dumps({"custom": {"a": "\u00e9"}, "env": {"locale": "de"}, "client": {"app_title": "t"}}).encode()
).decode()
ENDS = "import os, sys\ndef handler(event, context):\n    print('before')\n    {}"
JSON = {"log_format": "JSON"}

CASES: dict[str, Case] = {
    "returns": returns(
        "None",
        "True",
        "0",
        "-1.5e300",
        "float('nan')",
        "float('inf')",
        "2 ** 80",
        "''",
        "'text \\u00e9 \\u4e16 \\U0001f600 \\\" \\\\ / \\x00'",
        "[]",
        "[1, [2, {'a': None}]]",
        "{}",
        "{'b': 1, 'a': 2, 1: 'number', None: 'none', True: 'true'}",
        "(1, 2)",
        "'\\ud800'",
        "{1, 2}",
        "b'bytes'",
        "bytearray(b'x')",
        "decimal.Decimal('1.10')",
        "datetime.datetime(2026, 1, 1)",
        "uuid.UUID(int=1)",
        "object()",
        "{(1, 2): 3}",
        "print",
    ),
    "large": Case("def handler(event, context): return 'x' * event", (b"1000000", b"6291550")),
    "too large": Case("def handler(event, context): return 'x' * event", (b"7000000",)),
    "large events": Case("def handler(event, context): return len(event)", (json.dumps("\u4e16" * 400_000).encode(),)),
    "events": Case(
        "def handler(event, context): return repr(event)",
        (b"null", b'"\\ud83d\\ude00\\u0000"', b"1.0", b"123456789012345678901234567890", '"\u4e16"'.encode(), b" [ ] "),
    ),
    "no JSON": Case("def handler(event, context): return event", (b"", b"{", b"\xff", b"NaN")),
    "raises": Case(
        RAISES,
        tuple(json.dumps(name).encode() for name in ["chain", "context", "text", "empty", "tuple", "long", "other"]),
    ),
    "raises in JSON": Case(RAISES, (b'"chain"', b'"text"'), config=JSON),
    "prints": Case(PRINTS, (b"1", b"2")),
    "prints in JSON": Case(PRINTS, config=JSON),
    "logs": Case(LOGS, (b"null", b'"DEBUG"', b'"ERROR"')),
    "logs in JSON": Case(LOGS, (b"null", b'"DEBUG"'), config=JSON),
    "logs in JSON from ERROR": Case(LOGS, config={**JSON, "application_log_level": "ERROR"}),
    "logs in JSON from TRACE": Case(LOGS, config={**JSON, "application_log_level": "TRACE"}),
    "context": Case(CONTEXT, (b"1", b"2")),
    "client context": Case(CONTEXT, about={"client_context": CLIENT_CONTEXT}),
    "exit 0": Case(ENDS.format("sys.exit(0)")),
    "exit 7": Case(ENDS.format("sys.exit(7)")),
    "exit with words": Case(ENDS.format("sys.exit('words')")),
    "hard exit": Case(ENDS.format("os._exit(9)")),
    "killed": Case(ENDS.format("os.kill(os.getpid(), 9)")),
    "interrupted": Case(ENDS.format("raise KeyboardInterrupt('stop')")),
    "timeout": Case(ENDS.format("import time; time.sleep(60)"), timeout_s=2.0, config={"timeout_s": 2}),
    "init error": Case("print('loading')\nraise RuntimeError('as it loads')\n"),
    "init exit": Case("import sys\nsys.exit(4)\n"),
    "syntax error": Case("def handler(event, context)\n    return 1\n"),
    "import error": Case("import nothing_like_it\n"),
    "missing handler": Case("def other(event, context): pass\n"),
    "missing module": Case("", handler="nowhere.handler"),
    "bad handler": Case("", handler="handler"),
    "deep handler": Case(
        "class A:\n    @staticmethod\n    def handler(event, context): return 'deep'\n", handler="app.A"
    ),
    "no arguments": Case("def handler(): return 1\n"),
    # That it was never awaited is said when it is collected, in one of the two before the end of the log.
    "async": Case("import warnings\nwarnings.simplefilter('ignore')\nasync def handler(event, context): return 1\n"),
    "closes its output": Case("import os\ndef handler(event, context):\n    os.close(1)\n    return 'closed'\n"),
}

_MADE_ALIKE = [
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?"), "TIME"),
    (re.compile(r"0x[0-9a-f]{6,}"), "ADDRESS"),
    (re.compile(r"epoch_deadline_time_in_ms=\d+"), "DEADLINE"),
]


def alike(text: str, code: Path) -> str:
    """Without what differs by nature. The folders are those of AWS, which only the jail has."""
    places = {code: "/var/task", code.parent / "runtime": "/var/runtime", Path(sys.base_prefix): "/var/lang"}
    text = re.sub(r"/[^\"]*/cosset-process-[^/]*/runtime/", "/var/runtime/", text)
    for folder, place in places.items():
        text = text.replace(str(folder), place)
    for pattern, word in _MADE_ALIKE:
        text = pattern.sub(word, text)
    return text


@dataclass(frozen=True)
class Seen:
    """All that a caller and a log reader could tell apart."""

    answers: list[object]
    log: list[str]


def spec_of(case: Case, code: Path) -> EnvironmentSpec:
    changes = {"log_stream": "2026/11/21/[$LATEST]0123456789abcdef", "memory_mb": 1769, **case.config}
    return spec_for(code, RUNTIME, case.handler, **changes)


async def events(environment: object, case: Case) -> list[Answer]:
    answers = []
    for payload in case.events:
        asked = event_for(payload, timeout_s=case.timeout_s, **case.about)
        answer = await environment.invoke(asked)  # type: ignore[attr-defined]
        answers.append(answer)
        if answer.environment_is_spent:
            break
    return answers


async def run(tier: object, case: Case, code: Path) -> Seen:
    lines = Lines()
    answers: Iterable[Answer] = ()
    told: list[object] = []
    try:
        async with running(tier, spec_of(case, code), lines) as environment:  # type: ignore[arg-type]
            answers = await events(environment, case)
    except InitError as failed:
        told = ["init", failed.error_type, failed.payload_for("request").decode()]
    for answer in answers:
        payload = alike(answer.payload.decode(errors="backslashreplace"), code)
        told.append((answer.outcome.value, answer.error_type, answer.content_type, payload))
    told = [alike(each, code) if isinstance(each, str) else each for each in told]
    return Seen(told, list(_without_frames_of_others(alike(message, code) for message in lines.messages)))


def _without_frames_of_others(events: Iterable[str]) -> Iterator[str]:
    """In a trace that the interpreter itself prints: who has called the function's bootstrap differs."""
    is_others = False
    for event in events:
        if event.startswith('  File "'):
            is_others = not event.startswith('  File "/var/task/')
        elif not event.startswith("    "):
            is_others = False
        if not is_others:
            yield event


@cache
def framed() -> dict[str, Seen]:
    """Every case in the jail, one after the other."""

    async def main() -> dict[str, Seen]:
        async with jail() as inside:
            return {
                name: await run(inside.tier, case, inside.folder({"app.py": case.source}))
                for name, case in CASES.items()
            }

    return asyncio.run(main())


@pytest.mark.parametrize("name", CASES)
def test_both_ways_are_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES[name]
    code = tmp_path / "task"
    code.mkdir()
    (code / "app.py").write_text(case.source)
    start = tmp_path / "start.py"
    packages = str(Path(str(importlib.util.find_spec("runtime_client").origin)).parent)  # type: ignore[union-attr]
    start.write_text(START % (packages, packages))
    command = [sys.executable, "-B", "-S", str(start)]
    monkeypatch.setattr(process, "command_for", lambda *_: command)

    async def main() -> Seen:
        plain = ProcessTier(Catalogue(), SystemClock(), folder=tmp_path)
        try:
            return await run(plain, case, code)
        finally:
            await plain.close()

    plain = asyncio.run(main())
    assert framed()[name].answers == plain.answers
    if name != "too large":
        # There AWS's client says itself what it was told over HTTP, as far as its environment lets it come.
        assert framed()[name].log == plain.log
