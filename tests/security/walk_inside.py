"""What of the file system can be opened, seen from inside: a walk over everything but what it is told to leave
out. Runs in the jail and under bubblewrap; read by test_jail_beside_bubblewrap.py."""

import os
import socket
import stat

_MOST = 20_000


def handler(event, context):
    readable, writable = [], []
    for place, folders, files in os.walk("/"):
        folders[:] = [name for name in folders if os.path.join(place, name) not in event["left_out"]]
        folders[:] = [name for name in folders if not (place == "/proc" and name.isdigit())]
        if _can_create(place):
            writable.append(place)
        for name in files:
            path = os.path.join(place, name)
            if _opens(path, os.O_RDONLY):
                readable.append(path)
            if _opens(path, os.O_WRONLY):
                writable.append(path)
        assert len(readable) < _MOST, place
    return {
        "readable": readable,
        "writable": writable,
        "capabilities": [line.split()[1] for line in open("/proc/self/status") if line.startswith("Cap")],
        "network": sorted(name for _, name in socket.if_nameindex()),
        "namespaces": {name: os.readlink("/proc/self/ns/" + name) for name in os.listdir("/proc/self/ns")},
        "hostname": socket.gethostname(),
    }


def _opens(path, flags):
    try:
        if stat.S_ISFIFO(os.stat(path).st_mode):
            return False
        os.close(os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _can_create(folder):
    path = os.path.join(folder, ".probe")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        os.unlink(path)
    except OSError:
        return False
    return True
