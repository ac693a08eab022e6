"""What `cosset doctor` says of the root key's file, and of AWS's own host names."""

from pathlib import Path

import pytest

from cosset.cli.doctor import examine_aws_endpoints, examine_root_key


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


@pytest.mark.parametrize(
    ("wanted", "tier", "has_egress", "level", "words"),
    [
        ("local", "jail", False, "ok", "lead to Cosset"),
        ("real", "jail", True, "ok", "lead to AWS"),
        ("real", "jail", False, "weaker", "lead nowhere"),
        ("local", "process", False, "weaker", "In the tier `process`"),
        ("Real", "jail", True, "missing", "neither local nor real"),
    ],
)
def test_says_where_awss_names_lead(wanted: str, tier: str, has_egress: bool, level: str, words: str) -> None:
    finding = examine_aws_endpoints(wanted, tier, has_egress=has_egress)
    assert (finding.level, bool(finding.fix)) == (level, level != "ok")
    assert words in finding.detail
