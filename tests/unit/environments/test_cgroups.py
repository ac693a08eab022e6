"""The groups of an environment on a made-up host, version 1 and 2."""

import os
from pathlib import Path

import pytest

from cosset.environments.launcher import cgroups
from cosset.environments.launcher.hierarchies import CONTROLLERS, FREEZER


@pytest.mark.parametrize(("version", "name", "states"), [(1, "freezer.state", "THAWED"), (2, "cgroup.freeze", "")])
def test_thaws_before_a_kill_what_could_not_die_frozen(tmp_path: Path, version: int, name: str, states: str) -> None:
    (tmp_path / name).write_text("")
    group = cgroups.Cgroup({FREEZER: tmp_path}, {FREEZER: version})
    fd, found = group.open_freezer() or (-1, 0)
    try:
        assert found == version
        os.write(fd, cgroups.FREEZE[version])
    finally:
        os.close(fd)
    assert (tmp_path / name).read_bytes() == cgroups.FREEZE[version]
    group.thaw()
    assert states in (tmp_path / name).read_text()


@pytest.mark.parametrize(
    ("version", "files"),
    [
        (
            1,
            {
                "memory.limit_in_bytes": "134217728",
                "memory.memsw.limit_in_bytes": "134217728",
                "memory.kmem.tcp.limit_in_bytes": "33554432",
                "pids.max": "1024",
                "cpu.shares": "74",
                "cpu.cfs_period_us": "20000",
                "cpu.cfs_quota_us": "1447",
                "cgroup.procs": "",  # entered by the process itself
            },
        ),
        (
            2,
            {
                "memory.max": "134217728",
                "memory.swap.max": "0",
                "pids.max": "1024",
                "cpu.weight": "7",
                "cpu.max": "1447 20000",
                "cgroup.procs": "77",
            },
        ),
    ],
)
def test_limits_an_environment(tmp_path: Path, version: int, files: dict[str, str]) -> None:
    for name in files:
        (tmp_path / name).write_text("")
    names = dict.fromkeys(CONTROLLERS, tmp_path)
    group = cgroups.Cgroup(names, dict.fromkeys(CONTROLLERS, version))
    group.attach(77)
    group.limit(128)
    group.throttle(128)
    assert {name: (tmp_path / name).read_text() for name in files} == files


@pytest.mark.parametrize(("version", "name", "share"), [(1, "cpu.shares", "102"), (2, "cpu.weight", "10")])
def test_holds_back_what_nobody_waits_for(tmp_path: Path, version: int, name: str, share: str) -> None:
    (tmp_path / name).write_text("")
    cgroups.Cgroup({"cpu": tmp_path}, {"cpu": version}).hold_back()
    assert (tmp_path / name).read_text() == share


def test_tells_an_oom_kill_and_the_peak(tmp_path: Path) -> None:
    (tmp_path / "memory.events").write_text("low 0\noom 1\noom_kill 0\n")
    (tmp_path / "memory.peak").write_text("5000000\n")
    group = cgroups.Cgroup({"memory": tmp_path}, {"memory": 2})
    assert not group.had_oom()
    (tmp_path / "memory.events").write_text("low 0\noom 1\noom_kill 1\n")
    assert group.had_oom()
    assert group.peak_bytes() == 5000000


def test_is_content_without_any_group() -> None:
    group = cgroups.Cgroup({}, {})
    group.attach(1)
    group.limit(128)
    group.throttle(128)
    group.unthrottle()
    assert (group.had_oom(), group.peak_bytes(), group.remove()) == (False, None, True)
