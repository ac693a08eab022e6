"""Where groups can be made, on a made-up host of version 1 or 2."""

from pathlib import Path

import pytest

from cosset.environments.launcher import hierarchies
from cosset.environments.launcher.cgroups import Cgroups
from cosset.environments.launcher.hierarchies import Hierarchy

V1 = """30 25 0:26 / {0}/memory rw - cgroup cgroup rw,memory
31 25 0:27 / {0}/cpu rw - cgroup cgroup rw,cpu,cpuacct
32 25 0:28 / {0}/pids rw - cgroup cgroup rw,pids
33 25 0:29 / {0}/freezer rw - cgroup cgroup rw,freezer
"""
UNIFIED = "34 25 0:30 / {0}/unified rw - cgroup2 cgroup2 rw\n"
V1_OWN = "4:freezer:/\n3:memory:/service\n2:cpu,cpuacct:/\n1:pids:/\n0::/\n"
V2 = "30 25 0:26 / {0} rw - cgroup2 cgroup2 rw,nsdelegate\n"


def host(folder: Path, mounts: str, own: str) -> Path:
    (folder / "proc").mkdir()
    (folder / "proc/mountinfo").write_text(mounts.format(folder))
    (folder / "proc/cgroup").write_text(own)
    return folder / "proc"


@pytest.mark.parametrize(("mounts", "freezer"), [(V1, "freezer"), (V1 + UNIFIED, "unified")])
def test_finds_version_1_below_our_own_groups(tmp_path: Path, mounts: str, freezer: str) -> None:
    for name in ("memory/service", "cpu", "pids", "freezer", "unified"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "unified/cgroup.subtree_control").write_text("")
    found = {tuple(h.controllers): h.parent for h in hierarchies.detect(host(tmp_path, mounts, V1_OWN))}
    assert found == {
        ("memory",): tmp_path / "memory/service",
        ("cpu",): tmp_path / "cpu",
        ("pids",): tmp_path / "pids",
        ("freezer",): tmp_path / freezer,
    }


def make_group(folder: Path, *, handed_down: str = "", available: str = "", is_top: bool = False) -> Path:
    """As the kernel shows a group of version 2, but for what it would do about what is written there."""
    folder.mkdir(exist_ok=True)
    (folder / "cgroup.subtree_control").write_text(handed_down)
    (folder / "cgroup.controllers").write_text(available)
    (folder / "cgroup.procs").write_text("")
    if not is_top:
        (folder / "cgroup.events").write_text("populated 1\n")
    return folder


def test_finds_what_the_top_of_version_2_may_hand_down(tmp_path: Path) -> None:
    make_group(tmp_path, handed_down="memory pids\n", available="cpuset cpu io memory pids\n", is_top=True)
    (found,) = hierarchies.detect(host(tmp_path, V2, "0::/user.slice/session.scope\n"))
    assert (found.version, found.parent) == (2, tmp_path)
    assert found.controllers == {"cpu", "freezer", "memory", "pids"}


def test_freezes_where_nothing_is_handed_down(tmp_path: Path) -> None:
    make_group(tmp_path, available="cpuset io\n", is_top=True)
    (found,) = hierarchies.detect(host(tmp_path, V2, "0::/\n"))
    assert found.controllers == {"freezer"}


@pytest.mark.parametrize("own", ["unit.scope", "unit.scope/cosset-outside"])
def test_takes_the_group_that_was_delegated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str) -> None:
    make_group(tmp_path, handed_down="memory", available="cpu memory pids", is_top=True)
    group = make_group(tmp_path / "unit.scope", available="memory pids\n")
    marks = {(group, "user.delegate"): b"1"}

    def read_mark(path: Path, name: str) -> bytes:
        if (path, name) not in marks:
            raise OSError
        return marks[path, name]

    monkeypatch.setattr(hierarchies.os, "getxattr", read_mark)
    (found,) = hierarchies.detect(host(tmp_path, V2, f"0::/{own}\n"))
    assert (found.parent, found.controllers) == (group, {"freezer", "memory", "pids"})
    marks.clear()
    (found,) = hierarchies.detect(Path(tmp_path, "proc"))
    assert found.parent == tmp_path


def test_asks_the_top_for_what_it_does_not_hand_down_yet(tmp_path: Path) -> None:
    top = make_group(tmp_path / "top", handed_down="memory pids", available="cpu memory pids", is_top=True)
    made = make_group(top / "cosset-1")
    Cgroups((Hierarchy(2, top, frozenset({"cpu", "memory", "pids", "freezer"})),), made.name)
    assert (top / "cgroup.subtree_control").read_text().startswith("+cpu")  # the kernel would add it
    assert not (top / "cosset-outside").exists(), "the top may have processes"


def test_has_no_more_than_was_really_handed_down(tmp_path: Path) -> None:
    """A container's top whose processes will not go, as seen from a file system that obeys nobody."""
    top = make_group(tmp_path / "top", available="cpu memory pids")
    made = make_group(top / "cosset-1")
    leaf = make_group(top / "cosset-outside")
    (top / "cgroup.procs").write_text("17\n")
    wanted = frozenset({"cpu", "memory", "pids", "freezer"})
    groups = Cgroups((Hierarchy(2, top, wanted),), made.name)
    assert (leaf / "cgroup.procs").read_text() == "17"
    assert groups.controllers < wanted
    assert "freezer" in groups.controllers
