"""A small HTTP server for subscriptions: keeps what is posted to it, and answers with the statuses it was given."""

import queue
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType


@dataclass(frozen=True)
class Posted:
    path: str
    headers: Mapping[str, str]
    body: bytes


class HttpEndpoint:
    """`statuses` one after another, then 200."""

    def __init__(self, statuses: Sequence[int] = ()) -> None:
        self._statuses = list(statuses)
        self._posted: queue.Queue[Posted] = queue.Queue()
        self.count = 0
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                self.send_response(endpoint._take(self, body))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/sns"

    def next(self, timeout_s: float = 60) -> Posted:
        return self._posted.get(timeout=timeout_s)

    def _take(self, handler: BaseHTTPRequestHandler, body: bytes) -> int:
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.count += 1
        self._posted.put(Posted(handler.path, headers, body))
        return self._statuses.pop(0) if self._statuses else 200

    def __enter__(self) -> "HttpEndpoint":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
