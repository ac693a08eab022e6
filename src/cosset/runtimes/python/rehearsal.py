"""AWS's bootstrap, run in the zygote with a function of our own: what starting a function runs has then been run.

An interpreter that counts its runs (3.11 and newer) rewrites code that it has run a few times, for speed. Done here, it
is done for every environment at once, and in none of them. Whatever a run leaves behind is set back; in doubt nothing
is rehearsed, and all works as without. Runs inside environments, Python 3.9 syntax. Read next: zygote.py.
"""

import contextlib
import json
import logging
import os
import socket
import struct
import sys
import time

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "rehearsed")
RUNS = 12
"""Starts; code is rewritten after eight."""
EVENTS = 4
"""Invocations of each."""
_HEAD = {
    "request_id": "00000000-0000-0000-0000-000000000000",
    "arn": "arn:aws:lambda:us-east-1:000000000000:function:rehearsal",
    "deadline_ms": 4102444800000,
    "content_type": "application/json",
    "trace_id": "Root=1-00000000-000000000000000000000000;Parent=0000000000000000;Sampled=0",
}
_VARIABLES = {
    "_HANDLER": "index.handler",
    "AWS_EXECUTION_ENV": "AWS_Lambda_python3",
    **{"AWS_LAMBDA_REHEARSAL_%d" % number: "x" * number for number in range(30)},
}
_BODY = b'{"hello": "world"}'


def rehearse(bootstrap, start, runs=RUNS, events=EVENTS):
    """`start(assignment, fds, folder)` runs the bootstrap as in an environment, until its socket ends. When it fails,
    what it was given may stay open: an environment closes that."""
    with contextlib.suppress(Exception), _set_back(bootstrap):
        for _ in range(runs):
            _run(start, events)


def _run(start, events):
    head = json.dumps(_HEAD).encode()
    frame = struct.pack(">cII", b"E", len(head), len(_BODY)) + head + _BODY
    ours, theirs = socket.socketpair()
    with ours:
        ours.sendall(frame * events)
        ours.shutdown(socket.SHUT_WR)
        fds = {"transport": theirs.detach(), "telemetry": os.open(os.devnull, os.O_WRONLY)}
        with contextlib.suppress(SystemExit):
            start({"environment": _VARIABLES}, fds, FOLDER)
    sys.modules.pop("index", None)
    logging.getLogger().handlers.clear()


@contextlib.contextmanager
def _set_back(bootstrap):
    """Whatever a run changes is as it was before."""
    path, modules, finders = list(sys.path), len(sys.modules), len(sys.path_importer_cache)
    variables, root = dict(os.environ), logging.getLogger()
    handlers, converter = list(root.handlers), logging.Formatter.converter
    streams, writes = (sys.stdout, sys.stderr), sys.dont_write_bytecode
    prefix = sys.pycache_prefix
    sys.dont_write_bytecode = True
    sys.pycache_prefix = os.path.join(FOLDER, "nowhere")  # a function is mostly compiled from source
    try:
        yield
    finally:
        sys.dont_write_bytecode, sys.pycache_prefix = writes, prefix
        sys.stdout, sys.stderr = streams
        logging.Formatter.converter = converter
        root.handlers[:] = handlers
        os.environ.clear()
        os.environ.update(variables)
        time.tzset()
        sys.path[:] = path
        _restore(sys.path_importer_cache, finders)
        _restore(sys.modules, modules)
        bootstrap._GLOBAL_AWS_REQUEST_ID = bootstrap._GLOBAL_TENANT_ID = None


def _restore(mapping, count):
    """Without what has been added. Not by its names: to look at them all is to write to every page that one is on."""
    while len(mapping) > count:
        mapping.popitem()
