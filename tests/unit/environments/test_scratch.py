"""The folders behind /tmp: only ever the launcher's own, whatever the server does to the data folder."""

import os
from pathlib import Path

import pytest

from cosset.environments.launcher.run_folder import OwnerError
from cosset.environments.launcher.scratch import Scratch


def test_makes_and_erases(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)
    scratch.make("e1", 0)
    folder = tmp_path / "scratch" / "e1"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert scratch.erase("e1") is None
    scratch.make("e1", 0)
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path)
    (tmp_path / "kept").write_text("x")
    pid = scratch.erase("e1")
    assert pid is not None
    os.waitpid(pid, 0)
    assert not folder.exists()
    assert (tmp_path / "kept").exists()
    assert scratch.erase("e1") is None


def test_clears_away_what_a_dead_owner_left_and_nothing_behind_links(tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "kept").write_text("x")
    data = tmp_path / "data"
    (data / "scratch" / "e1" / "a").mkdir(parents=True)
    (data / "scratch" / "link").symlink_to(tmp_path / "host")
    (data / "scratch" / "e1" / "link").symlink_to(tmp_path / "host")
    Scratch(data).reap()
    assert os.listdir(data / "scratch") == []
    assert (tmp_path / "host" / "kept").exists()


@pytest.mark.parametrize("kind", ["link", "file"])
def test_refuses_what_is_no_folder_of_its_own(tmp_path: Path, kind: str) -> None:
    (tmp_path / "host").mkdir()
    if kind == "link":
        (tmp_path / "scratch").symlink_to(tmp_path / "host")
    else:
        (tmp_path / "scratch").write_text("")
    with pytest.raises(OwnerError):
        Scratch(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_refuses_the_servers_folder(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    os.chown(tmp_path / "scratch", 1_880_000_001, 1_880_000_001)
    with pytest.raises(OwnerError, match="does not belong"):
        Scratch(tmp_path)


def test_knows_its_folder_by_device_and_inode(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)
    assert scratch.identity == ((tmp_path / "scratch").stat().st_dev, (tmp_path / "scratch").stat().st_ino)
    (tmp_path / "scratch").rename(tmp_path / "old")
    (tmp_path / "scratch").mkdir()
    assert scratch.identity[1] != (tmp_path / "scratch").stat().st_ino
