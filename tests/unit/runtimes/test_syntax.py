"""What runs inside environments runs on interpreters older than Cosset's own, and knows nothing of Cosset."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from cosset import runtimes

FOLDER = Path(runtimes.__file__).parent
INSIDE = sorted(path for name in ("sealing", "python", "python_http") for path in (FOLDER / name).glob("*.py"))


@pytest.mark.parametrize("path", INSIDE, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_is_python_3_9_and_imports_nothing_of_cosset(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 9))
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not [name for name in names if name.split(".")[0] in ("cosset", "boto3", "botocore")]


def test_the_zygote_loads_only_what_awss_bootstrap_loads_and_what_seals() -> None:
    """Any other module would win over the function's own of the same name."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import awslambdaric.lambda_literals, awslambdaric.bootstrap\n"
        "before = set(sys.modules)\n"
        "import sealing.spawner, sealing.filter\n"
        "print(' '.join(sorted({name.partition('.')[0] for name in set(sys.modules) - before})))"
    )
    ran = subprocess.run([sys.executable, "-c", script, str(FOLDER)], capture_output=True, text=True, check=True)
    allowed = "sealing __future__ _ctypes ctypes _struct struct array _array _socket socket _selectors selectors select"
    allowed += " fcntl resource signal errno atexit math"
    assert set(ran.stdout.split()) <= set(allowed.split())
