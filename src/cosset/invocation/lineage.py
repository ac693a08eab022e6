"""The trace header of a call, and the lineage in it: how often each function has run already because of one event.

AWS's SDKs send the header that a function runs with along with whatever the function calls, so a loop comes back with
its own count. Refuses nothing itself: the dispatcher stops a loop. Sources: AWS X-Ray, "Tracing header"; AWS Lambda
developer guide, "Recursive loop detection".
"""

import hashlib
import random
import re
from collections.abc import Iterable
from functools import lru_cache

LOOP_LIMIT = 16
"""How often one event may make a function run; the next run is stopped."""
MAX_HEADER = 2048
_MAX_FUNCTIONS = 32
_PARENT = re.compile(r"(?<![^; ])Parent=[^;]*")
_numbers = random.Random()
"""Seeded by the system once: what it draws names traces and proves nothing."""
_COUNT = re.compile(r"([0-9a-f]{8}):([0-9]{1,5})")


def begin(header: str, now_ms: int) -> str:
    """`header` with what every trace has: its root, the caller, whether it is sampled. A longer one is begun anew, and
    one that is more than a line: whoever put it into a message could write headers to the runtime with it."""
    if not header:  # what most calls come with: not worth a parser's time
        noise = f"{_numbers.getrandbits(160):040x}"
        return f"Root=1-{now_ms // 1000:08x}-{noise[:24]};Parent={noise[24:]};Sampled=0"
    is_line = len(header) <= MAX_HEADER and header.isascii() and header.isprintable()
    fields = _read(header) if is_line else {}
    if "Root" in fields and "Parent" in fields and "Sampled" in fields:
        return header
    complete = {
        "Root": fields.pop("Root", "") or f"1-{now_ms // 1000:08x}-{_numbers.getrandbits(96):024x}",
        "Parent": fields.pop("Parent", "") or f"{_numbers.getrandbits(64):016x}",
        "Sampled": fields.pop("Sampled", "") or "0",
    }
    return _write({**complete, **fields})


def led_by(header: str, key: str, now_ms: int) -> str:
    """The header with the step of this key (observe/causes.py) as its parent, in the place of the caller."""
    return _under(begin(header, now_ms), key)


def enter(header: str, function_arn: str, segment: str = "") -> tuple[str, int]:
    """The header that this run of the function carries on, and how often the function ran before on the way here.

    `segment` is the run's own (sixteen hex digits): the parent of whatever it calls.
    """
    mark = _mark(function_arn)
    if segment:
        header = _under(header, segment)
    if "Lineage=" not in header:  # the first run: nothing to be read
        return f"{header.rstrip(';')};Lineage={mark}:1", 0
    fields = _read(header)
    counts = {name: int(count) for name, count in _COUNT.findall(fields.get("Lineage", ""))}
    before = counts.pop(mark, 0)
    # In a chain of more functions than are kept, those that ran least often are forgotten: they are in no loop yet.
    kept = sorted(counts.items(), key=lambda item: -item[1])[: _MAX_FUNCTIONS - 1]
    fields["Lineage"] = "|".join(f"{name}:{count}" for name, count in (*kept, (mark, before + 1)))
    return _write(fields), before


def deepest(headers: Iterable[str]) -> str:
    """Of the headers of events that make a function run together, the one that has gone farthest: so that a loop is
    stopped whatever comes with it. Empty where none has a header."""
    return max(headers, key=_depth, default="")


def _under(header: str, parent: str) -> str:
    """The header, which has a parent, with this one. Every invocation comes by: no parser's work."""
    at = header.find(";Parent=")
    if at < 0:
        return _PARENT.sub(f"Parent={parent}", header, count=1)
    end = header.find(";", at + 8)
    return f"{header[:at]};Parent={parent}{header[end:] if end >= 0 else ''}"


def is_sampled(header: str) -> bool:
    return "Sampled=1" in header and _read(header).get("Sampled") == "1"


def _depth(header: str) -> tuple[int, bool]:
    counts = [int(count) for _, count in _COUNT.findall(_read(header).get("Lineage", ""))]
    return max(counts, default=0), bool(header)


@lru_cache(maxsize=4096)
def _mark(function_arn: str) -> str:
    return hashlib.sha256(function_arn.encode()).hexdigest()[:8]


def _read(header: str) -> dict[str, str]:
    parts = (part.strip().partition("=") for part in header.split(";"))
    return {name: value for name, found, value in parts if found}


def _write(fields: dict[str, str]) -> str:
    return ";".join(f"{name}={value}" for name, value in fields.items())
