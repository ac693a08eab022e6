"""The seccomp filter: an allow-list of system calls as a program for the kernel, for x86_64 and aarch64.

What is not allowed answers EPERM; what is newer than this list, ENOSYS. A few are allowed by their arguments: clone
without new namespaces, sockets of few families and without programs for the kernel, ioctl without typing into a
terminal, prctl without more filters, personality as it is.
Read next: syscalls.py for the list, seal.py for when it is put on.
"""

from __future__ import annotations

import errno
import struct

from .syscalls import ALLOWED, DONE, UNKNOWN

MYPY = False
if MYPY:
    from collections.abc import Sequence

    Instruction = tuple[int, int, int, int]

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Column of syscalls.py, and the kernel's audit number."""
_NEWEST = 450
"""Calls above this number are unknown to the list."""

_LOAD = 0x20
_JUMP = 0x05
_JUMP_EQUAL = 0x15
_JUMP_AT_LEAST = 0x35
_JUMP_ANY_BIT = 0x45
_RETURN = 0x06

_ALLOW = 0x7FFF0000
_KILL = 0x80000000
_REFUSE = 0x00050000 | errno.EPERM
_NOT_THERE = 0x00050000 | errno.ENOSYS
_NO_FAMILY = 0x00050000 | errno.EAFNOSUPPORT
_AS_DONE = 0x00050000

_NUMBER_AT = 0
_ARCHITECTURE_AT = 4
_FIRST_ARGUMENT_AT = 16
_SECOND_ARGUMENT_AT = 24
_THIRD_ARGUMENT_AT = 32
"""Offsets in struct seccomp_data; the low halves on these little-endian machines."""

_NAMESPACES = 0x7E020000
"""Every CLONE_NEW... that clone takes."""
_FAMILIES = (1, 2, 10)
"""AF_UNIX, AF_INET, AF_INET6. Not AF_VSOCK, AF_PACKET, AF_ALG ..."""
_NETLINK, _NETLINK_ROUTE = 16, 0
"""Of netlink only what lists interfaces."""
_TERMINAL_INPUT = (0x5412, 0x541C)
"""TIOCSTI, TIOCLINUX."""
_SOCKET_LEVEL = 1
_SOCKET_PROGRAMS = (26, 50, 51, 52)
"""SO_ATTACH_FILTER, _BPF, _REUSEPORT_CBPF, _REUSEPORT_EBPF."""
_PROCESS_PROGRAMS = (22, 62)
"""PR_SET_SECCOMP; PR_SCHED_CORE, which keeps others off half of a core. The room for the machine code of such programs
is one for the whole host: whoever takes all of it leaves none for the filters of the next environment."""
_PERSONALITIES = (0, 0xFFFFFFFF)
"""Linux itself, and the question which one it is."""


def supported(machine: str) -> bool:
    return machine in _ARCHITECTURES


def program(machine: str) -> bytes:
    """The filter for this machine, ready for `kernel.install_filter`."""
    column, architecture = _ARCHITECTURES[machine]
    verdicts = _verdicts(column)
    checks = _argument_checks()
    heads: dict[int, int] = {}
    tail: list[Instruction] = []
    for name, check in checks.items():
        number = ALLOWED[name][column]
        if number is not None:
            heads[number] = len(tail)
            tail += check
    body = _ranges(verdicts, heads)
    start: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_JUMP_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in start + body + tail)


def of_few(machine: str, names: Sequence[str]) -> bytes:
    """A filter that lets a process make these calls, and ends it at any other."""
    column, architecture = _ARCHITECTURES[machine]
    instructions: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_JUMP_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
    ]
    numbers = tuple(number for name in names if (number := ALLOWED[name][column]) is not None)
    instructions += _one_of(_NUMBER_AT, numbers, _ALLOW, _KILL)
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in instructions)


def _verdicts(column: int) -> list[int]:
    """The answer for each number from 0 to _NEWEST, arguments aside."""
    verdicts = [_REFUSE] * (_NEWEST + 1)
    for numbers in ALLOWED.values():
        number = numbers[column]
        if number is not None:
            verdicts[number] = _ALLOW
    for unknown in UNKNOWN.values():
        verdicts[unknown[column]] = _NOT_THERE
    for done in DONE.values():
        verdicts[done[column]] = _AS_DONE
    return verdicts


def _ranges(verdicts: list[int], heads: dict[int, int]) -> list[Instruction]:
    """Runs of equal answers, each two instructions: "below the next run? then this answer"."""
    runs: list[tuple[int, int, int]] = []  # (first number of the next run, answer, argument check or -1)
    for number, verdict in enumerate(verdicts):
        check = heads.get(number, -1)
        if runs and runs[-1][1:] == (verdict, check) and check < 0:
            runs[-1] = (number + 1, verdict, check)
        else:
            runs.append((number + 1, verdict, check))
    length = 2 * len(runs) + 1
    body: list[Instruction] = []
    for end, verdict, check in runs:
        body.append((_JUMP_AT_LEAST, 1, 0, end))
        if check < 0:
            body.append((_RETURN, 0, 0, verdict))
        else:
            body.append((_JUMP, 0, 0, length - len(body) - 1 + check))
    body.append((_RETURN, 0, 0, _NOT_THERE))
    return body


def _argument_checks() -> dict[str, list[Instruction]]:
    return {
        "clone": [
            (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
            (_JUMP_ANY_BIT, 0, 1, _NAMESPACES),
            (_RETURN, 0, 0, _REFUSE),
            (_RETURN, 0, 0, _ALLOW),
        ],
        "socket": [
            (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
            (_JUMP_EQUAL, 0, 3, _NETLINK),
            (_LOAD, 0, 0, _THIRD_ARGUMENT_AT),
            (_JUMP_EQUAL, 0, 1, _NETLINK_ROUTE),
            (_RETURN, 0, 0, _ALLOW),
            *_one_of(_FIRST_ARGUMENT_AT, _FAMILIES, _ALLOW, _NO_FAMILY),
        ],
        "socketpair": _one_of(_FIRST_ARGUMENT_AT, _FAMILIES, _ALLOW, _NO_FAMILY),
        "setsockopt": [
            (_LOAD, 0, 0, _SECOND_ARGUMENT_AT),
            (_JUMP_EQUAL, 1, 0, _SOCKET_LEVEL),
            (_RETURN, 0, 0, _ALLOW),
            *_one_of(_THIRD_ARGUMENT_AT, _SOCKET_PROGRAMS, _REFUSE, _ALLOW),
        ],
        "prctl": _one_of(_FIRST_ARGUMENT_AT, _PROCESS_PROGRAMS, _REFUSE, _ALLOW),
        "ioctl": _one_of(_SECOND_ARGUMENT_AT, _TERMINAL_INPUT, _REFUSE, _ALLOW),
        "personality": _one_of(_FIRST_ARGUMENT_AT, _PERSONALITIES, _ALLOW, _REFUSE),
    }


def _one_of(offset: int, values: tuple[int, ...], verdict: int, otherwise: int) -> list[Instruction]:
    """`verdict` when the argument is one of the values."""
    instructions: list[Instruction] = [(_LOAD, 0, 0, offset)]
    for position, value in enumerate(values):
        instructions.append((_JUMP_EQUAL, len(values) - position, 0, value))
    instructions += [(_RETURN, 0, 0, otherwise), (_RETURN, 0, 0, verdict)]
    return instructions
