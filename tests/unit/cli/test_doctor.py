"""What `cosset doctor` says of the root key's file."""

from pathlib import Path

import pytest

from cosset.cli.doctor import examine_root_key


def test_no_root_key_yet_is_no_finding(tmp_path: Path) -> None:
    assert list(examine_root_key(tmp_path / "root.key")) == []


@pytest.mark.parametrize(("mode", "level"), [(0o600, "ok"), (0o400, "ok"), (0o640, "missing"), (0o604, "missing")])
def test_a_root_key_is_its_owners_alone(tmp_path: Path, mode: int, level: str) -> None:
    path = tmp_path / "root.key"
    path.write_text("secret")
    path.chmod(mode)
    (finding,) = examine_root_key(path)
    assert finding.level == level
    assert ("chmod 600" in finding.fix) is (level != "ok")
    assert "secret" not in finding.detail
