"""Settings from flags, variables and cosset.toml."""

import dataclasses
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cosset.cli import configuration
from cosset.cli.failure import Failure
from cosset.settings import Settings


def load(flags=None, environ=None, folder=Path("/nonexistent")):
    return configuration.load(flags or {}, environ or {}, folder)


def test_nothing_given_is_the_defaults():
    assert load() == Settings()


def test_every_field_is_a_flag_a_variable_and_a_documented_key():
    assert {field.name for field in configuration.FIELDS} == {field.name for field in dataclasses.fields(Settings)}
    for field in configuration.FIELDS:
        assert field.doc, f"{field.name} has no sentence in settings.py"
        assert field.kind in (int, bool, str, Path, tuple), field


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("COSSET_PORT", "0", {"port": 0}),
        ("COSSET_DEV", "yes", {"dev": True}),
        ("COSSET_PROFILE", "0", {"profile": False}),
        ("COSSET_DATA", "x/y", {"data": Path("x/y")}),
        ("COSSET_CORS_ORIGINS", "http://a, http://b,", {"cors_origins": ("http://a", "http://b")}),
        ("COSSET_DATABASE", "postgresql://x", {"database": "postgresql://x"}),
    ],
)
def test_variables(variable, text, expected):
    assert load(environ={variable: text}) == Settings(**expected)


def test_flags_win_over_variables_and_these_over_the_file(tmp_path):
    (tmp_path / "cosset.toml").write_text('port = 1\nregion = "eu-west-1"\nconcurrency = 5\n')
    found = load(
        {"port": 3, "dev": None, "cors_origins": ()}, {"COSSET_PORT": "2", "COSSET_CONCURRENCY": "6"}, tmp_path
    )
    assert (found.port, found.concurrency, found.region) == (3, 6, "eu-west-1")


def test_paths_in_the_file_are_meant_from_its_folder(tmp_path):
    file = tmp_path / "other.toml"
    file.write_text('data = "state"\ncors_origins = ["http://a"]\ndev = true\n')
    assert load({"config": file}) == Settings(data=tmp_path / "state", cors_origins=("http://a",), dev=True)
    assert load(environ={"COSSET_CONFIG": str(file)}).dev is True


def test_a_false_flag_beats_a_true_variable():
    assert load({"dev": False}, {"COSSET_DEV": "1"}).dev is False


@pytest.mark.parametrize(
    ("environ", "sentence", "fix"),
    [
        ({"COSSET_PROT": "1"}, "unknown environment variable: 'COSSET_PROT'", "COSSET_PORT"),
        ({"COSSET_TESTALL": "1"}, "COSSET_TESTALL", "COSSET_TEST_ALL"),
        ({"COSSET_PORT": "many"}, "not a whole number", None),
        ({"COSSET_PORT": "65536"}, "at most 65535", None),
        ({"COSSET_PORT": "-1"}, "at least 0", None),
        ({"COSSET_CONCURRENCY": "0"}, "at least 1", None),
        ({"COSSET_DEV": "perhaps"}, "neither true nor false", "say 1 or 0"),
        ({"COSSET_TIER": "jial"}, "unknown value of tier: 'jial'", "jail"),
        ({"COSSET_DEV": "1", "COSSET_HOST": "0.0.0.0"}, "loopback only", "127.0.0.1"),
    ],
)
def test_bad_variables_are_refused(environ, sentence, fix):
    with pytest.raises(Failure) as caught:
        load(environ=environ)
    assert sentence in caught.value.message
    assert caught.value.exit_code == 2
    if fix:
        assert fix in caught.value.fix


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("prot = 1", "unknown key in"),
        ("[server]\nport = 1", "unknown key in"),
        ('port = "1"', "port must be a whole number"),
        ("port = true", "port must be a whole number"),
        ("dev = 1", "dev must be true or false"),
        ("cors_origins = 'x'", "cors_origins must be a list of texts"),
        ("cors_origins = [1]", "cors_origins must be a list of texts"),
        ("data = 1", "data must be a text"),
        ("port = ", "cannot read"),
        ("a = '\udcff'", "cannot read"),
    ],
)
def test_bad_files_are_refused(tmp_path, text, sentence):
    (tmp_path / "cosset.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(Failure, match=sentence):
        load(folder=tmp_path)


def test_a_named_file_must_be_there(tmp_path):
    with pytest.raises(Failure, match="no settings file"):
        load({"config": tmp_path / "none.toml"})


def test_the_flags_of_a_command_arrive_as_settings():
    @click.command()
    @configuration.settings_options
    def command(**flags):
        click.echo(repr(configuration.load(flags, {}, Path("/nonexistent"))))

    given = ["--port", "0", "--dev", "--no-profile", "--cors-origins", "a", "--cors-origins", "b", "--data", "d"]
    result = CliRunner().invoke(command, given)
    expected = Settings(port=0, dev=True, profile=False, cors_origins=("a", "b"), data=Path("d"))
    assert result.output.strip() == repr(expected)
    assert "--log-level" in CliRunner().invoke(command, ["--log-levle", "x"]).output
