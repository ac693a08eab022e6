"""One owner for a data folder, uids that no other owner has, and nothing reaped that is not ours."""

import json
import os
import threading
from pathlib import Path

import pytest

from cosset.environments.launcher import run_folder
from cosset.environments.launcher.run_folder import OwnerError, RunFolder


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o711)
    monkeypatch.setattr(run_folder, "_base", lambda: folder)
    return folder


def test_a_second_owner_is_told_who_is_the_first(tmp_path: Path) -> None:
    first = RunFolder(tmp_path / "data")
    with pytest.raises(OwnerError, match=f"pid {os.getpid()}"):
        RunFolder(tmp_path / "data")
    RunFolder(tmp_path / "other").close()
    first.close()
    assert not first.path.exists()


def test_owners_have_blocks_of_uids_of_their_own(tmp_path: Path) -> None:
    owners = [RunFolder(tmp_path / name) for name in "abc"]
    firsts = [owner.reserve_uids() for owner in owners]
    assert len(set(firsts)) == 3
    assert all((first - run_folder.FIRST_ENVIRONMENT_UID) % 4096 == 0 for first in firsts)


def test_a_folder_keeps_its_server_uid(tmp_path: Path) -> None:
    uid = run_folder.server_uid(tmp_path)
    assert uid == run_folder.server_uid(Path(str(tmp_path)))
    assert run_folder.FIRST_SERVER_UID <= uid < run_folder.FIRST_ENVIRONMENT_UID


def test_reaps_only_groups_of_its_own_name(tmp_path: Path) -> None:
    owner = RunFolder(tmp_path / "data")
    ours, others = tmp_path / run_folder.group_name(owner.key), tmp_path / "system.slice"
    (ours / "1-1").mkdir(parents=True)
    others.mkdir()
    owner.record((ours, others))
    owner.reap()
    assert not ours.exists()
    assert others.exists()


def test_clears_away_dead_owners_of_other_folders_and_no_living_one(tmp_path: Path) -> None:
    dead, living = RunFolder(tmp_path / "dead"), RunFolder(tmp_path / "living")
    groups = {owner: tmp_path / run_folder.group_name(owner.key) for owner in (dead, living)}
    for owner, group in groups.items():
        group.mkdir()
        owner.record((group,))
    os.close(dead._lock)
    RunFolder(tmp_path / "data").reap()
    assert not dead.path.exists()
    assert not groups[dead].exists()
    assert living.path.exists()
    assert groups[living].exists()


@pytest.mark.parametrize("record", ["", "nonsense", "[]"])
def test_reaps_nothing_by_a_broken_record(tmp_path: Path, record: str) -> None:
    owner = RunFolder(tmp_path / "data")
    group = tmp_path / run_folder.group_name(owner.key)
    group.mkdir()
    (owner.path / "cgroups.json").write_text(record)
    owner.reap()
    assert group.exists()


def test_the_record_names_the_groups(tmp_path: Path) -> None:
    owner = RunFolder(tmp_path / "data")
    owner.record((Path("/a/b"),))
    assert json.loads((owner.path / "cgroups.json").read_text()) == ["/a/b"]


def test_owners_that_start_while_others_reap_have_their_folders(tmp_path: Path) -> None:
    """A launcher that starts elsewhere takes a folder without a living owner away at any moment."""
    other = RunFolder(tmp_path / "other")
    over = threading.Event()

    def keep_reaping() -> None:
        while not over.is_set():
            other.reap()

    reaper = threading.Thread(target=keep_reaping)
    reaper.start()
    try:
        for _ in range(100):
            owner = RunFolder(tmp_path / "data")
            assert owner.mount_point.is_dir()
            owner.close()
            os.close(owner._lock)
    finally:
        over.set()
        reaper.join()
