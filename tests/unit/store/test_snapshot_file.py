"""The format of snapshots: what goes in comes out, and what is not whole is refused."""

import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from cosset.store.snapshot_file import FORMAT, Manifest, SnapshotError, SnapshotReader, SnapshotWriter

MANIFEST = Manifest(cosset="0.1.0", schema=3, engine="sqlite", made_ms=1)


def written(folder: Path, manifest: Manifest = MANIFEST) -> bytes:
    """A file, an executable, an empty folder and a link."""
    source = folder / "source"
    (source / "code" / "empty").mkdir(parents=True)
    (source / "code" / "run.sh").write_bytes(b"#!/bin/sh\n")
    (source / "code" / "run.sh").chmod(0o755)
    (source / "code" / "link").symlink_to("run.sh")
    (source / "large").write_bytes(os.urandom(3_000_000))
    out = io.BytesIO()
    writer = SnapshotWriter(out, manifest)
    for name in ("large", "code", "code/empty", "code/run.sh", "code/link"):
        writer.add(name, source / name)
    writer.finish()
    return out.getvalue()


def read(data: bytes, folder: Path, newest_schema: int = 3) -> Manifest:
    target = folder / "target"
    target.mkdir()
    reader = SnapshotReader(io.BytesIO(data), newest_schema=newest_schema)
    reader.extract(target)
    return reader.manifest


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    assert read(written(tmp_path), tmp_path) == MANIFEST
    source, target = tmp_path / "source", tmp_path / "target"
    assert (target / "large").read_bytes() == (source / "large").read_bytes()
    assert (target / "code" / "run.sh").stat().st_mode & 0o777 == 0o755
    assert os.readlink(target / "code" / "link") == "run.sh"
    assert (target / "code" / "empty").is_dir()


def test_an_older_one_is_read_and_a_newer_one_refused_by_name(tmp_path: Path) -> None:
    data = written(tmp_path)
    assert read(data, tmp_path, newest_schema=9).schema == 3
    with pytest.raises(SnapshotError, match=r"newer Cosset \(0\.1\.0, schema 3; this one knows up to 2\)"):
        SnapshotReader(io.BytesIO(data), newest_schema=2)


def test_a_newer_format_is_refused_by_name() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        add(tar, "manifest.json", json.dumps({"format": FORMAT + 1, "cosset": "9.0", "other": 1}).encode())
    with pytest.raises(SnapshotError, match=r"newer Cosset \(9\.0, format 2; this one knows up to 1\)"):
        SnapshotReader(io.BytesIO(out.getvalue()), newest_schema=3)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.9, 0.99])
def test_one_that_is_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    data = written(tmp_path)
    with pytest.raises(SnapshotError):
        read(data[: int(len(data) * share)], tmp_path)


def test_one_that_was_changed_is_refused(tmp_path: Path) -> None:
    data = bytearray(written(tmp_path))
    data[1_000_000] ^= 1
    with pytest.raises(SnapshotError, match="hashes do not hold"):
        read(bytes(data), tmp_path)


def add(tar: tarfile.TarFile, name: str, data: bytes = b"", **given: Any) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in given.items():
        setattr(info, key, value)
    tar.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("../outside", {}),
        ("/etc/passwd", {}),
        ("a/../../outside", {}),
        ("link", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}),
        ("link", {"type": tarfile.SYMTYPE, "linkname": "../outside"}),
        ("device", {"type": tarfile.CHRTYPE}),
        ("pipe", {"type": tarfile.FIFOTYPE}),
        ("hard", {"type": tarfile.LNKTYPE, "linkname": "manifest.json"}),
    ],
)
def test_nothing_leaves_the_folder(tmp_path: Path, name: str, given: dict[str, Any]) -> None:
    out = io.BytesIO()
    manifest = {"format": 1, "cosset": "0", "schema": 1, "engine": "sqlite", "made_ms": 1}
    with tarfile.open(fileobj=out, mode="w") as tar:
        add(tar, "manifest.json", json.dumps(manifest).encode())
        add(tar, name, **given)
        add(tar, "hashes.json", b"{}")
    with pytest.raises(SnapshotError):
        read(out.getvalue(), tmp_path)
    assert not (tmp_path / "outside").exists()


def test_a_link_through_a_link_leads_nowhere_outside(tmp_path: Path) -> None:
    out = io.BytesIO()
    links = {"a/b/c/near": "../../../near", "far": "a/b/c/near/../.."}
    manifest = {"format": 1, "cosset": "0", "schema": 1, "engine": "sqlite", "made_ms": 1}
    with tarfile.open(fileobj=out, mode="w") as tar:
        add(tar, "manifest.json", json.dumps(manifest).encode())
        add(tar, "near", type=tarfile.DIRTYPE, mode=0o755)
        for name, target in links.items():
            add(tar, name, type=tarfile.SYMTYPE, linkname=target)
        hashes = {"near": "folder"} | {name: f"-> {target}" for name, target in links.items()}
        add(tar, "hashes.json", json.dumps(hashes).encode())
    with pytest.raises(SnapshotError, match="what no snapshot holds"):
        read(out.getvalue(), tmp_path)


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    out = io.BytesIO()
    manifest = {"format": 1, "cosset": "0", "schema": 1, "engine": "sqlite", "made_ms": 1}
    with tarfile.open(fileobj=out, mode="w") as tar:
        add(tar, "manifest.json", json.dumps(manifest).encode())
        add(tar, "a/b/up", type=tarfile.SYMTYPE, linkname="..")
        add(tar, "a/b/out", type=tarfile.SYMTYPE, linkname="up/../..")
        add(tar, "a/b/out/escaped", b"x")
        add(tar, "hashes.json", b"{}")
    with pytest.raises(SnapshotError, match="what no snapshot holds"):
        read(out.getvalue(), tmp_path)
    assert not (tmp_path / "escaped").exists()


@pytest.mark.parametrize("data", [b"", b"no tar at all", bytes(10_240), os.urandom(4096)])
def test_what_is_no_snapshot_is_refused(data: bytes) -> None:
    with pytest.raises(SnapshotError, match="no snapshot of Cosset"):
        SnapshotReader(io.BytesIO(data), newest_schema=3)
