"""External extensions of one environment, as its init starts them: the files in /opt/extensions, each a process.

Runs inside environments. They have the function's rights and namespaces, what they print goes to a pipe of their own,
and variables that are the runtime's alone are kept from them. Read next: supervision.py.
"""

from __future__ import annotations

import os
import signal

from . import kernel

MYPY = False
if MYPY:
    from collections.abc import Mapping

FOLDER = "/opt/extensions"
# https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html#runtimes-extensions-registration-api-e
_OF_THE_RUNTIME = (
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_XRAY_CONTEXT_MISSING",
    "AWS_XRAY_DAEMON_ADDRESS",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "_AWS_XRAY_DAEMON_ADDRESS",
    "_AWS_XRAY_DAEMON_PORT",
    "_HANDLER",
)


def without_runtime_variables(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name not in _OF_THE_RUNTIME}


def start(name: str, variables: Mapping[str, str], output: int) -> int:
    """The pid of a new extension. Raises: OSError, when it cannot be executed."""
    path = "%s/%s" % (FOLDER, name)
    told, tell = os.pipe()  # both close on exec: an end without a word is a good start
    pid = os.fork()
    if pid == 0:
        _become(path, variables, output, tell)
    os.close(tell)
    with os.fdopen(told, "rb") as file:
        code = file.read(4)
    if code:
        os.waitpid(pid, 0)
        number = int.from_bytes(code, "big")
        raise OSError(number, os.strerror(number), path)
    return pid


def _become(path: str, variables: Mapping[str, str], output: int, tell: int) -> None:
    """In the forked child. Never returns."""
    try:
        os.setsid()
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
        kernel.die_with_parent(signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.dup2(tell, 3, False)
        tell = 3
        kernel.close_fds_from(4)
        os.chdir("/")
        os.execve(path, [path], dict(variables))
    except OSError as error:
        os.write(tell, (error.errno or 1).to_bytes(4, "big"))
    finally:
        os._exit(126)
