"""The four functions of AWS's C extension `runtime_client`, in plain Python, over one kept-alive socket.

Runs inside environments: Python 3.9, imports nothing of Cosset. No http.client: importing it costs a cold start 10 ms.
"""

import contextlib
import os
import socket

_VERSION = "/2018-06-01/runtime/"
_NO_BODY = b""


class _Client:
    """One connection to the Runtime API; made anew after a fork or when the other end has closed it."""

    def __init__(self):
        self.user_agent = ""
        self._socket = None
        self._reader = None
        self._owner_pid = 0

    def request(self, method, path, body=_NO_BODY, headers=()):
        """(status, headers, body)"""
        host = os.environ["AWS_LAMBDA_RUNTIME_API"]
        self._connect(host)
        lines = ["%s %s%s HTTP/1.1" % (method, _VERSION, path), "Host: " + host, "User-Agent: " + self.user_agent]
        lines += ["%s: %s" % (name, value) for name, value in headers]
        if method == "POST":
            lines.append("Content-Length: %d" % len(body))
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        try:
            self._socket.sendall(head + body)
            return self._read()
        except OSError:
            self._drop()
            raise

    def _connect(self, host):
        if self._socket is not None and self._owner_pid == os.getpid():
            return
        name, _, port = host.rpartition(":")
        self._socket = socket.create_connection((name, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = self._socket.makefile("rb")
        self._owner_pid = os.getpid()

    def _drop(self):
        for part in (self._reader, self._socket):
            with contextlib.suppress(OSError):  # the function may have closed the descriptor itself
                part.close()
        self._socket = self._reader = None

    def _read(self):
        status_line = self._reader.readline()
        if not status_line:
            raise ConnectionError("the Runtime API closed the connection")
        headers = {}
        while True:
            line = self._reader.readline().rstrip(b"\r\n")
            if not line:
                break
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.title()] = value.strip()
        body = self._reader.read(int(headers.get("Content-Length", "0")))
        if headers.get("Connection", "").lower() == "close":
            self._drop()
        return int(status_line.split()[1]), headers, body


_client = _Client()


def initialize_client(user_agent):
    _client.user_agent = user_agent


def next():
    """Waits for an event: (body, headers)."""
    status, headers, body = _client.request("GET", "invocation/next")
    if status != 200:
        raise RuntimeError("Failed to get next. Response code: %d" % status)
    headers["Lambda-Runtime-Deadline-Ms"] = int(headers["Lambda-Runtime-Deadline-Ms"])  # as the extension gives it
    return body, headers


def post_invocation_result(invoke_id, result, content_type, invocation_id=None):
    _post("invocation/%s/response" % invoke_id, result, [("Content-Type", content_type)], "response")


def post_error(invoke_id, error_json, xray_cause, invocation_id=None):
    headers = [
        ("Content-Type", "application/json"),
        ("Lambda-Runtime-Function-XRay-Error-Cause", _one_line(xray_cause)),
    ]
    _post("invocation/%s/error" % invoke_id, error_json.encode("utf-8"), headers, "error")


def _post(path, body, headers, what):
    status, _, _ = _client.request("POST", path, body, headers)
    if status != 202:
        raise RuntimeError("Failed to post invocation %s. Http response code: %d" % (what, status))


def _one_line(text):
    return text.replace("\r", " ").replace("\n", " ")
