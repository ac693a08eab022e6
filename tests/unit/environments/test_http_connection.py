"""What one connection from inside may cost: hostile code writes to it and need not read."""

import asyncio

from cosset.environments.http_connection import Answered, HttpConnection, Room

ASKS = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


class Wire(asyncio.Transport):
    """Keeps what is written and what is asked of it."""

    def __init__(self):
        super().__init__()
        self.written = b""
        self.is_read = True
        self.is_aborted = False

    def write(self, data):
        self.written += data

    def pause_reading(self):
        self.is_read = False

    def resume_reading(self):
        self.is_read = True

    def is_closing(self):
        return self.is_aborted

    def abort(self):
        self.is_aborted = True


class Answering:
    def connected(self, connection):
        return True

    def disconnected(self, connection):
        pass

    def begins(self, connection, request):
        return None

    def handle(self, connection, request):
        return Answered(200, b"%d" % len(request.body))


def connected(room=None):
    wire = Wire()
    connection = HttpConnection(Answering(), max_body_bytes=1000, room=room)
    connection.connection_made(wire)
    return connection, wire


def post(length, sent):
    return b"POST /x HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % length + b"x" * sent


def test_a_flood_of_questions_in_one_read_is_cut_off():
    connection, wire = connected()
    for _ in range(3):
        connection.data_received(ASKS * 16)
    assert (wire.is_aborted, wire.written.count(b"HTTP/1.1 200")) == (False, 48)
    connection.data_received(ASKS * 10_000)
    assert (wire.is_aborted, wire.written.count(b"HTTP/1.1 200")) == (True, 64)


def test_who_does_not_read_is_not_read_from():
    connection, wire = connected()
    connection.pause_writing()
    assert not wire.is_read
    connection.pause()
    connection.resume_writing()
    assert not wire.is_read
    connection.pause_writing()
    connection.resume()
    assert not wire.is_read
    connection.resume_writing()
    assert wire.is_read


def test_a_flood_of_empty_headers_is_cut_off():
    connection, wire = connected()
    connection.data_received(b"GET /x HTTP/1.1\r\n" + b"a:\r\n" * 256 + b"\r\n")
    assert not wire.is_aborted
    connection.data_received(b"GET /x HTTP/1.1\r\n" + b"a:\r\n" * 300)
    assert wire.is_aborted


def test_bodies_are_held_within_what_there_is_for_all_connections_together():
    room = Room(1500)
    (first, _), (second, refused), (third, wire) = connected(room), connected(room), connected(room)
    first.data_received(post(1000, 999))
    second.data_received(post(1000, 600))
    assert refused.is_aborted
    second.connection_lost(None)
    third.data_received(post(500, 500))
    assert wire.written.endswith(b"500")
    third.data_received(post(2000, 2000))  # too large: thrown away as it comes
    assert wire.written.endswith(b"0")
    first.data_received(b"x")
    assert room.left_bytes == 1500
