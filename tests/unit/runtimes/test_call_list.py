"""A list of system calls as bytes: where pointers go, what is filled in, how a report is read."""

import errno
import struct

import pytest

from cosset.runtimes.sealing.call_list import NUMBERS, CallList, take_report

ADDRESS = 0x1000


def test_pointers_lead_to_what_was_placed() -> None:
    made = CallList()
    inner = made.place(b"inner")
    made.add("write", 3, made.place(bytes(8), {0: inner}), 8)
    made.add("mount", made.text("here"), made.text("there"), made.text("here"))
    content = bytes(made.pack(ADDRESS).filled({}))
    calls = list(struct.iter_unpack("<7Q", content[: 3 * 56]))
    assert [call[0] for call in calls] == [NUMBERS["write"], NUMBERS["mount"], (1 << 64) - 1]
    (pointer,) = struct.unpack_from("<Q", content, calls[0][2] - ADDRESS)
    assert content[pointer - ADDRESS :].startswith(b"inner")
    assert content[calls[1][2] - ADDRESS :].startswith(b"there\0")
    assert calls[1][1] == calls[1][3]  # said once
    assert len(content) == made.size


def test_blanks_are_filled_in_anew_each_time() -> None:
    made = CallList()
    text, length = made.digits("uid", b"993 ", b" 1")
    made.add("setresuid", "uid", "uid", 0)
    made.add("write", 0, text, length)
    packed = made.pack(ADDRESS)
    for uid in (1881008193, 0):
        content = bytes(packed.filled({"uid": uid}))
        first, second = list(struct.iter_unpack("<7Q", content[: 2 * 56]))
        assert first[1:4] == (uid, uid, 0)
        written = content[second[2] - ADDRESS :][: second[3]]
        assert written.split() == [b"993", b"%d" % uid, b"1"]


def test_a_report_names_what_failed() -> None:
    take_report(struct.pack("<Qq", 2, 17), ["first", "second"])
    with pytest.raises(OSError, match="second") as failed:
        take_report(struct.pack("<Qq", 2, -errno.EPERM), ["first", "second"])
    assert failed.value.errno == errno.EPERM
    with pytest.raises(OSError, match="ended"):
        take_report(b"", ["first"])
