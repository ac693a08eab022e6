"""Bad input of queues and topics: which test holds each item, and here those of HTTP endpoints that mean no good.

| item | held by |
|---|---|
| messages, illegal characters and sizes | api/sqs/test_refusals: messages_that_are_refused, characters_that_xml |
| message attributes | api/sqs/test_refusals: message_attributes_that_are_refused; services/test_sns_rules: attributes |
| wrong MD5 expectations | api/sqs/test_messages: stock botocore holds every digest against its own |
| receipt handles: stale | unit/services/sqs/test_standard_queues: an_old_handle_of_a_standard_queue |
| receipt handles: foreign, forged, nonsense | unit/services/sqs/test_standard_queues: handles_that_are_forged |
| queue URLs of other accounts | security/test_queues: queues_of_other_accounts_are_neither_listed_nor_told_apart |
| queue URLs of other hosts | api/sqs/test_messages: a_queue_is_found_by_every_form_of_its_url |
| filter policies that AWS refuses | api/test_sns: a_filter_policy_is_json, a_filter_policy_has_limits |
| redrive policies that AWS refuses | api/sqs/test_refusals: redrive_policies_that_are_refused |
| confirmation tokens: forged, expired, of another topic | services/test_sns_confirmation |
| an endpoint that never answers, answers slowly, too much, nothing | here |
| an endpoint that answers 500 | here; api/test_sns: an_endpoint_that_fails_is_asked_again |
| an endpoint that redirects to loopback or a private address | here: no redirection is followed |
| an endpoint at a private address | services/test_sns_rules: nothing_private_can_be_reached; api/test_sns |
"""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from cosset.services.sns.http_poster import Poster
from cosset.services.sns.ports import RefusedByTargetError
from cosset.wire.errors import ServiceError

TIMEOUT_S = 1.0
Answer = Callable[[socket.socket], None]


@contextmanager
def stranger(answer: Answer) -> Iterator[str]:
    """A server that takes one call, and the URL of it."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def serve() -> None:
            try:
                calling, _ = listening.accept()
                with closing(calling):
                    calling.recv(65536)
                    answer(calling)
            except OSError:
                pass  # the other side had enough

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    thread.join(60)
    assert not thread.is_alive()


def post(url: str, timeout_s: float = 30) -> None:
    async def scenario() -> None:
        poster = Poster([], anywhere=True, timeout_s=timeout_s)
        try:
            await poster.post(url, {}, b"{}")
        finally:
            poster.close()

    asyncio.run(scenario())


def says(text: str) -> Answer:
    return lambda calling: calling.sendall(text.encode())


def drips(calling: socket.socket) -> None:
    """A byte at a time, for as long as it is let: each of them within every timeout of a socket."""
    for byte in b"HTTP/1.1 200 OK\r\n" + b"x-slow: " + b"y" * 60_000:
        calling.sendall(bytes([byte]))
        time.sleep(TIMEOUT_S / 20)


def waits(calling: socket.socket) -> None:
    calling.recv(1)


def floods(calling: socket.socket) -> None:
    calling.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n")
    while True:
        calling.sendall(b"x" * 65536)


def test_a_good_answer_is_enough_however_much_follows_it() -> None:
    with stranger(floods) as url:
        post(url)


@pytest.mark.parametrize("answer", [waits, drips])
def test_who_never_comes_to_an_end_is_left(answer: Answer) -> None:
    with stranger(answer) as url, pytest.raises(ServiceError) as caught:
        post(url, TIMEOUT_S)
    assert (caught.value.code, caught.value.status) == ("EndpointFailure", 500)


@pytest.mark.parametrize(
    "text",
    [
        "HTTP/1.1 500 no\r\n\r\n",
        "HTTP/1.1 429 later\r\n\r\n",
        "HTTP/1.1 302 there\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 307 there\r\nlocation: http://169.254.169.254/latest/\r\ncontent-length: 0\r\n\r\n",
        "",
        "no HTTP at all\r\n\r\n",
        "HTTP/1.1 200 OK\r\n" + "x: " + "y" * 100_000,
        "HTTP/1.1 200 OK\r\n" + "x: y\r\n" * 1_000,
    ],
)
def test_what_is_no_success_is_tried_again_later(text: str) -> None:
    with stranger(says(text)) as url, pytest.raises(ServiceError) as caught:
        post(url)
    assert caught.value.code == "EndpointFailure"


def test_a_refusal_is_final() -> None:
    with stranger(says("HTTP/1.1 403 never\r\ncontent-length: 0\r\n\r\n")) as url, pytest.raises(RefusedByTargetError):
        post(url)
