"""examples/orders, as a reader runs it: the scripts themselves, against a live server, and what the README shows."""

import subprocess
import sys
from pathlib import Path

from cosset.testing.server import CossetServer

EXAMPLE = Path(__file__).parents[2] / "examples" / "orders"
LIMIT_S = 400


def run(server: CossetServer, script: str) -> str:
    command = [sys.executable, str(EXAMPLE / script)]
    done = subprocess.run(command, env=server.environ, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 0, f"{script}: {done.stderr}"
    return done.stdout


def printed_in_readme() -> list[str]:
    """The blocks of the README that no language is named for, but the drawing."""
    blocks = (EXAMPLE / "README.md").read_text().split("```")[1::2]
    return [block.removeprefix("\n") for block in blocks if block.startswith("\n")][1:]


def test_the_example_prints_what_its_readme_shows(server: CossetServer) -> None:
    after_orders, after_repair = printed_in_readme()
    run(server, "deploy.py")
    run(server, "deploy.py")  # every call in it may be repeated
    assert run(server, "order.py") == after_orders
    assert run(server, "repair.py") == after_repair
