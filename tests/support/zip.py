"""Deployment packages made in memory."""

import io
import zipfile
from collections.abc import Mapping


def make_zip(files: Mapping[str, str | bytes], *, mode: int = 0o644) -> bytes:
    """A zip with these files, each with the permission bits `mode`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, date_time=(2026, 1, 1, 0, 0, 0))
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return buffer.getvalue()
