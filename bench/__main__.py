"""`make bench`: every measurement in turn, each in a process of its own. Names pick some: `python -m bench node store`.

Each measures its own floor in the same run: only the ratios travel between machines.
"""

import subprocess
import sys
from pathlib import Path


def main(wanted: list[str]) -> int:
    names = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("__"))
    names.remove("soak")  # takes half an hour: `make soak`
    names.remove("s3_bodies")  # part of s3: `python -m bench.s3_bodies`
    names.remove("s3_clients")  # and many minutes: `make bench-s3`
    if unknown := set(wanted) - set(names):
        sys.exit(f"there is no bench {', '.join(sorted(unknown))}; there are: {', '.join(names)}")
    worst = 0
    for name in wanted or names:
        print(f"== {name}", flush=True)
        worst = max(worst, abs(subprocess.run([sys.executable, "-m", f"bench.{name}"]).returncode))
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
