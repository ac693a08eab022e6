"""The AWS profile `cosset`: our keys change, every other byte stays."""

import configparser
import dataclasses
import os
import stat
from pathlib import Path

import pytest
from botocore.configloader import load_config
from hypothesis import given
from hypothesis import strategies as st

from cosset.cli import profile
from cosset.cli.profile import Files, Profile, put_section

OURS = Profile("http://127.0.0.1:4566", "AKIAEXAMPLE", "se/cr+et", "us-east-1")
KEYS = {"region": "us-east-1", "endpoint_url": "http://127.0.0.1:4566"}


@pytest.fixture
def files(tmp_path):
    return Files.of_user({"HOME": str(tmp_path)})


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_new_files_are_the_owners_alone_and_botocore_reads_them(files):
    profile.write(files, OURS)
    assert mode(files.config) == mode(files.credentials) == 0o600
    assert mode(files.config.parent) == 0o700
    assert load_config(str(files.config))["profiles"]["cosset"] == KEYS
    parser = configparser.ConfigParser()
    parser.read(files.credentials)
    assert dict(parser["cosset"]) == {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "se/cr+et"}
    assert profile.read(files) == OURS
    assert sorted(path.name for path in files.config.parent.iterdir()) == ["config", "credentials"]


def test_other_profiles_comments_and_modes_stay(files):
    files.config.parent.mkdir()
    before = (
        "# mine\n[default]\nregion=eu-west-1 # home\ns3 =\n    max_concurrent_requests = 20\n\n[profile  other]\nx=1"
    )
    files.config.write_text(before)
    files.config.chmod(0o644)
    profile.write(files, OURS)
    text = files.config.read_text()
    assert text.startswith(before + "\n\n[profile cosset]\n")
    assert mode(files.config) == 0o644
    assert mode(files.credentials) == 0o600


def test_a_second_write_changes_nothing_not_even_the_file(files):
    profile.write(files, OURS)
    before = files.config.stat()
    profile.write(files, OURS)
    assert files.config.stat().st_ino == before.st_ino
    assert files.config.stat().st_mtime_ns == before.st_mtime_ns


def test_a_new_port_changes_one_line(files):
    profile.write(files, OURS)
    before = files.config.read_text() + "output = json\n\n[profile after]\nregion = x\n"
    files.config.write_text(before)
    profile.write(files, dataclasses.replace(OURS, endpoint="http://127.0.0.1:9999"))
    assert files.config.read_text() == before.replace("4566", "9999")


def test_links_are_followed_and_stay_links(files, tmp_path):
    kept = tmp_path / "dotfiles" / "aws-config"
    kept.parent.mkdir()
    kept.write_text("[default]\n")
    files.config.parent.mkdir()
    files.config.symlink_to(kept)
    profile.write(files, OURS)
    assert files.config.is_symlink()
    assert "[profile cosset]" in kept.read_text()


def test_the_variables_of_the_aws_tools_are_respected(tmp_path):
    environ = {
        "HOME": str(tmp_path / "home"),
        "AWS_CONFIG_FILE": str(tmp_path / "c"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "d" / "e"),
    }
    profile.write(Files.of_user(environ), OURS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "d"]
    assert profile.read(Files.of_user(environ)) == OURS


def test_bytes_that_are_not_text_come_out_as_they_went_in(files):
    files.config.parent.mkdir()
    before = b"\xef\xbb\xbf[default]\r\nname = \xff\xfe\r\n"
    files.config.write_bytes(before)
    profile.write(files, OURS)
    after = files.config.read_bytes()
    assert after.startswith(before)
    assert b"\r\n[profile cosset]\r\nregion = us-east-1\r\n" in after
    assert b"\n" not in after.replace(b"\r\n", b"")


def test_an_old_session_token_in_our_section_goes(files):
    files.credentials.parent.mkdir()
    files.credentials.write_text("[cosset]\nAWS_SESSION_TOKEN = x\naws_access_key_id=old\n[z]\naws_session_token = y\n")
    profile.write(files, OURS)
    text = files.credentials.read_text()
    assert "= x" not in text
    assert "aws_session_token = y" in text
    assert "old" not in text


def test_an_incomplete_or_missing_profile_is_none(files):
    assert profile.read(files) is None
    files.config.parent.mkdir()
    files.config.write_text("[profile cosset]\nregion = x\n")
    assert profile.read(files) is None


def test_a_folder_that_cannot_be_written_is_an_error_and_changes_nothing(tmp_path):
    (tmp_path / ".aws").write_text("a file where the folder should be")
    with pytest.raises(OSError, match=r"\.aws"):
        profile.write(Files.of_user({"HOME": str(tmp_path)}), OURS)
    assert (tmp_path / ".aws").read_text() == "a file where the folder should be"


def test_somebody_elses_change_in_between_is_not_lost(files, monkeypatch):
    files.config.parent.mkdir()
    files.config.write_text("[default]\n")
    real = os.chmod
    changes = iter(["[default]\nregion = a\n"])

    def chmod(path, bits):
        text = next(changes, None)
        if text is not None:
            files.config.write_text(text)
        real(path, bits)

    monkeypatch.setattr(os, "chmod", chmod)
    profile.write(files, OURS)
    assert files.config.read_text().startswith("[default]\nregion = a\n\n[profile cosset]")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: what is made as root for another's home must be theirs")
def test_root_makes_files_for_the_owner_of_the_home(tmp_path):
    for folder in [*tmp_path.parents[:2], tmp_path]:
        folder.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 12345, 12346)
    files = Files.of_user({"HOME": str(home)})
    profile.write(files, OURS)
    assert {(path.stat().st_uid, path.stat().st_gid) for path in home.rglob("*")} == {(12345, 12346)}
    assert os.geteuid() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: folders above the data folder may be shut to its owner")
def test_root_reaches_a_data_folder_that_its_owner_cannot_walk_to(tmp_path):
    shut = tmp_path / "shut"
    data = shut / "data"
    data.mkdir(parents=True)
    shut.chmod(0o700)
    os.chown(data, 12345, 12345)
    before = os.getcwd()
    profile.write(Files.of_data(data), OURS)
    assert profile.read(Files.of_data(data)) == OURS
    assert (data / "aws" / "config").stat().st_uid == 12345
    assert os.getcwd() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a link in a data folder must lead root nowhere")
def test_root_is_not_led_out_of_a_folder_by_its_owners_links(tmp_path):
    for folder in [*tmp_path.parents[:2], tmp_path]:
        folder.chmod(0o755)
    target = tmp_path / "roots"
    target.mkdir(mode=0o700)
    data = tmp_path / "data"
    data.mkdir()
    (data / "aws").symlink_to(target)
    os.chown(data, 12345, 12345)
    with pytest.raises(PermissionError):
        profile.write(Files.of_data(data), OURS)
    assert list(target.iterdir()) == []
    assert os.geteuid() == 0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "[s]\nk = v\n"),
        ("[s]", "[s]\nk = v\n"),
        ("[s]\n\n\n[t]\n", "[s]\nk = v\n\n\n[t]\n"),
        ("[t]\n[s]\nk=old\n", "[t]\n[s]\nk = v\n"),
        ("[ 's' ]\nK : old\n  more = x\nz = 1", "[ 's' ]\nk = v\nz = 1"),
        ("[s]\nz = 1", "[s]\nz = 1\nk = v\n"),
        ("[s]\nK:v", "[s]\nK:v"),
        ("[s]\n# k = comment\n; k = comment", "[s]\n# k = comment\n; k = comment\nk = v\n"),
        ("[s]\nk = 1\nk = 2\n", "[s]\nk = v\n"),
        ("[s]\rk = 1\r", "[s]\rk = v\n"),
    ],
)
def test_sections(before, after):
    assert put_section(before, "s", {"k": "v"}) == after


@given(st.text(alphabet=st.sampled_from("[]s t=k#\r\n'\"x\u2028\x85"), max_size=60))
def test_any_file_keeps_what_is_not_ours_and_a_second_write_changes_nothing(before):
    after = put_section(before, "mine", {"key": "value"})
    assert put_section(after, "mine", {"key": "value"}) == after
    if before.endswith(("\n", "\r")) or not before:
        assert after.startswith(before)
    assert profile._keys(after, "mine") == {"key": "value"}
