"""Files are opened without a thread where the kernel knows them, and only then."""

import os
import sys
from pathlib import Path

import pytest

from cosset.store.cached_open import open_cached


@pytest.mark.skipif(sys.platform != "linux", reason="a call of Linux")
def test_what_was_just_written_is_known(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"here")
    descriptor = open_cached(path)
    if descriptor is None:
        pytest.skip("missing: Linux 5.12, or a file system that answers from memory")
    try:
        assert os.read(descriptor, 10) == b"here"
        assert not os.get_inheritable(descriptor)
        with pytest.raises(OSError, match="descriptor"):
            os.write(descriptor, b"no")
    finally:
        os.close(descriptor)


def test_of_what_is_not_there_nothing_is_known(tmp_path: Path) -> None:
    assert open_cached(tmp_path / "none") is None
