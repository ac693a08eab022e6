"""What this machine can give to tests."""

import os
from functools import cache

from cosset.testing import best_tier


@cache
def tier() -> str:
    """The strongest isolation tier here: `jail`, else `process`. In CI (COSSET_TEST_ALL=1) always `jail`."""
    return "jail" if os.environ.get("COSSET_TEST_ALL") == "1" else best_tier()
