"""The command that fetches the AWS SDK for Node: what it says, what it leaves behind. No network: npm is a script."""

import sys

import pytest

from cosset.runtimes.node_sdk import PACKAGES, NodeSdkError, install_node_sdk


@pytest.fixture
def npm(tmp_path):
    def make(source):
        script = tmp_path / "npm.py"
        script.write_text("import os, pathlib, sys\nnames = [a for a in sys.argv[2:] if a[0] == '@']\n" + source)
        return [sys.executable, str(script)]

    return make


WORKING = "for name in names: pathlib.Path('node_modules', name).mkdir(parents=True)\n"


def test_it_says_what_it_fetches_and_fetches_that(npm, tmp_path):
    said = []
    installed = install_node_sdk(tmp_path / "data", said.append, npm=npm(WORKING))
    assert installed == tmp_path / "data" / "node_modules"
    assert "npm registry" in said[0]
    assert [line.strip() for line in said[1:-1]] == list(PACKAGES)
    assert {f"@aws-sdk/{path.name}" for path in (installed / "@aws-sdk").iterdir()} == set(PACKAGES)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["node_modules"]


def test_a_second_time_replaces_the_first(npm, tmp_path):
    first = install_node_sdk(tmp_path, lambda _: None, packages=["@aws-sdk/client-s3"], npm=npm(WORKING))
    install_node_sdk(tmp_path, lambda _: None, packages=["@aws-sdk/client-sqs"], npm=npm(WORKING))
    assert [path.name for path in (first / "@aws-sdk").iterdir()] == ["client-sqs"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("sys.exit('E404 no such package')", "E404 no such package"),
        ("", "installed nothing"),
    ],
)
def test_a_failure_leaves_what_was_there(npm, tmp_path, source, message):
    folder = tmp_path / "data"
    install_node_sdk(folder, lambda _: None, packages=["@aws-sdk/client-s3"], npm=npm(WORKING))
    with pytest.raises(NodeSdkError, match=message):
        install_node_sdk(folder, lambda _: None, npm=npm(source))
    assert [path.name for path in folder.iterdir()] == ["node_modules"]
    assert (folder / "node_modules" / "@aws-sdk" / "client-s3").is_dir()


def test_no_npm_at_all(tmp_path):
    with pytest.raises(NodeSdkError, match="could not be started"):
        install_node_sdk(tmp_path, lambda _: None, npm=[str(tmp_path / "none")])
