"""Starts AWS's Python bootstrap over the HTTP Runtime API, for tiers that offer no framed transport.

Runs inside environments: Python 3.9, imports nothing of Cosset. AWS's client is a C extension built for one version of
Python; the module `runtime_client` beside this file takes its place. Read next: runtime_client.py.
"""

import os
import sys

runtime_dir = os.environ["LAMBDA_RUNTIME_DIR"]
task_root = os.environ["LAMBDA_TASK_ROOT"]
if os.environ.get("AWS_LAMBDA_EXEC_WRAPPER") and not os.environ.pop("_COSSET_WRAPPED", ""):
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "python"))
    from wrapper import exec_wrapper

    os.environ["_COSSET_WRAPPED"] = "1"
    exec_wrapper(os.environ["AWS_LAMBDA_EXEC_WRAPPER"], [sys.executable, "-B", os.path.abspath(__file__)])

layers = os.environ.pop("_COSSET_LAYERS", "/opt") + "/python"

# sys.path[0] is this folder, where `runtime_client` is. The function may have set PYTHONPATH to anything.
sys.path.insert(1, runtime_dir)

import awslambdaric.__main__  # noqa: E402
import awslambdaric.bootstrap  # noqa: E402
import awslambdaric.lambda_runtime_client  # noqa: E402

# From here on what the function brings wins over everything that the runtime brings, as on AWS.
series = "python%d.%d" % sys.version_info[:2]
brought = [task_root, layers + "/lib/" + series + "/site-packages", layers]
sys.path[:2] = brought
sys.path[:] = [path for path in sys.path if path != runtime_dir] + [runtime_dir]

awslambdaric.__main__.main(["", os.environ["_HANDLER"]])
