"""AWS_LAMBDA_EXEC_WRAPPER: a script of the function's that starts its runtime, as AWS's managed runtimes run it.

Statuses and words are those of AWS's bootstrap. Runs inside environments, Python 3.9 syntax, imports nothing of Cosset.
"""

import os

NOT_THERE = 127
NOT_EXECUTABLE = 126


def exec_wrapper(wrapper, command):
    """Becomes the wrapper, whose arguments are the command that it is to run. Never returns.

    Recorded: TestLambdaErrors::test_lambda_runtime_wrapper_not_found (exit status 127).
    """
    if not os.path.isfile(wrapper):
        _refuse(wrapper, "does not exist", NOT_THERE)
    if not os.access(wrapper, os.X_OK):
        _refuse(wrapper, "is not an executable", NOT_EXECUTABLE)
    try:
        os.execv(wrapper, [wrapper, *command])
    except OSError as error:
        _refuse(wrapper, error.strerror, NOT_EXECUTABLE)


def program_of(sources):
    """A path that Python runs as a program: an archive of these modules, in memory, open for whoever comes after."""
    import zipfile

    fd = os.memfd_create("bootstrap", 0)
    with os.fdopen(os.dup(fd), "wb") as file, zipfile.ZipFile(file, "w") as archive:
        for name, source in sources.items():
            archive.writestr(name, source)
    return "/proc/self/fd/%d" % fd


def _refuse(wrapper, reason, status):
    os.write(2, ("%s: %s\n" % (wrapper, reason)).encode())
    os._exit(status)
