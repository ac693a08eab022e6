"""The seccomp program, run by a small interpreter of its language: no kernel needed, both machines."""

import errno
import struct

import pytest

from cosset.runtimes.sealing.filter import program, supported
from cosset.runtimes.sealing.syscalls import ALLOWED, DONE, UNKNOWN

ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
MACHINES = ("x86_64", "aarch64")
PROGRAMS = {machine: list(struct.iter_unpack("<HBBI", program(machine))) for machine in MACHINES}
COLUMN = {"x86_64": 0, "aarch64": 1}


def verdict(machine: str, number: int, *arguments: int, architecture: int | None = None) -> int:
    """What the kernel would do with this call."""
    padded = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    audit = AUDIT[machine] if architecture is None else architecture
    data = struct.pack("<IIQ6Q", number, audit, 0, *padded)
    code = PROGRAMS[machine]
    accumulator, at = 0, 0
    while True:
        operation, yes, no, operand = code[at]
        at += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, operand)
        elif operation == 0x06:
            return operand
        elif operation == 0x05:
            at += operand
        else:
            tests = {0x15: accumulator == operand, 0x35: accumulator >= operand, 0x45: bool(accumulator & operand)}
            at += yes if tests[operation] else no


@pytest.mark.parametrize("machine", MACHINES)
def test_allows_exactly_the_list(machine: str) -> None:
    by_argument = {"clone", "socket", "socketpair", "setsockopt", "prctl", "ioctl", "personality"}
    allowed = {numbers[COLUMN[machine]] for name, numbers in ALLOWED.items() if name not in by_argument}
    checked = {ALLOWED[name][COLUMN[machine]] for name in by_argument}
    unknown = {numbers[COLUMN[machine]] for numbers in UNKNOWN.values()}
    done = {numbers[COLUMN[machine]] for numbers in DONE.values()}
    assert not (allowed | done) & unknown
    assert not allowed & done
    for number in range(500):
        if number in checked:
            continue
        if number in done:
            assert verdict(machine, number) == ERRNO
            continue
        refused = ERRNO | (errno.ENOSYS if number in unknown or number > 450 else errno.EPERM)
        assert verdict(machine, number) == (ALLOW if number in allowed else refused), number


@pytest.mark.parametrize("machine", MACHINES)
def test_looks_at_the_arguments(machine: str) -> None:
    def call(name: str, *arguments: int) -> int:
        number = ALLOWED[name][COLUMN[machine]]
        assert number is not None
        return verdict(machine, number, *arguments)

    assert call("clone", 0x003D0F00) == ALLOW  # a thread, as glibc makes it
    for namespace in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
        assert call("clone", namespace | 17) == ERRNO | errno.EPERM
    for family in (1, 2, 10):
        assert call("socket", family, 1) == ALLOW
        assert call("socketpair", family, 1) == ALLOW
    assert call("socket", 16, 3, 0) == ALLOW  # netlink: lists of interfaces
    for protocol in (9, 15, 21):  # audit, uevents, crypto
        assert call("socket", 16, 3, protocol) == ERRNO | errno.EAFNOSUPPORT
    for family in (0, 17, 38, 40, 0xFFFFFFFF):
        assert call("socket", family, 1) == ERRNO | errno.EAFNOSUPPORT
    assert call("ioctl", 0, 0x5413) == ALLOW
    assert call("ioctl", 0, 0x5412) == ERRNO | errno.EPERM
    for option in (26, 50, 51, 52):  # programs of the caller's that run in the kernel
        assert call("setsockopt", 3, 1, option) == ERRNO | errno.EPERM
        assert call("setsockopt", 3, 6, option) == ALLOW
    assert call("setsockopt", 3, 1, 8) == ALLOW
    assert call("prctl", 15) == call("prctl", 38) == ALLOW
    assert call("prctl", 22) == call("prctl", 62) == ERRNO | errno.EPERM
    assert call("personality", 0xFFFFFFFF) == ALLOW
    assert call("personality", 0x0040000) == ERRNO | errno.EPERM


def test_kills_calls_of_another_machine_and_knows_no_x32() -> None:
    assert verdict("x86_64", 0, architecture=0x40000003) == KILL
    assert verdict("x86_64", 0x40000000) == ERRNO | errno.ENOSYS
    assert supported("aarch64")
    assert not supported("riscv64")
