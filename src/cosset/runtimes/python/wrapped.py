"""AWS's bootstrap in an interpreter that a function's wrapper script has started: what zygote.py forks, begun anew.

Run as the __main__ of an archive, with the descriptors that the zygote's child left open for it. Runs inside
environments, Python 3.9 syntax. Read next: wrapper.py, zygote.py.
"""

import os
import site
import socket
import sys

import zygote


def main():
    site.setquit()
    transport = int(os.environ.pop("_COSSET_TRANSPORT_FD"))
    for fd in (transport, int(os.environ["_LAMBDA_TELEMETRY_LOG_FD"])):
        os.set_inheritable(fd, False)
    own_path = list(sys.path[1:])
    sys.path.insert(1, zygote.RUNTIME_DIR)
    import client
    from awslambdaric import bootstrap

    runtime_client = client.FramedRuntimeClient(socket.socket(fileno=transport))
    for name in ("client", "zygote", "wrapper"):
        del sys.modules[name]
    del sys.modules["__main__"].__file__
    sys.argv[:] = [os.path.join(zygote.RUNTIME_DIR, "bootstrap.py")]
    sys.path[:] = zygote.search_path(own_path)
    bootstrap.run(os.environ["_HANDLER"], runtime_client)


main()
