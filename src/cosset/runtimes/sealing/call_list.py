"""A program that is a list of system calls: made one after the other, and the first that fails ends it.

An interpreter that is forked to make fifty system calls copies 550 pages for it, and keeps them. This does the same
with a few. The machine code below knows nothing but the list; what is in one is Python (bare_init.py, to be read next).
x86_64 alone has it: elsewhere, and wherever the host refuses any of this, an interpreter does the work.
"""

from __future__ import annotations

import ctypes
import os
import struct

from . import kernel

MYPY = False
if MYPY:
    from collections.abc import Sequence
    from typing import Union

    Argument = Union[int, str, "Place"]

_CODE = bytes.fromhex(
    # start: of a program of its own, whose table is at _TABLE
    "ba00006000"  # mov edx, _TABLE
    "eb0c"  # jmp child
    # spawn(arguments, size, table): for the interpreter. It goes on when the child has become another program.
    "b8b3010000"  # mov eax, clone3
    "0f05"  # syscall
    "85c0"  # test eax, eax
    "7401"  # jz child
    "c3"  # ret
    # child: on no stack, for it may be its parent's
    "4889d3"  # mov rbx, rdx
    "4c8d6320"  # lea r12, [rbx+32]
    # next:
    "498b0424"  # mov rax, [r12]
    "4885c0"  # test rax, rax
    "7834"  # js report: the end of the list
    "498b7c2408"  # mov rdi, [r12+8]
    "498b742410"  # mov rsi, [r12+16]
    "498b542418"  # mov rdx, [r12+24]
    "4d8b542420"  # mov r10, [r12+32]
    "4d8b442428"  # mov r8, [r12+40]
    "4d8b4c2430"  # mov r9, [r12+48]
    "0f05"  # syscall
    "48ff4310"  # inc qword [rbx+16]: how many were made
    "48894318"  # mov [rbx+24], rax: what the last one answered
    "4983c438"  # add r12, 56
    "483d00f0ffff"  # cmp rax, -4096
    "76c3"  # jbe next: no error
    # report: write(descriptor, the two numbers, 16)
    "b801000000"  # mov eax, write
    "488b7b08"  # mov rdi, [rbx+8]
    "488d7310"  # lea rsi, [rbx+16]
    "ba10000000"  # mov edx, 16
    "0f05"  # syscall
    # final: the table's last call, without arguments, for ever
    "488b03"  # mov rax, [rbx]
    "31ff31f631d24531d24531c0"  # xor edi, edi; esi; edx; r10d; r8d
    "0f05"  # syscall
    "ebed"  # jmp final
)
_SPAWN_AT = 7
_TEXT, _TABLE = 0x400000, 0x600000
_HEAD = struct.Struct("<QQQq")
"""Of a table: the last call, the descriptor for the report, and the report: how many calls, the answer of the last."""
_ENTRY = struct.Struct("<7Q")
_REPORT = struct.Struct("<Qq")
_CODE_AT = 64 + 3 * 56
_PAGE = 4096
_MFD_CLOEXEC, _MFD_EXEC = 1, 0x10
_PROT_READ_EXEC, _MAP_PRIVATE = 5, 2

NUMBERS = {
    "write": 1,
    "close": 3,
    "ioctl": 16,
    "socket": 41,
    "sendmsg": 46,
    "bind": 49,
    "listen": 50,
    "setsockopt": 54,
    "setsid": 112,
    "setresuid": 117,
    "setgroups": 116,
    "setresgid": 119,
    "capset": 126,
    "prctl": 157,
    "mount": 165,
    "umount2": 166,
    "sethostname": 170,
    "exit_group": 231,
    "fchownat": 260,
    "fchmodat": 268,
    "ppoll": 271,
    "openat": 257,
    "unshare": 272,
    "dup3": 292,
    "prlimit64": 302,
    "execveat": 322,
    "close_range": 436,
    "rt_sigaction": 13,
    "read": 0,
}
AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_MASK = (1 << 64) - 1
_NUMBER = struct.Struct("<Q")
_DIGITS = 10


class Place:
    """Bytes that a call is given the address of."""

    def __init__(self, offset: int) -> None:
        self.offset = offset


class CallList:
    """`add` in the order in which they are to be made, then `pack` for the address where they will lie. An argument
    that is a name is filled in later."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._blanks: list[tuple[str, Place]] = []
        self._calls: list[tuple[int, Sequence[Argument]]] = []
        self._data = bytearray()
        self._pointers: list[tuple[int, Place]] = []
        self._texts: dict[str, Place] = {}

    def add(self, call: str, *arguments: Argument, what: str = "") -> None:
        """`what` it is for, to be told when it fails."""
        self.names.append("%s %s" % (call, what) if what else call)
        self._calls.append((NUMBERS[call], arguments))

    def text(self, text: str) -> Place:
        """Ended by a zero, as paths are."""
        if text not in self._texts:
            self._texts[text] = self.place(os.fsencode(text) + b"\0")
        return self._texts[text]

    def place(self, content: bytes, pointers: dict[int, Place] | None = None) -> Place:
        """`pointers`: at these offsets of it the address of another place is put."""
        self._data += bytes(-len(self._data) % 16)
        place = Place(len(self._data))
        self._data += content
        for offset, other in (pointers or {}).items():
            self._pointers.append((place.offset + offset, other))
        return place

    def digits(self, name: str, before: bytes, after: bytes) -> tuple[Place, int]:
        """A text with a number in it that is filled in later, and its length."""
        place = self.place(before + bytes(_DIGITS) + after)
        self._blanks.append((name, Place(place.offset + len(before))))
        return place, len(before) + _DIGITS + len(after)

    @property
    def size(self) -> int:
        return _ENTRY.size * (len(self._calls) + 1) + len(self._data)

    def pack(self, address: int) -> Packed:
        """For this address, for as often as it is needed."""
        first = _ENTRY.size * (len(self._calls) + 1)
        content = bytearray()
        numbers, texts = [], [(name, first + place.offset) for name, place in self._blanks]
        for number, arguments in self._calls:
            numbers += [(each, len(content) + 8 * at) for at, each in enumerate(arguments, 1) if isinstance(each, str)]
            given = [self._value(each, address + first) for each in arguments]
            content += _ENTRY.pack(number, *given, *[0] * (6 - len(given)))
        content += _ENTRY.pack(_MASK, 0, 0, 0, 0, 0, 0) + self._data
        for offset, place in self._pointers:
            struct.pack_into("<Q", content, first + offset, address + first + place.offset)
        return Packed(content, numbers, texts, self.names)

    def _value(self, argument: Argument, data: int) -> int:
        if isinstance(argument, Place):
            return data + argument.offset
        return 0 if isinstance(argument, str) else argument & _MASK


class Packed:
    """A list as bytes, with blanks. It is kept, because whoever forks pays for each page that it writes to."""

    def __init__(
        self, content: bytearray, numbers: list[tuple[str, int]], texts: list[tuple[str, int]], names: list[str]
    ) -> None:
        self.names = names
        self._content = content
        self._numbers = numbers
        self._texts = texts

    def filled(self, values: dict[str, int]) -> bytearray:
        """The same bytes each time."""
        for name, offset in self._numbers:
            _NUMBER.pack_into(self._content, offset, values[name])
        for name, offset in self._texts:
            self._content[offset : offset + _DIGITS] = b"%*d" % (_DIGITS, values[name])
        return self._content


def take_report(report: bytes, names: Sequence[str]) -> None:
    """Raises: OSError, when a call has failed, or the program has ended before its report."""
    if len(report) != _REPORT.size:
        raise OSError("the init ended before it was there")
    count, answer = _REPORT.unpack(report)
    if answer < 0 and -answer < _PAGE:
        raise OSError(-answer, "%s: %s" % (names[count - 1], os.strerror(-answer)))


class Program:
    """The machine code, as a program for `execveat` and as a function of this process.

    Raises: OSError, where the host does not let it be.
    """

    LIST_FD, REPORT_FD, FIRST_FD = 64, 65, 66
    """Where a program that has begun reads its list, and writes how it went; the first of what else it is passed."""
    LIST_AT = _TABLE + _HEAD.size + _ENTRY.size
    FIRST_CALL = "read its list"
    LIST_BYTES = 0x8000
    """A longer list does not fit."""

    def __init__(self) -> None:
        if kernel.MACHINE != "x86_64":
            raise OSError("no machine code for " + kernel.MACHINE)
        writable = memory_file("init")
        try:
            os.write(writable, _elf())
            # Anew: what is open for writing cannot be run.
            self._fd = os.open("/proc/self/fd/%d" % writable, os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(writable)
        code = kernel.map_file(self._fd, _PAGE, _PROT_READ_EXEC, _MAP_PRIVATE)
        function = ctypes.PYFUNCTYPE(ctypes.c_long, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
        self._spawn = function(code + _CODE_AT + _SPAWN_AT)
        self._tables: dict[Sequence[str], tuple[ctypes.Array[ctypes.c_char], Packed]] = {}

    def begin(self, list_fd: int, report_fd: int, passed: dict[str, int], group_fd: int | None) -> tuple[int, int]:
        """Begins the first process of a new pid namespace, which reads its list from `list_fd`; its pid and a pidfd.

        `passed`: descriptors by name; it knows them by numbers from `FIRST_FD` on, in their order. `group_fd`: as for
        `kernel.fork_init`.
        """
        names = ("list", "report", *passed)
        if names not in self._tables:
            self._tables[names] = self._make_table(names)
        table, packed = self._tables[names]
        table.raw = _HEAD.pack(NUMBERS["exit_group"], _MASK, 0, 0) + packed.filled(
            {"list": list_fd, "report": report_fd, **passed}
        )
        arguments, pidfd = kernel.arguments_of_init(group_fd, shares_memory=True)
        pid = self._spawn(ctypes.addressof(arguments), ctypes.sizeof(arguments), ctypes.addressof(table))
        if pid < 0:
            raise OSError(-pid, "clone3: %s" % os.strerror(-pid))
        try:
            take_report(table.raw[_HEAD.size - _REPORT.size : _HEAD.size], packed.names)
        except OSError:
            os.close(pidfd.value)
            raise
        return int(pid), pidfd.value

    def _make_table(self, names: Sequence[str]) -> tuple[ctypes.Array[ctypes.c_char], Packed]:
        """What the child does before it is another program, in memory that is still its parent's."""
        steps = CallList()
        for number, name in enumerate(names, self.LIST_FD):
            steps.add("dup3", name, number, 0)
        arguments = steps.place(bytes(16), {0: steps.text("init")})
        steps.add("execveat", self._fd, steps.text(""), arguments, steps.place(bytes(8)), _AT_EMPTY_PATH)
        table = ctypes.create_string_buffer(_HEAD.size + steps.size)
        return table, steps.pack(ctypes.addressof(table) + _HEAD.size)


def _elf() -> bytes:
    """Code that cannot be written, a table that cannot be run, and room behind it for the list."""
    head = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, _TEXT + _CODE_AT, 64, 0, 0, 64, 56, 3, 0, 0, 0
    )
    table = _HEAD.pack(NUMBERS["ppoll"], Program.REPORT_FD, 0, 0)
    table += _ENTRY.pack(NUMBERS["read"], Program.LIST_FD, Program.LIST_AT, Program.LIST_BYTES, 0, 0, 0)
    segments = [
        struct.pack("<IIQQQQQQ", 1, 5, 0, _TEXT, _TEXT, _CODE_AT + len(_CODE), _CODE_AT + len(_CODE), _PAGE),
        struct.pack("<IIQQQQQQ", 1, 6, _PAGE, _TABLE, _TABLE, len(table), len(table) + Program.LIST_BYTES, _PAGE),
        struct.pack("<IIQQQQQQ", 0x6474E551, 6, 0, 0, 0, 0, 0, 16),  # its stack cannot be run either
    ]
    text = head + b"".join(segments) + _CODE
    return text + bytes(_PAGE - len(text)) + table


def memory_file(name: str) -> int:
    """A file on no disk."""
    try:
        return os.memfd_create(name, _MFD_CLOEXEC | _MFD_EXEC)
    except OSError:  # kernels before 6.3 let every such file be run, and do not know the flag
        return os.memfd_create(name, _MFD_CLOEXEC)
