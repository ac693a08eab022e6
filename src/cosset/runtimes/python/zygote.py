"""One interpreter with AWS's runtime client loaded, from which every environment of its Python version is forked.

Run as `python -S zygote.py FD` inside the root that its children will have, so that lazy imports find the same files.
Loads what AWS's bootstrap loads and nothing more: a module loaded here would win over the function's own. With `sdk`
as the last argument it loads boto3 too, and then only functions get it that bring nothing it could win over
(environments/jail/ahead.py). Runs inside environments, Python 3.9 syntax. Read next: ../sealing/spawner.py, client.py.
"""

import functools
import gc
import importlib
import os
import socket
import sys
import time

from wrapper import exec_wrapper, program_of

RUNTIMES = "/.cosset/runtimes"
RUNTIME_DIR = "/var/runtime"
TASK = "/var/task"
OWN = ("sealing", "client", "rehearsal", "wrapper")
"""Modules of ours, whose names are a function's to take."""
SDK = {"sdk": "boto3"}
WRAPPED = {"__main__.py": "wrapped.py", "client.py": "client.py", "zygote.py": "zygote.py", "wrapper.py": "wrapper.py"}
"""What begins anew under a wrapper. Read beforehand: a function's environment does not have the files."""


def main(control_fd, preloaded=()):
    import site

    site.setquit()  # `exit()` and `quit()`, which -S leaves out and functions use
    own_path = list(sys.path[1:])
    sys.path[:] = [RUNTIMES, os.path.join(RUNTIMES, "python"), RUNTIME_DIR, *own_path]
    import client
    from awslambdaric import bootstrap
    from rehearsal import rehearse
    from sealing import cell, kernel, ports, spawner
    from sealing import filter as seccomp

    importlib.import_module("awslambdaric.lambda_literals")  # the bootstrap loads it on every start

    for name in preloaded:
        importlib.import_module(SDK[name])

    sources = {name: _read(os.path.join(RUNTIMES, "python", file)) for name, file in WRAPPED.items()}

    begin = functools.partial(_begin, own_path=own_path, bootstrap=bootstrap, client_class=client.FramedRuntimeClient)

    def run(assignment, fds):
        if assignment["environment"].get("AWS_LAMBDA_EXEC_WRAPPER"):
            _run_wrapper(assignment, fds, sources)
        _forget_zygote()
        begin(assignment, fds, TASK)

    again = functools.partial(rehearse, bootstrap, begin, runs=1, events=1)
    environments = cell.Cell(ports.OF_ALL, seccomp.program(kernel.MACHINE), run, rehearse=again)
    for name in [name for name in sys.modules if name.partition(".")[0] in OWN]:
        del sys.modules[name]
    compile("", "zygote", "exec")  # makes the types of syntax trees, which takes a millisecond
    rehearse(bootstrap, begin)
    gc.collect()
    gc.freeze()
    spawner.serve(socket.socket(fileno=control_fd), environments)


def _forget_zygote():
    """In the sealed child, which is no zygote any more."""
    _forget_secrets()
    _number_thread()
    del sys.modules["__main__"].__file__  # no file that a child of multiprocessing could load again
    sys.argv[:] = [os.path.join(RUNTIME_DIR, "bootstrap.py")]


def _begin(assignment, fds, task, own_path, bootstrap, client_class):
    """What was fixed when the zygote started is set again, then AWS's bootstrap takes over. Rehearsed in the zygote:
    what it changes of the interpreter, rehearsal.py must set back."""
    _take_environment(assignment, fds)
    time.tzset()
    sys.path[:] = search_path(own_path, task)
    if assignment["environment"].get("AWS_LAMBDA_LOG_FORMAT") or assignment["environment"].get("AWS_LAMBDA_LOG_LEVEL"):
        importlib.reload(bootstrap)  # it reads both when it is imported
    runtime_client = client_class(socket.socket(fileno=fds["transport"]))
    bootstrap.run(assignment["environment"]["_HANDLER"], runtime_client)


def _forget_secrets():
    """What a module drew when it was loaded, and does not draw again by itself after a fork."""
    process = sys.modules.get("multiprocessing.process")
    if process is not None:
        process.current_process().authkey = os.urandom(32)


def _number_thread():
    """Python does not number the main thread anew after a fork: its number would be the zygote's on the host."""
    main_thread = sys.modules["threading"].main_thread() if "threading" in sys.modules else None
    if hasattr(main_thread, "_set_native_id"):
        main_thread._set_native_id()


def _run_wrapper(assignment, fds, sources):
    """The function's own script takes this process over; it is to start the interpreter again. Never returns."""
    _take_environment(assignment, fds)
    os.environ["_COSSET_TRANSPORT_FD"] = str(fds["transport"])
    for fd in fds.values():
        os.set_inheritable(fd, True)
    exec_wrapper(os.environ["AWS_LAMBDA_EXEC_WRAPPER"], [sys.executable, "-S", program_of(sources)])


def _take_environment(assignment, fds):
    os.environ.clear()
    os.environ.update(assignment["environment"])
    os.environ["_LAMBDA_TELEMETRY_LOG_FD"] = str(fds["telemetry"])


def _read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def search_path(own_path, task=TASK):
    """AWS's order: the function, its layers, then the runtime. The interpreter's own site-packages are not in it."""
    site_packages = "/opt/python/lib/python%d.%d/site-packages" % sys.version_info[:2]
    given = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    return [task, site_packages, "/opt/python", *given, *own_path]


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
