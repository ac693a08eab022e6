import contextlib
import io
import os
import stat
import struct
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosset.functions import archive
from cosset.wire.errors import ServiceError

COULD_NOT_UNZIP = "Could not unzip uploaded file. Please check your file, then try to upload again."


def zip_of(*entries):
    """Entries of (name, content, unix mode)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as writer:
        for name, content, mode in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            writer.writestr(info, content)
    return buffer.getvalue()


def refused(package, folder):
    """The sentence that refuses it; nothing is left on disk."""
    with pytest.raises(ServiceError) as caught:
        archive.unpack(package, folder / "code")
    assert caught.value.code == "InvalidParameterValueException"
    assert list(folder.iterdir()) == []
    return caught.value.message


def test_files_and_folders_are_unpacked_for_every_user_to_read(tmp_path):
    package = zip_of(
        ("index.py", "pass", 0o100600), ("bin/run", "#!/bin/sh", 0o100755), ("lib/", "", 0o040700), ("bare", "x", 0)
    )
    old = os.umask(0o077)
    try:
        archive.unpack(package, tmp_path / "code")
    finally:
        os.umask(old)
    modes = {
        str(path.relative_to(tmp_path / "code")): stat.S_IMODE(path.stat().st_mode)
        for path in (tmp_path / "code").rglob("*")
    }
    assert modes == {"index.py": 0o644, "bin": 0o755, "bin/run": 0o755, "lib": 0o755, "bare": 0o644}
    assert stat.S_IMODE((tmp_path / "code").stat().st_mode) == 0o755
    assert archive.measure(package) == len("pass") + len("#!/bin/sh") + len("x")


def test_set_user_id_bits_are_dropped(tmp_path):
    archive.unpack(zip_of(("run", "x", 0o104755)), tmp_path / "code")
    assert stat.S_IMODE((tmp_path / "code/run").stat().st_mode) == 0o755


def test_the_same_package_is_unpacked_once(tmp_path):
    package = zip_of(("index.py", "pass", 0o100644))
    archive.unpack(package, tmp_path / "code")
    before = (tmp_path / "code/index.py").stat().st_ino
    archive.unpack(package, tmp_path / "code")
    assert (tmp_path / "code/index.py").stat().st_ino == before


def test_the_last_of_entries_with_one_name_counts(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        package = zip_of(("index.py", "old", 0o100644), ("index.py", "new", 0o100644))
    archive.unpack(package, tmp_path / "code")
    assert (tmp_path / "code/index.py").read_text() == "new"


def test_a_link_inside_the_package_is_kept(tmp_path):
    package = zip_of(("lib/real.py", "pass", 0o100644), ("alias.py", "lib/real.py", 0o120777))
    archive.unpack(package, tmp_path / "code")
    assert (tmp_path / "code/alias.py").read_text() == "pass"


@pytest.mark.parametrize(
    "entries",
    [
        [("../evil.py", "x", 0o100644)],
        [("a/../../evil.py", "x", 0o100644)],
        [("/etc/evil", "x", 0o100644)],
        [("//etc/evil", "x", 0o100644)],
        [("link", "/etc/passwd", 0o120777)],
        [("link", "../outside", 0o120777)],
        [("a/link", "../../outside", 0o120777)],
        [("link", "", 0o120777)],
        [("link", "x" * 5000, 0o120777)],
        [("link", "lib", 0o120777), ("link/evil.py", "x", 0o100644)],
        # Each alone stays inside; together the second leaves through the first.
        [("a/b/c/up", "../../..", 0o120777), ("out", "a/b/c/up/../evil", 0o120777)],
        [("file", "x", 0o100644), ("file/below", "x", 0o100644)],
        [("device", "", 0o020666)],
        [("block", "", 0o060666)],
        [("pipe", "", 0o010666)],
        [("socket", "", 0o140666)],
        [("n" * 300, "x", 0o100644)],
        [("d/" * 400 + "deep", "x", 0o100644)],
    ],
)
def test_what_would_leave_the_folder_or_is_no_plain_file_is_refused(tmp_path, entries):
    assert refused(zip_of(*entries), tmp_path) == COULD_NOT_UNZIP


@pytest.mark.parametrize(
    "package", [b"", b"this is not a zip", b"PK\x03\x04" + b"\0" * 40, b"PK\x05\x06" + b"\xff" * 18]
)
def test_what_is_no_zip_is_refused(tmp_path, package):
    assert refused(package, tmp_path) == COULD_NOT_UNZIP


def test_an_empty_zip_is_refused(tmp_path):
    assert refused(zip_of(), tmp_path) == "Uploaded file must be a non-empty zip"


def test_a_broken_member_is_refused(tmp_path):
    package = bytearray(zip_of(("index.py", "pass" * 100, 0o100644)))
    package[45] ^= 0xFF
    assert refused(bytes(package), tmp_path) == COULD_NOT_UNZIP


def test_an_encrypted_zip_is_refused(tmp_path):
    package = bytearray(zip_of(("index.py", "pass", 0o100644)))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = package.index(signature) + offset
        package[at] |= 1
    assert refused(bytes(package), tmp_path) == COULD_NOT_UNZIP


def test_a_bomb_is_refused_by_what_it_says(tmp_path, monkeypatch):
    # recorded: TestLambdaSizeLimits::test_oversized_unzipped_lambda
    monkeypatch.setattr(archive, "MAX_UNZIPPED_BYTES", 10_000)
    package = zip_of(("a", "0" * 6_000, 0o100644), ("b", "0" * 4_000, 0o100644))
    assert refused(package, tmp_path) == "Unzipped size must be smaller than 10000 bytes"


def test_a_bomb_that_lies_about_its_size_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_UNZIPPED_BYTES", 10_000)
    package = bytearray(zip_of(("a", "0" * 1_000_000, 0o100644)))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = package.index(signature) + offset
        package[at : at + 4] = struct.pack("<I", 10)
    assert refused(bytes(package), tmp_path) == COULD_NOT_UNZIP


def test_folders_that_names_imply_count(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_ENTRIES", 100)
    deep = "a/" * 60
    assert refused(zip_of((f"0/{deep}f", "", 0o100644), (f"1/{deep}f", "", 0o100644)), tmp_path) == COULD_NOT_UNZIP
    archive.unpack(zip_of((f"{deep}f", "", 0o100644), (f"{deep}g", "", 0o100644)), tmp_path / "code")


@pytest.mark.parametrize("comment", [b"", b"PK\x05\x06", b"PK\x05\x06" + bytes(30)])
def test_too_many_entries_are_refused_before_they_are_read(tmp_path, monkeypatch, comment):
    def read(*_):
        raise AssertionError("it was read")

    monkeypatch.setattr(archive, "MAX_ENTRIES", 10)
    package = zip_of(*((str(number), "", 0o100644) for number in range(11)))
    package = package[:-2] + struct.pack("<H", len(comment)) + comment
    monkeypatch.setattr(archive.zipfile, "ZipFile", read)
    assert refused(package, tmp_path) == COULD_NOT_UNZIP


def test_a_stored_zip_inside_counts_for_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_ENTRIES", 10)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as writer:
        writer.writestr("inner.jar", zip_of(*((str(number), "", 0o100644) for number in range(20))))
        writer.writestr("more", bytes(70_000))
    archive.unpack(buffer.getvalue(), tmp_path / "code")


def test_the_limits_are_those_of_aws():
    assert (archive.MAX_ZIPPED_BYTES, archive.MAX_UNZIPPED_BYTES) == (52_428_800, 262_144_000)


def test_what_a_crash_left_is_swept(tmp_path):
    (tmp_path / ".unpacking-1").mkdir()
    (tmp_path / ".unpacking-1/half").write_text("x")
    (tmp_path / "whole").mkdir()
    archive.sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]


parts = st.sampled_from(["..", ".", "", "a", "b", "link", "..a", "\0", "\\..", "C:", "é", "x" * 260]) | st.text(
    max_size=4
)
paths = st.lists(parts, min_size=1, max_size=6).map("/".join)
modes = st.sampled_from([0, 0o100644, 0o100755, 0o040755, 0o120777, 0o010644, 0o020644])


@settings(deadline=None)
@given(st.lists(st.tuples(paths, paths, modes), min_size=1, max_size=6))
def test_no_package_writes_or_points_outside_its_folder(entries):
    try:
        package = lenient_zip(entries)
    except (UnicodeError, ValueError):
        return
    with tempfile.TemporaryDirectory() as name:
        outer = Path(name).resolve()
        with contextlib.suppress(ServiceError):
            archive.unpack(package, outer / "code")
        assert {path.name for path in outer.iterdir()} <= {"code"}
        for where, folders, files in os.walk(outer / "code"):
            for found in folders + files:
                path = Path(where, found)
                assert Path(os.path.realpath(path)).is_relative_to(outer / "code")
                assert stat.S_IFMT(path.lstat().st_mode) in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)


def lenient_zip(entries):
    """As `zip_of`, with names that zipfile itself would mend, and the same name more than once."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as writer:
        for name, content, mode in entries:
            info = zipfile.ZipInfo("x")
            info.filename = name
            info.external_attr = mode << 16
            writer.NameToInfo.clear()
            writer.writestr(info, content)
    return buffer.getvalue()
