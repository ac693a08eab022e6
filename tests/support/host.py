"""What this machine can give to tests."""

import os
import sys


def tier() -> str:
    """The strongest isolation tier here: `jail`, else `process`. In CI (COSSET_TEST_ALL=1) always `jail`."""
    if os.environ.get("COSSET_TEST_ALL") == "1":
        return "jail"
    return "jail" if sys.platform == "linux" and os.geteuid() == 0 else "process"
