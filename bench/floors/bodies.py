"""The floor of large bodies: a process that does with them what cannot be left out, and nothing else.

GET sends a file to the socket by sendfile. PUT receives into memory that is used again, writes a new file as it comes,
syncs it and its folder, and counts its MD5 beside that; an ETag is one. It looks at no header but the length, signs and
commits nothing. Two threads for each connection, on two processors, and a session of its own, as a server has: Linux
gives each session its share of the processors.
"""

import hashlib
import multiprocessing
import os
import queue
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from cosset.services.s3.processors import Separation, allowed_processors
from cosset.store.disk import sync_folder
from cosset.store.write_back import start_writing_back

PIECE_BYTES = 512 * 1024
PIECES = 16


class BodyFloor:
    """As a context manager: `host` answers while it is open. `paced` leaves the system's way of sending as it is."""

    def __init__(self, file: Path, *, paced: bool = False) -> None:
        self._file = file
        self._listener = socket.create_server(("127.0.0.1", 0))
        if not paced:
            self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._process = multiprocessing.get_context("fork").Process(target=self._serve, daemon=True)
        self._process.start()
        self.pid = self._process.pid or 0
        self._listener.close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.join()

    def _serve(self) -> None:
        os.setsid()
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        memory = bytearray(PIECE_BYTES * PIECES)
        counter = _Counter(PIECES - 1)
        pieces = [memoryview(memory)[start : start + PIECE_BYTES] for start in range(0, len(memory), PIECE_BYTES)]
        while head := connection.recv(65536):
            while b"\r\n\r\n" not in head:
                head += connection.recv(65536)
            if head.startswith(b"GET"):
                self._send(connection, head)
            else:
                self._receive(connection, head, pieces, counter)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                self._path().unlink()  # which takes as long as writing it

    def _send(self, connection: socket.socket, head: bytes) -> None:
        start, size = 0, self._file.stat().st_size
        if b"range: bytes=" in head:
            first, last = head.partition(b"range: bytes=")[2].split(b"\r\n")[0].split(b"-")
            start, size = int(first), int(last) + 1
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (size - start))
        with self._file.open("rb") as file:
            while start < size:
                start += os.sendfile(connection.fileno(), file.fileno(), start, size - start)

    def _path(self) -> Path:
        return self._file.parent / f"received-{threading.get_ident()}"

    def _receive(self, connection: socket.socket, head: bytes, pieces: list[memoryview], counter: "_Counter") -> None:
        left = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
        path = self._path()
        with path.open("xb", buffering=0) as file:
            turn, written = 0, 0
            begun = head.partition(b"\r\n\r\n")[2]
            while left:
                counter.free.acquire()
                piece = pieces[turn % len(pieces)]
                size = len(begun)
                piece[:size], begun = begun, b""
                size += connection.recv_into(piece[size : min(left, PIECE_BYTES)], 0, socket.MSG_WAITALL)
                counter.waiting.put(piece[:size])
                counter.separation.keep_off()
                file.write(piece[:size])
                start_writing_back(file.fileno(), written, size)
                turn, written, left = turn + 1, written + size, left - size
            counter.waiting.put(None)
            naming = threading.Thread(target=sync_folder, args=(path.parent,))
            naming.start()
            os.fsync(file.fileno())
            naming.join()
        counter.counted.get()


class _Counter:
    """A thread that counts the MD5 of one body after another."""

    def __init__(self, most: int) -> None:
        self.waiting: queue.SimpleQueue[memoryview | None] = queue.SimpleQueue()
        self.counted: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.free = threading.Semaphore(most)
        self.separation = Separation(allowed_processors())
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        while True:
            digest = hashlib.md5(usedforsecurity=False)
            while (piece := self.waiting.get()) is not None:
                self.separation.note()
                digest.update(piece)
                self.free.release()
            self.counted.put(digest.hexdigest())
