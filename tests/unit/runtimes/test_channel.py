"""Messages between the processes of a node: bounded, with descriptors, and none of them lost."""

import os
import resource
import socket

import pytest

from cosset.runtimes.sealing import channel


def test_carries_a_message_and_descriptors() -> None:
    ours, theirs = channel.pair()
    read, write = os.pipe()
    with ours, theirs:
        channel.send(ours, {"name": "é"}, [write])
        os.close(write)
        received = channel.receive(theirs)
        assert received is not None
        message, (fd,) = received
        assert message == {"name": "é"}
        assert not os.get_inheritable(fd)
        os.write(fd, b"x")
        os.close(fd)
        assert os.read(read, 10) == b"x"
        os.close(read)


def test_knows_when_the_other_side_has_gone() -> None:
    ours, theirs = channel.pair()
    theirs.close()
    with ours:
        assert channel.receive(ours) is None


@pytest.mark.parametrize("data", [b"[]", b"nonsense", b"5", b"\xff", b"[" * 100_000])
def test_refuses_what_is_no_object(data: bytes) -> None:
    ours, theirs = channel.pair()
    with ours, theirs:
        ours.send(data)
        with pytest.raises(channel.ChannelError):
            channel.receive(theirs)


def test_refuses_what_is_too_long_on_both_sides() -> None:
    ours, theirs = channel.pair()
    with ours, theirs:
        with pytest.raises(channel.ChannelError):
            channel.send(ours, {"x": "y" * channel.MAX_MESSAGE_BYTES})
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 * channel.MAX_MESSAGE_BYTES)
        ours.send(b'{"x": "' + b"y" * channel.MAX_MESSAGE_BYTES + b'"}')
        with pytest.raises(channel.ChannelError, match="too long"):
            channel.receive(theirs)


def test_a_process_that_may_open_no_more_still_hears_the_message() -> None:
    ours, theirs = channel.pair()
    with ours, theirs:
        channel.send(ours, {"id": "x"}, [0, 0])
        channel.send(ours, {"id": "y"}, [0])
        allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, allowed[1]))
        try:
            with pytest.raises(channel.DescriptorsLostError) as lost:
                channel.receive(theirs)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, allowed)
        assert lost.value.message == {"id": "x"}
        received = channel.receive(theirs)
        assert received is not None
        assert received[0] == {"id": "y"}
        os.close(received[1][0])
