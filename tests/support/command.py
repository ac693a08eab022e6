"""The command `cosset`, as a user of a test's server types it."""

import subprocess
import sys

from cosset.testing.server import CossetServer


def cosset(server: CossetServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cosset.cli", *arguments, "--data", str(server.data)],
        env=server.environ,
        cwd=server.root,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
