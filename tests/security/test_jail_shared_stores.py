"""What the kernel keeps one of for the whole host: an environment takes no more of it than of its own memory."""

import asyncio
import errno
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from cosset.environments.api import Outcome
from support.jail import jail

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="the jail needs Linux and, for its full strength, root"
)

TAKES = """
import ctypes, os, platform, socket, struct
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
X86 = platform.machine() == "x86_64"

def call(function, *arguments):
    return ctypes.get_errno() if function(*arguments) == -1 else 0

def system_call(x86, arm, *arguments):
    return call(libc.syscall, ctypes.c_long(x86 if X86 else arm), *arguments)

def requests():
    "Of the store of asynchronous input and output, which fs.aio-max-nr bounds for all together."
    return system_call(206, 0, 1024, ctypes.byref(ctypes.c_ulong(0)))

def disks():
    "Every dirty page of the host, and of the disk that its programs are on."
    return [system_call(162, 81), system_call(306, 267, os.open("/usr/bin", os.O_RDONLY))]

def program(code):
    text = ctypes.create_string_buffer(code)
    return text, struct.pack("HL", len(code) // 8, ctypes.addressof(text))

def programs():
    "Machine code in the kernel, which net.core.bpf_jit_limit bounds for all together."
    held, filtering = program(struct.pack("HBBI", 6, 0, 0, 0x7FFF0000))
    found = []
    for option in (26, 51):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            try:
                sock.setsockopt(socket.SOL_SOCKET, option, filtering)
                found.append(0)
            except OSError as error:
                found.append(error.errno)
    pointer = ctypes.create_string_buffer(filtering)
    found.append(call(libc.prctl, 22, ctypes.c_ulong(2), pointer, 0, 0))
    found.append(call(libc.prctl, 62, 1, 0, 1, 0))
    return found

def waiting_mb():
    "What nobody has read yet, in connections to itself: the kernel has it, and counts it apart."
    listener = socket.create_server(("127.0.0.1", 0))
    held, sent = [], 0
    for _ in range(30):
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
        held += [near, far]
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        near.setblocking(False)
        try:
            while True:
                sent += near.send(bytes(1 << 16))
        except BlockingIOError:
            continue
    return sent >> 20

def told():
    "Of the disks behind all environments, of all processes' locks, of how the host was started."
    return {name: open("/proc/" + name).read() for name in ("diskstats", "partitions", "locks", "cmdline")}

def handler(event, context):
    return [requests(), disks(), programs(), waiting_mb(), told()]
"""
MEMORY_MB = 128


@pytest.fixture(scope="module")
def taken() -> list[Any]:
    async def run() -> list[Any]:
        async with jail(has_cpu_quota=False) as inside:
            answer = await inside.run(TAKES, memory_mb=MEMORY_MB, timeout_s=60)
            assert answer.outcome is Outcome.SUCCESS, answer
            return list(json.loads(answer.payload))

    return asyncio.run(run())


def test_has_no_part_in_asynchronous_input_and_output(taken: list[Any]) -> None:
    assert taken[0] == errno.ENOSYS


def test_writes_out_no_disk_but_is_told_so(taken: list[Any]) -> None:
    assert taken[1] == [0, 0]


def test_puts_no_program_into_the_kernel(taken: list[Any]) -> None:
    assert taken[2] == [errno.EPERM] * 4


def test_is_told_nothing_of_the_hosts_disks_and_locks(taken: list[Any]) -> None:
    assert taken[4] == dict.fromkeys(taken[4], "")
    assert Path("/proc/partitions").read_text() != ""


def test_what_waits_in_sockets_counts(taken: list[Any]) -> None:
    assert 0 < taken[3] <= MEMORY_MB
