"""With COSSET_TEST_ALL=1 a skip is a failure that names what is missing (tests/conftest.py)."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[2]
INSIDE = """
import pytest

def test_passes(): pass

@pytest.mark.skip(reason="no wool here")
def test_marked(): pass

def test_skips_itself(): pytest.skip("no shears here")

@pytest.fixture
def missing(): pytest.skip("no ram here")

def test_by_fixture(missing): pass

@pytest.mark.xfail(strict=True)
def test_expected(): assert False
"""
AT_COLLECTION = 'import pytest\npytest.importorskip("a_module_that_is_not_there")\n'


def run(folder: Path, text: str, **variables: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_inside.py").write_text(text)
    kept = {name: value for name, value in os.environ.items() if name != "COSSET_TEST_ALL"}
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-ra",
            "-p",
            "conftest",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            folder,
            folder,
        ],
        env=kept | {"PYTHONPATH": str(TESTS)} | variables,
        cwd=folder,
        capture_output=True,
        text=True,
    )


def test_without_it_a_skip_is_a_skip(tmp_path):
    done = run(tmp_path, INSIDE)
    assert done.returncode == 0, done.stdout
    assert "1 passed, 3 skipped, 1 xfailed" in done.stdout


def test_with_it_each_skip_fails_and_names_what_is_missing(tmp_path):
    done = run(tmp_path, INSIDE, COSSET_TEST_ALL="1")
    assert done.returncode == 1
    # What skips at setup fails there, which pytest calls an error.
    assert "1 failed, 1 passed, 1 xfailed, 2 errors" in done.stdout
    for what in ("no wool here", "no shears here", "no ram here"):
        assert f"COSSET_TEST_ALL=1 allows no skip, and this one was skipped: Skipped: {what}" in done.stdout


def test_with_it_a_module_that_skips_itself_is_an_error(tmp_path):
    done = run(tmp_path, AT_COLLECTION, COSSET_TEST_ALL="1")
    assert done.returncode == 2
    assert "allows no skip" in done.stdout
    assert "a_module_that_is_not_there" in done.stdout
