"""Files of objects whose making is cut short."""

import asyncio
from pathlib import Path

import pytest

from cosset.services.s3.checksums import Digests
from cosset.services.s3.object_files import ObjectFiles, Stored
from cosset.services.s3.object_writes import ObjectWrites
from support.stores import OpenStore


@pytest.mark.parametrize(("cut", "stays"), [(ValueError, False), (asyncio.CancelledError, True)])
def test_what_may_be_named_is_not_removed(
    open_store: OpenStore, tmp_path: Path, cut: type[BaseException], stays: bool
) -> None:
    """A commit goes on when who waits for it is cancelled: only the sweep knows whether files are named by then."""

    async def body() -> Stored:
        async with open_store() as store:
            files = ObjectFiles(tmp_path / "objects")
            writes = ObjectWrites(store, files, None, None)  # type: ignore[arg-type]
            stored = await files.write(b"x" * 200_000, Digests("CRC32"))
            with pytest.raises(cut):
                async with writes.kept(stored):
                    raise cut
            return stored

    stored = asyncio.run(body())
    there = {path.name for path in (tmp_path / "objects").rglob("*") if path.is_file()}
    assert (set(stored.names) <= there) == stays
