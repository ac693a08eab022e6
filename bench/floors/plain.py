"""The floor of a cold start: a runtime as a plain process, until its first response is there. Nothing isolates it."""

import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

EVENT = b'{"hello": "world"}'
_RUNTIMES = Path(__file__).resolve().parents[2] / "src/cosset/runtimes"


class PlainRuntime:
    """Processes of one function, one after another or many at once. `source` is the function's only file.

    Each gets one event; a second is never given.
    """

    def __init__(self, folder: Path, source: str, *, command: list[str] | None = None, name: str = "index.py") -> None:
        (folder / name).write_text(source)
        self._folder = folder
        self._command = command or [sys.executable, "-m", "awslambdaric", "index.handler"]
        self._lock = threading.Condition()
        self._answered = 0
        self._processes: list[subprocess.Popen[bytes]] = []
        self._limit = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.handle_error = lambda *arguments: None  # type: ignore[method-assign]
        self._server.request_queue_size = 256
        self._server.socket.listen(256)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @classmethod
    def node(cls, folder: Path, source: str) -> "PlainRuntime":
        """The same bootstrap that Cosset's environments run."""
        return cls(folder, source, command=["node", str(_RUNTIMES / "node/bootstrap.mjs")], name="index.mjs")

    def run(self, count: int = 1) -> None:
        """Starts as many at once and returns when all have answered."""
        self.tidy()
        with self._lock:
            self._limit = self._answered + count
        environ = os.environ | {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_address[1]}",
            "PYTHONPATH": str(self._folder),
            "LAMBDA_TASK_ROOT": str(self._folder),
            "_HANDLER": "index.handler",
        }
        for _ in range(count):
            self._processes.append(
                subprocess.Popen(
                    self._command,
                    env=environ,
                    cwd=self._folder,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
        with self._lock:
            if not self._lock.wait_for(lambda: self._answered >= self._limit, 120):
                raise RuntimeError("the plain runtime did not answer")

    def tidy(self) -> None:
        """Ends what is left; to be called outside of what is timed."""
        for process in self._processes:
            process.kill()
            process.wait()
        self._processes.clear()

    def close(self) -> None:
        self.tidy()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        plain = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            has_given = False

            def do_GET(self) -> None:
                if self.has_given:
                    self.close_connection = True  # it asked for a second event: there is none
                    return
                self.has_given = True
                self.send_response(200)
                for name, value in (
                    ("Lambda-Runtime-Aws-Request-Id", "r"),
                    ("Lambda-Runtime-Deadline-Ms", str(int(time.time() * 1000) + 3000)),
                    ("Lambda-Runtime-Invoked-Function-Arn", "arn"),
                    ("Content-Type", "application/json"),
                    ("Content-Length", str(len(EVENT))),
                ):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(EVENT)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()
                with plain._lock:
                    plain._answered += 1
                    plain._lock.notify_all()

            def log_message(self, *arguments: object) -> None: ...

        return Handler
