"""Runs Python as a user without privileges, from a test that runs as root: `python unprivileged.py UID ARGUMENT...`.

The interpreter, this project and its dependencies may lie where that user could not go; in a mount namespace of its own
it can. Nothing of the host changes.
"""

import os
import site
import sys
from pathlib import Path

from cosset.runtimes.sealing import filesystem

PROJECT = Path(__file__).parents[2]


def main() -> None:
    uid = int(sys.argv[1])
    wanted = [sys.prefix, sys.base_prefix, str(PROJECT), *site.getsitepackages()]
    filesystem.unveil([path for path in wanted if os.path.exists(path)])
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    os.execve(sys.executable, [sys.executable, *sys.argv[2:]], environment)


if __name__ == "__main__":
    main()
