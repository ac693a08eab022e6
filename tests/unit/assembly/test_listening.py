"""The door's own socket: what its connections inherit."""

import socket
import sys

import pytest

from cosset.assembly.listening import bind
from cosset.settings import Settings


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a socket choose")
def test_a_client_on_this_machine_is_sent_to_without_pacing() -> None:
    with bind(Settings(port=0)) as listening, socket.create_connection(listening.getsockname()) as client:
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0") == b"reno"
        assert client.recv(1) == b""


def test_a_network_keeps_what_its_owner_chose() -> None:
    with socket.create_server(("0.0.0.0", 0)) as plain, bind(Settings(port=0, host="0.0.0.0", dev=False)) as listening:
        chosen = [each.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16) for each in (plain, listening)]
    assert chosen[0] == chosen[1]
